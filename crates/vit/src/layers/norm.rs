//! Layer norm with its weights.

use kernels::{Error, View, ViewMut, layer_norm};

use crate::config::TensorName;
use crate::exec::pass::{Operation, Pass};
use crate::packed::layout::{Layout, Reader};

/// Gain and offset of a layer norm.
pub(crate) struct Norm<L: Layout> {
    gamma: L::Vector,
    beta: L::Vector,
}

impl<L: Layout> Norm<L> {
    pub(crate) fn list(layout: &mut L, [gamma, beta]: [TensorName; 2], channels: usize) -> Self {
        Norm { gamma: layout.vector(Some(gamma), channels), beta: layout.vector(Some(beta), channels) }
    }
}

impl Norm<Reader<'_>> {
    /// Normalises each token of `x` into `out`.
    pub(crate) fn run(&self, pass: &Pass, x: &View, eps: f32, out: &mut ViewMut) -> Result<(), Error> {
        layer_norm(pass.level, x, self.gamma, self.beta, eps, out)?;
        pass.done(Operation::LayerNorm, 0);
        Ok(())
    }
}
