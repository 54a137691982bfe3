//! One round: windows of the map before it, attention among them, an MLP.

use kernels::{Attention, Error, PackedMatrix, Panels, View, ViewMut, attention, random_features, token_products};

use super::tensors::{inputs, names};
use super::{DENOMINATOR_EPS, EPS, FEATURES, PERFORMER_ROWS, SOFTMAX_ROWS, VALUES};
use crate::block::Workspace;
use crate::config::{T2T_WIDTH, TensorName, Tokens, VitConfig};
use crate::linear::{Linear, Norm};
use crate::packing::{Cut, PackError, Packer, aligned};
use crate::pass::{Operation, Pass};
use crate::split::{for_each_panel, layout, share_rows};
use crate::unfold::Windows;
use crate::{RunError, Tensors};

/// What a round runs with.
pub(super) struct RoundRun<'r> {
    pub pass: &'r Pass<'r>,
    /// The first piece of a thread's workspace.
    pub narrow: usize,
}

/// One round's weights.
pub(super) struct Round<'w> {
    inputs: usize,
    norm1: Norm<'w>,
    qkv: Linear<'w>,
    /// The performer's projection, m x 64.
    features: Option<PackedMatrix<'w>>,
    proj: Linear<'w>,
    norm2: Norm<'w>,
    fc1: Linear<'w>,
    fc2: Linear<'w>,
}

impl<'w> Round<'w> {
    pub(super) fn packed_len(config: &VitConfig, round: usize) -> usize {
        let inputs = inputs(config, round);
        let features = match config.tokens {
            Tokens::T2tPerformer => aligned(PackedMatrix::packed_len(FEATURES, T2T_WIDTH)),
            _ => 0,
        };
        Norm::packed_len(inputs)
            + Linear::packed_len(3 * T2T_WIDTH, inputs)
            + features
            + 3 * Linear::packed_len(T2T_WIDTH, T2T_WIDTH)
            + Norm::packed_len(T2T_WIDTH)
    }

    pub(super) fn pack<T: Tensors>(
        packer: &mut Packer<T>,
        config: &VitConfig,
        round: usize,
    ) -> Result<(), PackError<T::Error>> {
        use TensorName::Top;
        let (names, inputs) = (names(config.tokens, round), inputs(config, round));
        let performer = config.tokens == Tokens::T2tPerformer;
        let square = [T2T_WIDTH, T2T_WIDTH];
        let linear = |packer: &mut Packer<T>, [weight, bias]: [&'static str; 2], has_bias: bool, shape: [usize; 2]| {
            Linear::pack(packer, Top(weight), has_bias.then_some(Top(bias)), &shape)
        };
        Norm::pack(packer, Top(names.norm1[0]), Top(names.norm1[1]), inputs)?;
        linear(packer, names.qkv, performer, [3 * T2T_WIDTH, inputs])?;
        if performer {
            packer.matrix(Top(names.w), &[FEATURES, T2T_WIDTH])?;
        }
        linear(packer, names.proj, true, square)?;
        Norm::pack(packer, Top(names.norm2[0]), Top(names.norm2[1]), T2T_WIDTH)?;
        linear(packer, names.fc1, true, square)?;
        linear(packer, names.fc2, true, square)
    }

    pub(super) fn cut(cut: &mut Cut<'w>, config: &VitConfig, round: usize) -> Self {
        let inputs = inputs(config, round);
        Round {
            inputs,
            norm1: Norm::cut(cut, inputs),
            qkv: Linear::cut(cut, 3 * T2T_WIDTH, inputs),
            features: (config.tokens == Tokens::T2tPerformer).then(|| cut.matrix(FEATURES, T2T_WIDTH)),
            proj: Linear::cut(cut, T2T_WIDTH, T2T_WIDTH),
            norm2: Norm::cut(cut, T2T_WIDTH),
            fc1: Linear::cut(cut, T2T_WIDTH, T2T_WIDTH),
            fc2: Linear::cut(cut, T2T_WIDTH, T2T_WIDTH),
        }
    }

    /// Fills `out` (64 x windows, in panels) from `map`.
    #[allow(clippy::too_many_arguments, reason = "three buffers, each with a use of its own")]
    pub(super) fn run(
        &self,
        run: &RoundRun,
        map: &Panels,
        windows: Windows,
        out: &mut [f32],
        intermediate: &mut [f32],
        products: &mut [f32],
        workspaces: &mut [f32],
    ) -> Result<(), RunError> {
        let pass = run.pass;
        let layout = layout(pass.level, pass.threads, windows.grid().pow(2));
        let rows = if self.features.is_some() { PERFORMER_ROWS } else { SOFTMAX_ROWS };
        let intermediate = &mut intermediate[..rows * layout.padded()];
        for_each_panel(pass, &layout, rows, intermediate, workspaces, &|panel, values, scratch| {
            let workspace = &mut Workspace::cut(scratch, run.narrow);
            let first = layout.range(panel).start;
            let mut unfolded = pass.matrix(workspace.wide, self.inputs, values.columns())?;
            windows.unfold(map, (first..first + values.columns()).map(Some), &mut unfolded);
            pass.done(Operation::Unfold, 0);
            let mut normed = pass.matrix(workspace.narrow, self.inputs, values.columns())?;
            self.norm1.run(pass, &unfolded.as_view(), EPS, &mut normed)?;
            Ok(self.project(pass, &normed.as_view(), values, workspace.wide)?)
        })?;
        let intermediate = Panels::new(intermediate, rows, layout)?;
        let products = match self.features {
            Some(_) => Some(sum_products(pass, &intermediate, products)?),
            None => None,
        };
        for_each_panel(pass, &layout, T2T_WIDTH, out, workspaces, &|panel, out, scratch| {
            let workspace = &mut Workspace::cut(scratch, run.narrow);
            Ok(self.attend(pass, &intermediate, panel, products.as_ref(), out, workspace)?)
        })
    }

