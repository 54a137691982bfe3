//! One transformer block on the attended channels (paper section II-B): attention and MLP, each behind a norm, each joining
//! the residual stream with its rescaling factor. The idle channels are never touched.

use core::ops::Range;

use kernels::{Attention, Error, Panels, View, ViewMut, attention, to_contiguous};

use super::linear::Linear;
use super::norm::Norm;
use crate::config::{Rescale, TensorName};
use crate::exec::pass::{Operation, Pass};
use crate::exec::workspace::Workspace;
use crate::packed::layout::{Layout, Reader};

/// The sizes of a block.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub dim: usize,
    pub heads: usize,
    pub hidden: usize,
    pub qkv_bias: bool,
    /// Whether queries and keys are normed head by head.
    pub qk_norm: bool,
    pub rescale: Rescale,
    pub eps: f32,
}

impl Shape {
    fn head_dim(&self) -> usize {
        self.dim / self.heads
    }
}

/// The weights of one block.
pub(crate) struct Block<L: Layout> {
    shape: Shape,
    /// The factors on both residuals: alpha and beta.
    factors: L::Vector,
    norm1: Norm<L>,
    qkv: Linear<L>,
    /// The norms of queries and keys.
    qk_norms: Option<[Norm<L>; 2]>,
    proj: Linear<L>,
    norm2: Norm<L>,
    fc1: Linear<L>,
    fc2: Linear<L>,
}

impl<L: Layout> Block<L> {
    /// Lists a block's weights, whose tensors `name` names in full.
    pub(crate) fn list(layout: &mut L, name: impl Fn(&'static str) -> TensorName, shape: Shape) -> Self {
        let Shape { dim, hidden, .. } = shape;
        let norm = |layout: &mut L, names: [&'static str; 2], len| Norm::list(layout, names.map(&name), len);
        let linear = |layout: &mut L, weight, bias: Option<&'static str>, shape: [usize; 2]| {
            Linear::list(layout, name(weight), bias.map(&name), &shape)
        };
        Block {
            shape,
            factors: layout.values(2, |source, factors| {
                for (factor, suffix) in factors.iter_mut().zip(["alpha", "beta"]) {
                    *factor = match shape.rescale {
                        Rescale::None => 1.0,
                        Rescale::Half => 0.5,
                        Rescale::Learned => source.tensor(name(suffix), &[1])?[0],
                    };
                }
                Some(())
            }),
            norm1: norm(layout, ["norm1.weight", "norm1.bias"], dim),
            qkv: linear(layout, "attn.qkv.weight", shape.qkv_bias.then_some("attn.qkv.bias"), [3 * dim, dim]),
            qk_norms: shape.qk_norm.then(|| {
                [["attn.q_norm.weight", "attn.q_norm.bias"], ["attn.k_norm.weight", "attn.k_norm.bias"]]
                    .map(|names| norm(layout, names, shape.head_dim()))
            }),
            proj: linear(layout, "attn.proj.weight", Some("attn.proj.bias"), [dim, dim]),
            norm2: norm(layout, ["norm2.weight", "norm2.bias"], dim),
            fc1: linear(layout, "mlp.fc1.weight", Some("mlp.fc1.bias"), [hidden, dim]),
            fc2: linear(layout, "mlp.fc2.weight", Some("mlp.fc2.bias"), [dim, hidden]),
        }
    }
}

impl Block<Reader<'_>> {
    /// The factor of the first residual.
    pub(crate) fn alpha(&self) -> f32 {
        self.factors[0]
    }

    /// The factor of the second residual.
    fn beta(&self) -> f32 {
        self.factors[1]
    }

    /// Queries, keys and values of one panel: `qkv = W_qkv LN1(x)`, `x` being the attended channels, and the norms of queries
    /// and keys; `scratch` holds the normed panel.
    pub(crate) fn project(&self, pass: &Pass, x: &View, qkv: &mut ViewMut, scratch: &mut [f32]) -> Result<(), Error> {
        let mut normed = pass.matrix(scratch, self.shape.dim, x.columns())?;
        self.norm1.run(pass, x, self.shape.eps, &mut normed)?;
        self.qkv.run(pass, Operation::Qkv, &normed.as_view(), qkv)?;
        for (part, norm) in self.qk_norms.iter().flatten().enumerate() {
            self.norm_heads(pass, norm, part, qkv, scratch)?;
        }
        Ok(())
    }

