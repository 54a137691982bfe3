//! One round: windows of the map before it, attention among them, an MLP.

use kernels::{
    Attention, Error, Level, PackedMatrix, Panels, View, ViewMut, attention, random_features, token_products,
};

use super::tensors::{inputs, names};
use super::{DENOMINATOR_EPS, EPS, FEATURES, PERFORMER_ROWS, SOFTMAX_ROWS, Threads, VALUES};
use crate::block::Workspace;
use crate::config::{T2T_WIDTH, TensorName, Tokens, VitConfig};
use crate::linear::{Linear, Norm};
use crate::packing::{Cut, PackError, Packer, aligned};
use crate::split::for_each_panel;
use crate::unfold::Windows;
use crate::{RunError, Tensors};

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
        run: &Threads,
        map: &Panels,
        windows: Windows,
        out: &mut [f32],
        intermediate: &mut [f32],
        products: &mut [f32],
        workspaces: &mut [f32],
    ) -> Result<(), RunError> {
        let layout = run.level.panels(windows.grid().pow(2));
        let rows = if self.features.is_some() { PERFORMER_ROWS } else { SOFTMAX_ROWS };
        let intermediate = &mut intermediate[..rows * layout.padded()];
        for_each_panel(run.threads, &layout, rows, intermediate, workspaces, &|panel, values, scratch| {
            let workspace = &mut Workspace::cut(scratch, run.narrow);
            let range = layout.range(panel);
            let places = range.clone().map(|window| (window < layout.columns()).then_some(window));
            windows.unfold(map, places, range.len(), workspace.wide);
            let values = ViewMut::new(values, rows, range.len())?;
            Ok(self.project(run.level, layout.valid(panel), values, workspace)?)
        })?;
        let intermediate = Panels::new(intermediate, rows, layout)?;
        let products = match self.features {
            Some(_) => Some(sum_products(run.level, &intermediate, products)?),
            None => None,
        };
        for_each_panel(run.threads, &layout, T2T_WIDTH, out, workspaces, &|panel, out, scratch| {
            let workspace = &mut Workspace::cut(scratch, run.narrow);
            let out = ViewMut::new(out, T2T_WIDTH, layout.width(panel))?;
            Ok(self.attend(run.level, &intermediate, panel, products.as_ref(), out, workspace)?)
        })
    }

    /// The intermediate values of a panel from its unfolded windows in `workspace.wide`, `valid` of which are windows.
    fn project(&self, level: Level, valid: usize, mut values: ViewMut, workspace: &mut Workspace) -> Result<(), Error> {
        let width = values.columns();
        let mut normed = ViewMut::new(workspace.narrow, self.inputs, width)?;
        self.norm1.run(level, &View::new(workspace.wide, self.inputs, width)?, EPS, &mut normed)?;
        let Some(features) = &self.features else {
            return self.qkv.run(level, &normed.as_view(), &mut values);
        };
        let mut kqv = ViewMut::new(workspace.wide, 3 * T2T_WIDTH, width)?;
        self.qkv.run(level, &normed.as_view(), &mut kqv)?;
        let part = |i: usize| kqv.as_view().row_range(i * T2T_WIDTH..(i + 1) * T2T_WIDTH);
        let (k, q, v) = (part(0)?, part(1)?, part(2)?);
        kernels::materialise(&v, &mut values.reborrow().row_range(0..T2T_WIDTH)?)?;
        values.row_mut(T2T_WIDTH).expect("a panel is row-major").fill(1.0);
        random_features(level, features, &q, &mut values.reborrow().row_range(VALUES..VALUES + FEATURES)?)?;
        let mut k_features = values.row_range(VALUES + FEATURES..PERFORMER_ROWS)?;
        random_features(level, features, &k, &mut k_features)?;
        // Padding is no token: with features of zero it adds nothing to the sums over tokens.
        for r in 0..FEATURES {
            k_features.row_mut(r).expect("a panel is row-major")[valid..].fill(0.0);
        }
        Ok(())
    }

    /// `x = v + proj(attention)`, then `x + mlp(norm2(x))`, for one panel.
    fn attend(
        &self,
        level: Level,
        intermediate: &Panels,
        panel: usize,
        products: Option<&PackedMatrix>,
        mut out: ViewMut,
        workspace: &mut Workspace,
    ) -> Result<(), Error> {
        let width = out.columns();
        let values = intermediate.panel(panel);
        let v = match products {
            Some(products) => {
                let q_features = values.row_range(VALUES..VALUES + FEATURES)?;
                linear_attention(level, products, &q_features, workspace.narrow)?;
                values.row_range(0..T2T_WIDTH)?
            }
            None => {
                let part = |i: usize| i * T2T_WIDTH..(i + 1) * T2T_WIDTH;
                let (k, v) = (intermediate.row_range(part(1))?, intermediate.row_range(part(2))?);
                let scale = 1.0 / libm::sqrtf(self.inputs as f32);
                let mut context = ViewMut::new(workspace.narrow, T2T_WIDTH, width)?;
                let operands = Attention { q: values.row_range(part(0))?, k, v, scale, biases: &[] };
                attention(level, &operands, &mut context, workspace.wide)?;
                values.row_range(part(2))?
            }
        };
        kernels::materialise(&v, &mut out)?;
        self.proj.run_residual(level, &View::new(workspace.narrow, T2T_WIDTH, width)?, 1.0, &mut out)?;
        let mut normed = ViewMut::new(workspace.narrow, T2T_WIDTH, width)?;
        self.norm2.run(level, &out.as_view(), EPS, &mut normed)?;
        let mut hidden = ViewMut::new(workspace.wide, T2T_WIDTH, width)?;
        self.fc1.run_gelu(level, &normed.as_view(), &mut hidden)?;
        self.fc2.run_residual(level, &hidden.as_view(), 1.0, &mut out)
    }
}

/// `[v; 1] phi(k)^T`, packed.
fn sum_products<'s>(level: Level, intermediate: &Panels, scratch: &'s mut [f32]) -> Result<PackedMatrix<'s>, Error> {
    let (products, packed) = scratch.split_at_mut(aligned(VALUES * FEATURES));
    let products = &mut products[..VALUES * FEATURES];
    let (v, k_features) =
        (intermediate.row_range(0..VALUES)?, intermediate.row_range(VALUES + FEATURES..PERFORMER_ROWS)?);
    token_products(level, &v, &k_features, products)?;
    PackedMatrix::pack(&View::new(products, VALUES, FEATURES)?, packed)
}

/// `(v phi(k)^T) phi(q) / (sum phi(k) . phi(q) + 1e-8)` in the first 64 rows of `out`.
fn linear_attention(level: Level, products: &PackedMatrix, q_features: &View, out: &mut [f32]) -> Result<(), Error> {
    let width = q_features.columns();
    let mut product = ViewMut::new(out, VALUES, width)?;
    kernels::packed_matmul(level, products, q_features, kernels::Epilogue::Store, &mut product)?;
    let (numerators, denominators) = out.split_at_mut(T2T_WIDTH * width);
    for row in numerators.chunks_exact_mut(width) {
        row.iter_mut().zip(&*denominators).for_each(|(y, sum)| *y /= sum + DENOMINATOR_EPS);
    }
    Ok(())
}
