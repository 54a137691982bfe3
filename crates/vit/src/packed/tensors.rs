//! Where a model's values come from: a checkpoint, a generator, a test.

use crate::config::TensorName;

/// A source of f32 tensors in PyTorch's row-major layout, by their public names.
///
/// Packing asks for each tensor of [`crate::Config::visit_tensors`] with the shape stated there; the source answers with
/// exactly as many values, borrowed from the file or from a conversion buffer of its own.
///
/// ```
/// use vit::{TensorName, Tensors};
///
/// /// All weights zero.
/// struct Zeros(Vec<f32>);
///
/// impl Tensors for Zeros {
///     type Error = core::convert::Infallible;
///     fn tensor(&mut self, _name: TensorName, shape: &[usize]) -> Result<&[f32], Self::Error> {
///         self.0.resize(shape.iter().product(), 0.0);
///         Ok(&self.0)
///     }
/// }
/// ```
pub trait Tensors {
    /// What can go wrong in reading.
    type Error;

    /// The values of a tensor, row-major.
    fn tensor(&mut self, name: TensorName, shape: &[usize]) -> Result<&[f32], Self::Error>;
}
