//! One transformer block on the attended channels (paper section II-B): attention and MLP, each behind a norm, each joining
//! the residual stream with its rescaling factor. The idle channels are never touched.

use core::ops::Range;

use kernels::{Attention, Error, Panels, View, ViewMut, attention};

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
    pub eps: f32,
}

impl Shape {
    pub(crate) fn of(config: &VitConfig) -> Self {
        Shape { dim: config.dim, heads: config.heads, hidden: config.hidden(), eps: config.layer_norm_eps as f32 }
    }

    /// Values of a block's packed weights.
    pub(crate) fn packed_len(&self) -> usize {
        let Shape { dim, hidden, .. } = *self;
        aligned(2)
            + 2 * Norm::packed_len(dim)
            + Linear::packed_len(3 * dim, dim)
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
        qkv_bias: bool,
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
        linear(packer, "attn.qkv.weight", qkv_bias.then_some("attn.qkv.bias"), [3 * dim, dim])?;
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

    /// Queries, keys and values of one panel: `qkv = W_qkv LN1(x)`, `x` being the attended channels; `scratch` holds the
    /// normed panel.
    pub(crate) fn project(&self, pass: &Pass, x: &View, qkv: &mut ViewMut, scratch: &mut [f32]) -> Result<(), Error> {
        let mut normed = pass.matrix(scratch, self.shape.dim, x.columns())?;
        self.norm1.run(pass, x, self.shape.eps, &mut normed)?;
        self.qkv.run(pass, Operation::Qkv, &normed.as_view(), qkv)
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
        let rows = |part: usize| {
            let Range { start, end } = self.head_rows(head);
            part * self.shape.dim + start..part * self.shape.dim + end
        };
        let (k, v) = (kv.row_range(rows(1))?, kv.row_range(rows(2))?);
        Ok(Attention { q: q.row_range(rows(0))?, k, v, scale, bias, mask })
    }

    /// The rows of one head in the context.
    pub(crate) fn head_rows(&self, head: usize) -> Range<usize> {
        let head_dim = self.shape.dim / self.shape.heads;
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
