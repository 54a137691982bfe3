//! The packed form of a model: one buffer of f32 in which every layer finds its weights by arithmetic.
//!
//! Layers lie in the order of execution, each piece starting at a multiple of 16 values, so that a buffer aligned to 64
//! bytes has aligned pieces. The form does not depend on the instruction set.

use kernels::{PackedMatrix, View};

use crate::{ConfigError, TensorName, Tensors};

/// Pieces start at multiples of this many values: 64 bytes.
pub(crate) const ALIGN: usize = 16;

/// The order in which values are packed, as a number that every change of it raises: what [`crate::pack`] wrote under one
/// number a [`crate::Model`] of another would misread, so whoever keeps packed weights keeps the number beside them.
///
/// ```
/// let (kept_with_the_weights, understood) = (1, vit::PACKED_VERSION);
/// if kept_with_the_weights != understood {
///     println!("pack the checkpoint again");
/// }
/// ```
pub const PACKED_VERSION: u32 = 1;

/// Values that a piece of `len` takes up.
pub(crate) const fn aligned(len: usize) -> usize {
    len.div_ceil(ALIGN) * ALIGN
}

/// What can go wrong when a model is packed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PackError<E> {
    /// No model has this configuration.
    #[error(transparent)]
    Config(ConfigError),
    /// The source failed.
    #[error("{0}")]
    Source(E),
    /// The source gave a tensor of another size than was asked for.
    #[error("tensor {name} has {found} values, expected {expected}")]
    Tensor {
        /// The tensor.
        name: TensorName,
        /// Values asked for.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// The buffer is not [`crate::packed_len`] values long.
    #[error("the buffer for packed weights holds {found} values, expected {expected}")]
    Buffer {
        /// Values needed.
        expected: usize,
        /// Values given.
        found: usize,
    },
}

/// Cuts a packed buffer into its pieces, front to back.
#[derive(Clone, Copy)]
pub(crate) struct Cut<'w>(pub &'w [f32]);

impl<'w> Cut<'w> {
    /// The next piece.
    ///
    /// # Panics
    /// If the buffer is shorter than the model's packed length, which its owner checks.
    pub(crate) fn take(&mut self, len: usize) -> &'w [f32] {
        let (piece, rest) = self.0.split_at(aligned(len));
        self.0 = rest;
        &piece[..len]
    }

    /// The next piece as a packed matrix.
    pub(crate) fn matrix(&mut self, rows: usize, columns: usize) -> PackedMatrix<'w> {
        let piece = self.take(PackedMatrix::packed_len(rows, columns));
        PackedMatrix::from_packed(rows, columns, piece).expect("the piece has the packed length")
    }
}

/// Fills a packed buffer with tensors from a source, front to back, in the order in which [`Cut`] cuts it.
pub(crate) struct Packer<'p, T> {
    pub tensors: &'p mut T,
    pub rest: &'p mut [f32],
}

impl<'p, T: Tensors> Packer<'p, T> {
    /// The next piece of the buffer, zeroed.
    fn piece(&mut self, len: usize) -> &'p mut [f32] {
        cut_front(&mut self.rest, len)
    }

    /// A vector as it is, or zeros if there is none.
    pub(crate) fn vector(&mut self, name: Option<TensorName>, len: usize) -> Result<(), PackError<T::Error>> {
        let piece = self.piece(len);
        if let Some(name) = name {
            piece.copy_from_slice(fetch(self.tensors, name, &[len])?);
        }
        Ok(())
    }

    /// A weight matrix of the given shape (dimensions after the first count as columns) in packed form.
    pub(crate) fn matrix(&mut self, name: TensorName, shape: &[usize]) -> Result<(), PackError<T::Error>> {
        let (rows, columns) = (shape[0], shape[1..].iter().product());
        let piece = self.piece(PackedMatrix::packed_len(rows, columns));
        let values = fetch(self.tensors, name, shape)?;
        View::new(values, rows, columns)
            .and_then(|matrix| PackedMatrix::pack(&matrix, piece))
            .expect("the tensor's and the piece's sizes are those of the shape");
        Ok(())
    }

    /// A piece to fill by hand.
    pub(crate) fn custom(&mut self, len: usize) -> (&mut T, &mut [f32]) {
        let piece = cut_front(&mut self.rest, len);
        (self.tensors, piece)
    }
}

/// A tensor of a source, its size checked.
pub(crate) fn fetch<'t, T: Tensors>(
    tensors: &'t mut T,
    name: TensorName,
    shape: &[usize],
) -> Result<&'t [f32], PackError<T::Error>> {
    let expected = shape.iter().product();
    let values = tensors.tensor(name, shape).map_err(PackError::Source)?;
    if values.len() != expected {
        return Err(PackError::Tensor { name, expected, found: values.len() });
    }
    Ok(values)
}

/// Takes a zeroed piece off the front.
fn cut_front<'p>(rest: &mut &'p mut [f32], len: usize) -> &'p mut [f32] {
    let (piece, after) = core::mem::take(rest).split_at_mut(aligned(len));
    *rest = after;
    piece.fill(0.0);
    &mut piece[..len]
}
