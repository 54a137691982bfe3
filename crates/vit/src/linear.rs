//! The two layers with weights: linear and layer norm, read from a packed buffer.

use core::array::from_fn;

use kernels::{Epilogue, Error, PackedMatrix, View, ViewMut, layer_norm, packed_matmul};

use crate::packing::{Cut, PackError, Packer, aligned};
use crate::pass::{Operation, Pass};
use crate::{TensorName, Tensors};

/// A weight matrix (outputs x inputs) and a bias, which is zero where the checkpoint has none.
#[derive(Clone, Copy)]
pub(crate) struct Linear<'w> {
    weight: PackedMatrix<'w>,
    bias: &'w [f32],
}

impl<'w> Linear<'w> {
    pub(crate) const fn packed_len(outputs: usize, inputs: usize) -> usize {
        aligned(outputs) + aligned(PackedMatrix::packed_len(outputs, inputs))
    }

    pub(crate) fn pack<T: Tensors>(
        packer: &mut Packer<T>,
        weight: TensorName,
        bias: Option<TensorName>,
        shape: &[usize],
    ) -> Result<(), PackError<T::Error>> {
        packer.vector(bias, shape[0])?;
        packer.matrix(weight, shape)
    }

    pub(crate) fn cut(cut: &mut Cut<'w>, outputs: usize, inputs: usize) -> Self {
        let bias = cut.take(outputs);
        Linear { weight: cut.matrix(outputs, inputs), bias }
    }

    /// A layer as N layers with an equal share of its outputs each. A share fills whole groups of packed rows, and its
    /// pieces whole units of alignment, so that it lies in the buffer as a layer of its own would.
    pub(crate) fn cut_parts<const N: usize>(cut: &mut Cut<'w>, outputs: usize, inputs: usize) -> [Self; N] {
        let part = outputs / N;
        debug_assert_eq!(outputs, N * aligned(part));
        let bias = cut.take(outputs);
        from_fn(|i| Linear { weight: cut.matrix(part, inputs), bias: &bias[i * part..][..part] })
    }

    /// `out = weight * x + bias`
    pub(crate) fn run(&self, pass: &Pass, step: Operation, x: &View, out: &mut ViewMut) -> Result<(), Error> {
        self.product(pass, step, x, Epilogue::Bias(self.bias), out)
    }

    /// `out = gelu(weight * x + bias)`
    pub(crate) fn run_gelu(&self, pass: &Pass, step: Operation, x: &View, out: &mut ViewMut) -> Result<(), Error> {
        self.product(pass, step, x, Epilogue::BiasGelu(self.bias), out)
    }

    /// `out = scale * out + weight * x + bias`
    pub(crate) fn run_residual(
        &self,
        pass: &Pass,
        step: Operation,
        x: &View,
        scale: f32,
        out: &mut ViewMut,
    ) -> Result<(), Error> {
        self.product(pass, step, x, Epilogue::Residual { bias: self.bias, scale }, out)
    }

    fn product(
        &self,
        pass: &Pass,
        step: Operation,
        x: &View,
        epilogue: Epilogue,
        out: &mut ViewMut,
    ) -> Result<(), Error> {
        packed_matmul(pass.level, &self.weight, x, epilogue, out)?;
        let [outputs, inputs] = self.weight.shape();
        pass.done(step, outputs * inputs * x.columns());
        Ok(())
    }
}

/// Gain and offset of a layer norm.
#[derive(Clone, Copy)]
pub(crate) struct Norm<'w> {
    gamma: &'w [f32],
    beta: &'w [f32],
}

impl<'w> Norm<'w> {
    pub(crate) const fn packed_len(channels: usize) -> usize {
        2 * aligned(channels)
    }

    pub(crate) fn pack<T: Tensors>(
        packer: &mut Packer<T>,
        gamma: TensorName,
        beta: TensorName,
        channels: usize,
    ) -> Result<(), PackError<T::Error>> {
        packer.vector(Some(gamma), channels)?;
        packer.vector(Some(beta), channels)
    }

    pub(crate) fn cut(cut: &mut Cut<'w>, channels: usize) -> Self {
        Norm { gamma: cut.take(channels), beta: cut.take(channels) }
    }

    /// Normalises each token of `x` into `out`.
    pub(crate) fn run(&self, pass: &Pass, x: &View, eps: f32, out: &mut ViewMut) -> Result<(), Error> {
        layer_norm(pass.level, x, self.gamma, self.beta, eps, out)?;
        pass.done(Operation::LayerNorm, 0);
        Ok(())
    }
}
