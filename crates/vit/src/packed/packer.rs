//! Packing: a model's weights brought from a checkpoint into the order in which they are read.

use kernels::{PackedMatrix, View};

use super::layout::{Layout, Source, aligned, matrix_shape};
use super::tensors::Tensors;
use crate::config::TensorName;

/// What can go wrong when a model is packed.
///
/// ```
/// use core::convert::Infallible;
/// use vit::PackError;
///
/// let error: PackError<Infallible> = PackError::Buffer { expected: 16, found: 15 };
/// assert_eq!(error.to_string(), "the buffer for packed weights holds 15 values, expected 16");
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PackError<E> {
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

/// Fills a buffer of zeros with tensors from a source, front to back. After a failure nothing else is asked for.
pub(crate) struct Packer<'p, T: Tensors> {
    tensors: Checked<'p, T>,
    rest: &'p mut [f32],
}

impl<'p, T: Tensors> Packer<'p, T> {
    /// A packer that fills `packed`, as long as what will be listed.
    pub(crate) fn new(tensors: &'p mut T, packed: &'p mut [f32]) -> Self {
        packed.fill(0.0);
        Packer { tensors: Checked { tensors, error: None }, rest: packed }
    }

    /// Whether everything was packed.
    pub(crate) fn finish(self) -> Result<(), PackError<T::Error>> {
        self.tensors.error.map_or(Ok(()), Err)
    }

    fn take(&mut self, len: usize) -> &'p mut [f32] {
        let (slice, rest) = core::mem::take(&mut self.rest).split_at_mut(aligned(len));
        self.rest = rest;
        &mut slice[..len]
    }
}

impl<T: Tensors> Layout for Packer<'_, T> {
    type Vector = ();
    type Matrix = ();

    fn values(&mut self, len: usize, fill: impl FnOnce(&mut dyn Source, &mut [f32]) -> Option<()>) {
        let slice = self.take(len);
        fill(&mut self.tensors, slice);
    }

    fn matrices<const N: usize>(&mut self, name: TensorName, shape: &[usize]) -> [(); N] {
        let [rows, columns] = matrix_shape(shape);
        let slice = self.take(PackedMatrix::<f32>::packed_len(rows, columns));
        if let Some(values) = self.tensors.tensor(name, shape) {
            View::new(values, rows, columns)
                .and_then(|matrix| PackedMatrix::pack(&matrix, slice))
                .expect("the tensor's and the slice's sizes are those of the shape");
        }
        [(); N]
    }
}

/// A source whose answers are checked, and the first failure.
struct Checked<'p, T: Tensors> {
    tensors: &'p mut T,
    error: Option<PackError<T::Error>>,
}

impl<T: Tensors> Source for Checked<'_, T> {
    fn tensor(&mut self, name: TensorName, shape: &[usize]) -> Option<&[f32]> {
        if self.error.is_some() {
            return None;
        }
        let expected = shape.iter().product();
        match self.tensors.tensor(name, shape) {
            Ok(values) if values.len() == expected => return Some(values),
            Ok(values) => self.error = Some(PackError::Tensor { name, expected, found: values.len() }),
            Err(error) => self.error = Some(PackError::Source(error)),
        }
        None
    }
}
