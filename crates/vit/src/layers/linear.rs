//! The linear layer: a packed matrix and a bias, with what follows the product in one go.

use core::array::from_fn;

use kernels::{Epilogue, Error, PackedMatrix, View, ViewMut, packed_matmul};

use crate::config::TensorName;
use crate::exec::pass::{Operation, Pass};
use crate::packed::layout::{Layout, Reader};

/// A weight matrix (outputs x inputs) and a bias, which is zero where the checkpoint has none.
pub(crate) struct Linear<L: Layout> {
    bias: L::Vector,
    weight: L::Matrix,
}

impl<L: Layout> Linear<L> {
    /// `shape` is the weight's: outputs, then what makes up the inputs.
    pub(crate) fn list(layout: &mut L, weight: TensorName, bias: Option<TensorName>, shape: &[usize]) -> Self {
        let bias = layout.vector(bias, shape[0]);
        Linear { bias, weight: layout.matrix(weight, shape) }
    }
}

impl Linear<Reader<'_>> {
    /// `out = weight * x + bias`
    pub(crate) fn run(&self, pass: &Pass, step: Operation, x: &View, out: &mut ViewMut) -> Result<(), Error> {
        product(pass, step, &self.weight, x, Epilogue::Bias(self.bias), out)
    }

    /// `out = gelu(weight * x + bias)`
    pub(crate) fn run_gelu(&self, pass: &Pass, step: Operation, x: &View, out: &mut ViewMut) -> Result<(), Error> {
        product(pass, step, &self.weight, x, Epilogue::BiasGelu(self.bias), out)
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
        product(pass, step, &self.weight, x, Epilogue::Residual { bias: self.bias, scale }, out)
    }
}

/// A linear layer whose outputs are N equal parts, each computed by itself: queries, keys and values.
pub(crate) struct LinearParts<L: Layout, const N: usize> {
    bias: L::Vector,
    weights: [L::Matrix; N],
}

impl<L: Layout, const N: usize> LinearParts<L, N> {
    pub(crate) fn list(layout: &mut L, weight: TensorName, bias: Option<TensorName>, shape: &[usize]) -> Self {
        let bias = layout.vector(bias, shape[0]);
        LinearParts { bias, weights: layout.matrices(weight, shape) }
    }
}

impl<'w, const N: usize> LinearParts<Reader<'w>, N> {
    /// Each part as a layer.
    pub(crate) fn parts(&self) -> [Linear<Reader<'w>>; N] {
        let len = self.bias.len() / N;
        from_fn(|i| Linear { bias: &self.bias[i * len..][..len], weight: self.weights[i] })
    }
}

fn product(
    pass: &Pass,
    step: Operation,
    weight: &PackedMatrix,
    x: &View,
    epilogue: Epilogue,
    out: &mut ViewMut,
) -> Result<(), Error> {
    packed_matmul(pass.level, weight, x, epilogue, out)?;
    let [outputs, inputs] = weight.shape();
    pass.done(step, outputs * inputs * x.columns());
    Ok(())
}
