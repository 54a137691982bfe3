//! One round: windows of the map before it, attention among them, an MLP.
//!
//! Two passes over the tokens: the second needs of all tokens what the first has made of each. What it needs only of its own
//! panel's tokens, the first pass leaves in the round's result, where the second finds it before it writes there: the
//! performer's values, which the attended values join, or softmax attention's queries.

use core::ops::Range;

use kernels::{
    Attention, Error, PackedMatrix, PanelLayout, Panels, View, ViewMut, attention, random_features, token_products,
};

use crate::config::{FEATURES, Rounds, T2T_WIDTH, TensorName, Windows};
use crate::exec::error::RunError;
use crate::exec::pass::{Operation, Pass};
use crate::exec::share::{Matrix, for_each_panel, for_each_panels, for_each_row_share};
use crate::exec::workspace::Workspace;
use crate::layers::linear::{Linear, LinearParts};
use crate::layers::norm::Norm;
use crate::packed::layout::{Layout, Reader, aligned};

/// Norms inside the rounds have this whatever the configuration says of the blocks'.
const EPS: f32 = 1e-5;
/// Keeps the performer's denominator from zero.
const DENOMINATOR_EPS: f32 = 1e-8;

/// Rows of the performer's products: values and a row of ones, whose product with the keys' features is their sum.
pub(super) const VALUES: usize = T2T_WIDTH + 1;

/// Rows of softmax attention's intermediate panels: keys and values.
const KEYS: Range<usize> = 0..T2T_WIDTH;
const ATTENDED: Range<usize> = T2T_WIDTH..2 * T2T_WIDTH;

/// Rows of the performer's intermediate panels: features of queries and of keys, and ones.
const QUERY_FEATURES: Range<usize> = 0..FEATURES;
const KEY_FEATURES: Range<usize> = FEATURES..2 * FEATURES;
const ONES: usize = 2 * FEATURES;

/// Rows of a round's intermediate panels.
pub(super) fn intermediate_rows(sizes: &Rounds) -> usize {
    if sizes.is_performer() { ONES + 1 } else { ATTENDED.end }
}

/// What a round runs with.
pub(super) struct RoundRun<'r> {
    pub pass: &'r Pass<'r>,
    /// How the round's tokens lie in panels.
    pub layout: PanelLayout,
    /// The tokens' windows of the map before the round.
    pub windows: Windows,
    /// The length of a workspace's first part.
    pub narrow: usize,
}

/// One round's weights.
pub(super) struct Round<L: Layout> {
    inputs: usize,
    /// Rows of its intermediate panels.
    intermediate_rows: usize,
    norm1: Norm<L>,
    /// Queries, keys and values in the order of the weights: the performer's have keys first.
    qkv: LinearParts<L, 3>,
    /// The performer's projection, m x 64.
    features: Option<L::Matrix>,
    proj: Linear<L>,
    norm2: Norm<L>,
    fc1: Linear<L>,
    fc2: Linear<L>,
}

impl<L: Layout> Round<L> {
    pub(super) fn list(layout: &mut L, sizes: &Rounds, round: usize) -> Self {
        use TensorName::Top;
        let (names, inputs) = (sizes.names(round), sizes.inputs(round));
        let [qkv, qkv_bias] = names.qkv.map(Top);
        let square = |layout: &mut L, [weight, bias]: [&'static str; 2]| {
            Linear::list(layout, Top(weight), Some(Top(bias)), &[T2T_WIDTH, T2T_WIDTH])
        };
        Round {
            inputs,
            intermediate_rows: intermediate_rows(sizes),
            norm1: Norm::list(layout, names.norm1.map(Top), inputs),
            qkv: LinearParts::list(layout, qkv, sizes.is_performer().then_some(qkv_bias), &[3 * T2T_WIDTH, inputs]),
            features: sizes.is_performer().then(|| layout.matrix(Top(names.w), &[FEATURES, T2T_WIDTH])),
            proj: square(layout, names.proj),
            norm2: Norm::list(layout, names.norm2.map(Top), T2T_WIDTH),
            fc1: square(layout, names.fc1),
            fc2: square(layout, names.fc2),
        }
    }
}

