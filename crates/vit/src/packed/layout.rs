//! The packed form of a model: one buffer of f32 in which every layer finds its weights by arithmetic.
//!
//! Layers lie in the order of execution. Each vector and each matrix starts at a multiple of 16 values, so that in a buffer
//! aligned to 64 bytes all of them are aligned. The form does not depend on the instruction set.
//!
//! A layer lists its weights once, in a function that is generic over [`Layout`]: the same list is measured ([`Length`]),
//! filled from a checkpoint ([`Packer`](super::packer::Packer)) and read ([`Reader`]), so the three cannot disagree.

use kernels::PackedMatrix;

use crate::config::TensorName;

/// Vectors and matrices start at multiples of this many values: 64 bytes.
const ALIGN: usize = 16;

/// The version of the order in which values are packed; every change of that order raises it. Store it with packed weights:
/// a [`crate::Model`] would misread what [`crate::pack`] wrote under another version.
///
/// ```
/// let (stored, understood) = (1, vit::PACKED_VERSION);
/// if stored != understood {
///     println!("pack the checkpoint again");
/// }
/// ```
pub const PACKED_VERSION: u32 = 1;

/// Values that `len` values take up.
pub(crate) const fn aligned(len: usize) -> usize {
    len.div_ceil(ALIGN) * ALIGN
}

/// What is done with the weights that a layer lists.
pub(crate) trait Layout {
    /// What a vector is to the listing.
    type Vector;
    /// What a packed matrix is to the listing.
    type Matrix;

    /// `len` values that `fill` makes from a checkpoint's tensors. They are zero before.
    fn values(&mut self, len: usize, fill: impl FnOnce(&mut dyn Source, &mut [f32]) -> Option<()>) -> Self::Vector;

    /// A weight matrix of the given shape (dimensions after the first count as columns), as N matrices with an equal share
    /// of its rows each.
    fn matrices<const N: usize>(&mut self, name: TensorName, shape: &[usize]) -> [Self::Matrix; N];

    /// A weight matrix of the given shape.
    fn matrix(&mut self, name: TensorName, shape: &[usize]) -> Self::Matrix {
        let [matrix] = self.matrices(name, shape);
        matrix
    }

    /// A vector as the checkpoint has it, or zeros if it has none.
    fn vector(&mut self, name: Option<TensorName>, len: usize) -> Self::Vector {
        self.values(len, |source, out| {
            if let Some(name) = name {
                out.copy_from_slice(source.tensor(name, &[len])?);
            }
            Some(())
        })
    }
}

/// A checkpoint's tensors, while weights are packed.
pub(crate) trait Source {
    /// The values of a tensor, as many as its shape says; none after a failure, which the packer keeps.
    fn tensor(&mut self, name: TensorName, shape: &[usize]) -> Option<&[f32]>;
}

/// Measures packed weights.
pub(crate) struct Length(pub usize);

impl Layout for Length {
    type Vector = ();
    type Matrix = ();

    fn values(&mut self, len: usize, _: impl FnOnce(&mut dyn Source, &mut [f32]) -> Option<()>) {
        self.0 += aligned(len);
    }

    fn matrices<const N: usize>(&mut self, _: TensorName, shape: &[usize]) -> [(); N] {
        let [rows, columns] = matrix_shape(shape);
        self.0 += aligned(PackedMatrix::<f32>::packed_len(rows, columns));
        [(); N]
    }
}

/// Reads packed weights, front to back: what is left of them.
///
/// It panics where they are shorter than what is listed, so a [`crate::Model`] checks their length first.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'w>(pub &'w [f32]);

impl<'w> Reader<'w> {
    fn take(&mut self, len: usize) -> &'w [f32] {
        let (slice, rest) = self.0.split_at(aligned(len));
        self.0 = rest;
        &slice[..len]
    }
}

impl<'w> Layout for Reader<'w> {
    type Vector = &'w [f32];
    type Matrix = PackedMatrix<'w>;

    fn values(&mut self, len: usize, _: impl FnOnce(&mut dyn Source, &mut [f32]) -> Option<()>) -> &'w [f32] {
        self.take(len)
    }

    /// A share of whole groups of packed rows, of a whole multiple of [`ALIGN`] values, lies in the buffer as a matrix of its
    /// own would.
    fn matrices<const N: usize>(&mut self, _: TensorName, shape: &[usize]) -> [PackedMatrix<'w>; N] {
        let [rows, columns] = matrix_shape(shape);
        debug_assert!(N == 1 || rows == N * aligned(rows / N));
        core::array::from_fn(|_| {
            let packed = self.take(PackedMatrix::<f32>::packed_len(rows / N, columns));
            PackedMatrix::from_packed(rows / N, columns, packed).expect("the slice has the packed length")
        })
    }
}

/// Rows and columns of a weight tensor.
pub(super) fn matrix_shape(shape: &[usize]) -> [usize; 2] {
    [shape[0], shape[1..].iter().product()]
}