    /// Norms each head's rows of a part of the projection, queries or keys, through `scratch`.
    fn norm_heads(
        &self,
        pass: &Pass,
        norm: &Norm<Reader>,
        part: usize,
        qkv: &mut ViewMut,
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        for head in 0..self.shape.heads {
            let mut rows = qkv.reborrow().row_range(self.part_rows(part, head))?;
            let mut copy = pass.matrix(scratch, rows.rows(), rows.columns())?;
            to_contiguous(&rows.as_view(), &mut copy)?;
            norm.run(pass, &copy.as_view(), self.shape.eps, &mut rows)?;
        }
        Ok(())
    }

    /// One head's operands, from queries `q` and keys and values `kv` that have the rows of the projection.
    pub(crate) fn head<'a>(
        &self,
        head: usize,
        q: &View<'a>,
        kv: &Panels<'a>,
        [bias, mask]: [Option<View<'a>>; 2],
    ) -> Result<Attention<'a>, Error> {
        let scale = 1.0 / libm::sqrtf(self.head_rows(head).len() as f32);
        let (k, v) = (kv.row_range(self.part_rows(1, head))?, kv.row_range(self.part_rows(2, head))?);
        Attention::new(q.row_range(self.part_rows(0, head))?, k, v, scale)?.with_bias(bias)?.with_mask(mask)
    }

    /// The rows of one head in a part of the projection: queries, keys or values.
    fn part_rows(&self, part: usize, head: usize) -> Range<usize> {
        let Range { start, end } = self.head_rows(head);
        part * self.shape.dim + start..part * self.shape.dim + end
    }

    /// The rows of one head in the context.
    pub(crate) fn head_rows(&self, head: usize) -> Range<usize> {
        let head_dim = self.shape.head_dim();
        head * head_dim..(head + 1) * head_dim
    }

    /// One head of attention, `context` being its rows; `scratch` holds the scores.
    pub(crate) fn attend(
        &self,
        pass: &Pass,
        operands: &Attention,
        context: &mut ViewMut,
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        attention(pass.level, operands, context, scratch)?;
        pass.done(Operation::Attention, operands.macs());
        Ok(())
    }

    /// `x = alpha x + W_proj attention(q, k, v)`, then `x = beta x + MLP(LN2(x))`, for the tokens of one panel.
    ///
    /// `x` is their attended channels, `q` their queries, `qkv` all tokens' projections.
    pub(crate) fn finish(
        &self,
        pass: &Pass,
        q: &View,
        qkv: &Panels,
        x: &mut ViewMut,
        workspace: &mut Workspace,
    ) -> Result<(), Error> {
        let mut context = pass.matrix(workspace.narrow, self.shape.dim, x.columns())?;
        for head in 0..self.shape.heads {
            let mut context = context.reborrow().row_range(self.head_rows(head))?;
            self.attend(pass, &self.head(head, q, qkv, [None; 2])?, &mut context, workspace.wide)?;
        }
        self.join(pass, &context.as_view(), x)?;
        self.mlp(pass, x, workspace)
    }

    /// `x = alpha x + W_proj context`
    pub(crate) fn join(&self, pass: &Pass, context: &View, x: &mut ViewMut) -> Result<(), Error> {
        self.proj.run_residual(pass, Operation::Projection, context, self.alpha(), x)
    }

    /// `out = W_proj context`
    pub(crate) fn project_context(&self, pass: &Pass, context: &View, out: &mut ViewMut) -> Result<(), Error> {
        self.proj.run(pass, Operation::Projection, context, out)
    }

    /// `x = beta x + MLP(LN2(x))`
    pub(crate) fn mlp(&self, pass: &Pass, x: &mut ViewMut, workspace: &mut Workspace) -> Result<(), Error> {
        let Shape { dim, hidden, eps, .. } = self.shape;
        let columns = x.columns();
        let mut normed = pass.matrix(workspace.narrow, dim, columns)?;
        self.norm2.run(pass, &x.as_view(), eps, &mut normed)?;
        let mut activations = pass.matrix(workspace.wide, hidden, columns)?;
        self.fc1.run_gelu(pass, Operation::Fc1, &normed.as_view(), &mut activations)?;
        self.fc2.run_residual(pass, Operation::Fc2, &activations.as_view(), self.beta(), x)
    }
}