impl Round<Reader<'_>> {
    /// Fills `out` (64 x windows, in panels) from `map`.
    pub(super) fn run(
        &self,
        run: &RoundRun,
        map: &Panels,
        out: &mut [f32],
        intermediate: &mut [f32],
        products: &mut [f32],
        workspaces: &mut [f32],
    ) -> Result<(), RunError> {
        let RoundRun { pass, layout, windows, narrow } = run;
        let rows = self.intermediate_rows;
        let intermediate = &mut intermediate[..rows * layout.padded()];
        let matrices = [Matrix { rows: T2T_WIDTH, data: out }, Matrix { rows, data: intermediate }];
        for_each_panels(pass, layout, matrices, workspaces, &|panel, [out, intermediate], scratch| {
            let workspace = &mut Workspace::new(scratch, *narrow);
            let mut unfolded = pass.matrix(workspace.wide, self.inputs, out.columns())?;
            windows.unfold(map, layout.range(panel).map(Some), &mut unfolded);
            pass.done(Operation::Unfold, 0);
            let mut normed = pass.matrix(workspace.narrow, self.inputs, out.columns())?;
            self.norm1.run(pass, &unfolded.as_view(), EPS, &mut normed)?;
            Ok(self.project(pass, &normed.as_view(), out, intermediate, workspace.wide)?)
        })?;
        let intermediate = Panels::new(intermediate, rows, *layout)?;
        let products = match self.features {
            Some(_) => Some(sum_products(pass, &Panels::new(out, T2T_WIDTH, *layout)?, &intermediate, products)?),
            None => None,
        };
        for_each_panel(pass, layout, T2T_WIDTH, out, workspaces, &|panel, mut out, scratch| {
            let workspace = &mut Workspace::new(scratch, *narrow);
            match &products {
                Some(products) => {
                    let q_features = intermediate.row_range(QUERY_FEATURES)?.panel(panel);
                    let context = linear_attention(pass, products, &q_features, workspace.narrow)?;
                    self.proj.run_residual(pass, Operation::Projection, &context.as_view(), 1.0, &mut out)?;
                }
                None => self.softmax_attention(pass, &intermediate, panel, &mut out, workspace)?,
            }
            Ok(self.mlp(pass, &mut out, workspace)?)
        })
    }

    /// A panel's first pass from its normed windows: what `out` holds until the second, and the intermediate values.
    fn project(
        &self,
        pass: &Pass,
        normed: &View,
        mut out: ViewMut,
        mut intermediate: ViewMut,
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let Some(features) = &self.features else {
            let [q, k, v] = self.qkv.parts();
            q.run(pass, Operation::Qkv, normed, &mut out)?;
            k.run(pass, Operation::Qkv, normed, &mut intermediate.reborrow().row_range(KEYS)?)?;
            return v.run(pass, Operation::Qkv, normed, &mut intermediate.row_range(ATTENDED)?);
        };
        let [k, q, v] = self.qkv.parts();
        v.run(pass, Operation::Qkv, normed, &mut out)?;
        for (layer, rows) in [(q, QUERY_FEATURES), (k, KEY_FEATURES)] {
            let mut x = pass.matrix(scratch, T2T_WIDTH, normed.columns())?;
            layer.run(pass, Operation::Qkv, normed, &mut x)?;
            random_features(pass.level, features, &x.as_view(), &mut intermediate.reborrow().row_range(rows)?)?;
            pass.done(Operation::RandomFeatures, FEATURES * T2T_WIDTH * x.columns());
        }
        intermediate.row_mut(ONES).expect("a panel is row-major").fill(1.0);
        Ok(())
    }

    /// `x = v + proj(attention(q, k, v))` for one panel, with its queries in `x`.
    fn softmax_attention(
        &self,
        pass: &Pass,
        intermediate: &Panels,
        panel: usize,
        x: &mut ViewMut,
        workspace: &mut Workspace,
    ) -> Result<(), Error> {
        let (k, v) = (intermediate.row_range(KEYS)?, intermediate.row_range(ATTENDED)?);
        let mut context = pass.matrix(workspace.narrow, T2T_WIDTH, x.columns())?;
        let scale = 1.0 / libm::sqrtf(self.inputs as f32);
        let operands = Attention::new(x.as_view(), k, v, scale)?;
        attention(pass.level, &operands, &mut context, workspace.wide)?;
        pass.done(Operation::Attention, 2 * T2T_WIDTH * x.columns() * k.columns());
        kernels::to_contiguous(&v.panel(panel), x)?;
        self.proj.run_residual(pass, Operation::Projection, &context.as_view(), 1.0, x)
    }

    /// `x = x + mlp(norm2(x))`
    fn mlp(&self, pass: &Pass, x: &mut ViewMut, workspace: &mut Workspace) -> Result<(), Error> {
        let mut normed = pass.matrix(workspace.narrow, T2T_WIDTH, x.columns())?;
        self.norm2.run(pass, &x.as_view(), EPS, &mut normed)?;
        let mut hidden = pass.matrix(workspace.wide, T2T_WIDTH, x.columns())?;
        self.fc1.run_gelu(pass, Operation::Fc1, &normed.as_view(), &mut hidden)?;
        self.fc2.run_residual(pass, Operation::Fc2, &hidden.as_view(), 1.0, x)
    }
}

/// `[v; 1] phi(k)^T`, packed.
fn sum_products<'s>(
    pass: &Pass,
    v: &Panels,
    intermediate: &Panels,
    scratch: &'s mut [f32],
) -> Result<PackedMatrix<'s>, RunError> {
    let (products, packed) = scratch.split_at_mut(aligned(VALUES * FEATURES));
    let products = &mut products[..VALUES * FEATURES];
    let (k_features, ones) = (intermediate.row_range(KEY_FEATURES)?, intermediate.row_range(ONES..ONES + 1)?);
    for_each_row_share(pass, FEATURES, 0..VALUES, products, &|rows, products| {
        let of_values = rows.start..rows.end.min(T2T_WIDTH);
        let (values, sums) = products.split_at_mut(FEATURES * of_values.len());
        token_products(pass.level, &v.row_range(of_values)?, &k_features, values)?;
        if sums.is_empty() { Ok(()) } else { token_products(pass.level, &ones, &k_features, sums) }
    })?;
    let packed = PackedMatrix::pack(&View::new(products, VALUES, FEATURES)?, packed)?;
    pass.done(Operation::Attention, VALUES * FEATURES * v.columns());
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