    /// The intermediate values of a panel from its normed windows.
    fn project(&self, pass: &Pass, normed: &View, mut values: ViewMut, scratch: &mut [f32]) -> Result<(), Error> {
        let Some(features) = &self.features else {
            return self.qkv.run(pass, Operation::Qkv, normed, &mut values);
        };
        let mut kqv = pass.matrix(scratch, 3 * T2T_WIDTH, values.columns())?;
        self.qkv.run(pass, Operation::Qkv, normed, &mut kqv)?;
        let part = |i: usize| kqv.as_view().row_range(i * T2T_WIDTH..(i + 1) * T2T_WIDTH);
        let (k, q, v) = (part(0)?, part(1)?, part(2)?);
        kernels::materialise(&v, &mut values.reborrow().row_range(0..T2T_WIDTH)?)?;
        values.row_mut(T2T_WIDTH).expect("a panel is row-major").fill(1.0);
        for (first, x) in [(VALUES, q), (VALUES + FEATURES, k)] {
            let mut out = values.reborrow().row_range(first..first + FEATURES)?;
            random_features(pass.level, features, &x, &mut out)?;
            pass.done(Operation::RandomFeatures, FEATURES * T2T_WIDTH * x.columns());
        }
        Ok(())
    }

    /// `x = v + proj(attention)`, then `x + mlp(norm2(x))`, for one panel.
    fn attend(
        &self,
        pass: &Pass,
        intermediate: &Panels,
        panel: usize,
        products: Option<&PackedMatrix>,
        mut out: ViewMut,
        workspace: &mut Workspace,
    ) -> Result<(), Error> {
        let columns = out.columns();
        let values = intermediate.panel(panel);
        let (v, context) = match products {
            Some(products) => {
                let q_features = values.row_range(VALUES..VALUES + FEATURES)?;
                let context = linear_attention(pass, products, &q_features, workspace.narrow)?;
                (values.row_range(0..T2T_WIDTH)?, context)
            }
            None => {
                let part = |i: usize| i * T2T_WIDTH..(i + 1) * T2T_WIDTH;
                let (k, v) = (intermediate.row_range(part(1))?, intermediate.row_range(part(2))?);
                let scale = 1.0 / libm::sqrtf(self.inputs as f32);
                let mut context = pass.matrix(workspace.narrow, T2T_WIDTH, columns)?;
                let operands = Attention { q: values.row_range(part(0))?, k, v, scale, bias: None, mask: None };
                attention(pass.level, &operands, &mut context, workspace.wide)?;
                pass.done(Operation::Attention, 2 * T2T_WIDTH * columns * k.columns());
                (values.row_range(part(2))?, context)
            }
        };
        kernels::materialise(&v, &mut out)?;
        self.proj.run_residual(pass, Operation::Projection, &context.as_view(), 1.0, &mut out)?;
        let mut normed = pass.matrix(workspace.narrow, T2T_WIDTH, columns)?;
        self.norm2.run(pass, &out.as_view(), EPS, &mut normed)?;
        let mut hidden = pass.matrix(workspace.wide, T2T_WIDTH, columns)?;
        self.fc1.run_gelu(pass, Operation::Fc1, &normed.as_view(), &mut hidden)?;
        self.fc2.run_residual(pass, Operation::Fc2, &hidden.as_view(), 1.0, &mut out)
    }
}

/// `[v; 1] phi(k)^T`, packed.
fn sum_products<'s>(pass: &Pass, intermediate: &Panels, scratch: &'s mut [f32]) -> Result<PackedMatrix<'s>, Error> {
    let (products, packed) = scratch.split_at_mut(aligned(VALUES * FEATURES));
    let products = &mut products[..VALUES * FEATURES];
    let (v, k_features) =
        (intermediate.row_range(0..VALUES)?, intermediate.row_range(VALUES + FEATURES..PERFORMER_ROWS)?);
    share_rows(pass.threads, FEATURES, 0..VALUES, products, &|rows, products| {
        token_products(pass.level, &v.row_range(rows)?, &k_features, products)
    })?;
    let packed = PackedMatrix::pack(&View::new(products, VALUES, FEATURES)?, packed)?;
    pass.done(Operation::Attention, VALUES * FEATURES * intermediate.columns());
    Ok(packed)
}

/// `(v phi(k)^T) phi(q) / (sum phi(k) . phi(q) + 1e-8)`, at the front of `scratch`.
fn linear_attention<'s>(
    pass: &Pass,
    products: &PackedMatrix,
    q_features: &View,
    scratch: &'s mut [f32],
) -> Result<ViewMut<'s>, Error> {
    let columns = q_features.columns();
    let mut product = pass.matrix(scratch, VALUES, columns)?;
    kernels::packed_matmul(pass.level, products, q_features, kernels::Epilogue::Store, &mut product)?;
    let stride = columns.next_multiple_of(pass.level.lanes());
    let (numerators, denominators) = scratch.split_at_mut(T2T_WIDTH * stride);
    for row in numerators.chunks_exact_mut(stride) {
        row[..columns].iter_mut().zip(&*denominators).for_each(|(y, sum)| *y /= sum + DENOMINATOR_EPS);
    }
    pass.done(Operation::Attention, VALUES * FEATURES * columns);
    pass.matrix(numerators, T2T_WIDTH, columns)
}
