//! One transformer block on the attended channels (paper section II-B): attention and MLP, each behind a norm, each joining
//! the residual stream with its rescaling factor. The idle channels are never touched.

use core::ops::Range;

use kernels::{Attention, Error, Panels, View, ViewMut, attention, materialise};

use crate::Tensors;
use crate::config::{Rescale, TensorName, VitConfig};
use crate::linear::{Linear, Norm};
use crate::packing::{Cut, PackError, Packer, aligned, fetch};
use crate::pass::{Operation, Pass};

/// The sizes of a block.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub dim: usize,
    pub heads: usize,
    pub hidden: usize,
    pub qkv_bias: bool,
    /// Whether queries and keys are normed head by head.
    pub qk_norm: bool,
    pub eps: f32,
}

impl Shape {
    pub(crate) fn of(config: &VitConfig) -> Self {
        Shape {
            dim: config.dim,
            heads: config.heads,
            hidden: config.hidden(),
            qkv_bias: config.qkv_bias,
            qk_norm: config.qk_norm,
            eps: config.layer_norm_eps as f32,
        }
    }

    fn head_dim(&self) -> usize {
        self.dim / self.heads
    }

    /// Values of a block's packed weights.
    pub(crate) fn packed_len(&self) -> usize {
        let Shape { dim, hidden, .. } = *self;
        aligned(2)
            + 2 * Norm::packed_len(dim)
            + Linear::packed_len(3 * dim, dim)
            + if self.qk_norm { 2 * Norm::packed_len(self.head_dim()) } else { 0 }
            + Linear::packed_len(dim, dim)
            + Linear::packed_len(hidden, dim)
            + Linear::packed_len(dim, hidden)
    }
}

/// One thread's scratch, reused from step to step.
pub(crate) struct Workspace<'s> {
    /// A normed panel, or a panel of attention's output.
    pub narrow: &'s mut [f32],
    /// A panel of the MLP's hidden layer or of windows, or attention's scores.
    pub wide: &'s mut [f32],
}

impl<'s> Workspace<'s> {
    /// Cuts a thread's scratch after the first `narrow` values.
    pub(crate) fn cut(scratch: &'s mut [f32], narrow: usize) -> Self {
        let (narrow, wide) = scratch.split_at_mut(narrow);
        Workspace { narrow, wide }
    }
}

/// The weights of one block.
pub(crate) struct Block<'w> {
    shape: Shape,
    alpha: f32,
    beta: f32,
    norm1: Norm<'w>,
    qkv: Linear<'w>,
    /// The norms of queries and keys.
    qk_norms: Option<[Norm<'w>; 2]>,
    proj: Linear<'w>,
    norm2: Norm<'w>,
    fc1: Linear<'w>,
    fc2: Linear<'w>,
}

impl<'w> Block<'w> {
    /// Packs a block of a checkpoint, whose tensors `name` names in full.
    pub(crate) fn pack<T: Tensors>(
        packer: &mut Packer<T>,
        name: impl Fn(&'static str) -> TensorName,
        shape: Shape,
        rescale: Rescale,
    ) -> Result<(), PackError<T::Error>> {
        let Shape { dim, hidden, .. } = shape;
        let (tensors, factors) = packer.custom(2);
        for (factor, suffix) in factors.iter_mut().zip(["alpha", "beta"]) {
            *factor = match rescale {
                Rescale::None => 1.0,
                Rescale::Half => 0.5,
                Rescale::Learned => fetch(tensors, name(suffix), &[1])?[0],
            };
        }
        let linear = |packer: &mut Packer<T>, weight, bias: Option<&'static str>, shape: [usize; 2]| {
            Linear::pack(packer, name(weight), bias.map(&name), &shape)
        };
        Norm::pack(packer, name("norm1.weight"), name("norm1.bias"), dim)?;
        linear(packer, "attn.qkv.weight", shape.qkv_bias.then_some("attn.qkv.bias"), [3 * dim, dim])?;
        if shape.qk_norm {
            for [gamma, beta] in
                [["attn.q_norm.weight", "attn.q_norm.bias"], ["attn.k_norm.weight", "attn.k_norm.bias"]]
            {
                Norm::pack(packer, name(gamma), name(beta), shape.head_dim())?;
            }
        }
        linear(packer, "attn.proj.weight", Some("attn.proj.bias"), [dim, dim])?;
        Norm::pack(packer, name("norm2.weight"), name("norm2.bias"), dim)?;
        linear(packer, "mlp.fc1.weight", Some("mlp.fc1.bias"), [hidden, dim])?;
        linear(packer, "mlp.fc2.weight", Some("mlp.fc2.bias"), [dim, hidden])
    }

    /// Reads a block from its packed weights.
    pub(crate) fn cut(cut: &mut Cut<'w>, shape: Shape) -> Self {
        let Shape { dim, hidden, .. } = shape;
        let factors = cut.take(2);
        Block {
            shape,
            alpha: factors[0],
            beta: factors[1],
            norm1: Norm::cut(cut, dim),
            qkv: Linear::cut(cut, 3 * dim, dim),
            qk_norms: shape.qk_norm.then(|| [Norm::cut(cut, shape.head_dim()), Norm::cut(cut, shape.head_dim())]),
            proj: Linear::cut(cut, dim, dim),
            norm2: Norm::cut(cut, dim),
            fc1: Linear::cut(cut, hidden, dim),
            fc2: Linear::cut(cut, dim, hidden),
        }
    }

    /// The factor of the first residual.
    pub(crate) fn alpha(&self) -> f32 {
        self.alpha
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
        norm: &Norm,
        part: usize,
        qkv: &mut ViewMut,
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        for head in 0..self.shape.heads {
            let mut rows = qkv.reborrow().row_range(self.part_rows(part, head))?;
            let mut copy = pass.matrix(scratch, rows.rows(), rows.columns())?;
            materialise(&rows.as_view(), &mut copy)?;
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
        Ok(Attention { q: q.row_range(self.part_rows(0, head))?, k, v, scale, bias, mask })
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
        let [queries, keys] = [operands.q.columns(), operands.k.columns()];
        pass.done(Operation::Attention, (operands.k.rows() + operands.v.rows()) * queries * keys);
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
        self.proj.run_residual(pass, Operation::Projection, context, self.alpha, x)
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
        self.fc2.run_residual(pass, Operation::Fc2, &activations.as_view(), self.beta, x)
    }
}
