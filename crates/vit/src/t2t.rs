//! Tokens-to-token (Yuan et al. 2021): two rounds of unfolding and attention that turn pixels into 64-channel tokens.
//!
//! A round unfolds the map before it, norms the windows and attends among them, with softmax or with the performer's linear
//! attention; the third unfolding feeds the embedding's projection ([`crate::embed`]).

use kernels::{
    Attention, Error, Level, PackedMatrix, PanelLayout, Panels, View, ViewMut, attention, attention_scratch_len,
    random_features, token_products,
};

use crate::block::Workspace;
use crate::config::{T2T_WIDTH, TensorName, Tokens, VitConfig};
use crate::linear::{Linear, Norm};
use crate::packing::{Cut, PackError, Packer, aligned};
use crate::split::for_each_panel;
use crate::unfold::Windows;
use crate::{RunError, Tensors};

/// The performer's random features.
pub(crate) const FEATURES: usize = 32;
/// Norms inside the rounds have this whatever the configuration says of the blocks'.
const EPS: f32 = 1e-5;
/// Keeps the performer's denominator from zero.
const DENOMINATOR_EPS: f32 = 1e-8;

/// Rows of a round's intermediate panels. Softmax attention: queries, keys, values.
const SOFTMAX_ROWS: usize = 3 * T2T_WIDTH;
/// The performer: values and a row of ones, whose product with the keys' features is their sum; features of queries and keys.
const VALUES: usize = T2T_WIDTH + 1;
const PERFORMER_ROWS: usize = VALUES + 2 * FEATURES;

/// The rounds' windows on an image of the given side, and the third unfolding's.
pub(crate) fn windows(image_size: usize) -> [Windows; 3] {
    let first = Windows { side: image_size, kernel: 7, stride: 4, padding: 2 };
    let then = |before: Windows| Windows { side: before.grid(), kernel: 3, stride: 2, padding: 1 };
    [first, then(first), then(then(first))]
}

/// One round's weights.
struct Round<'w> {
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

/// The names of one round's tensors, weight and bias each.
pub(crate) struct Names {
    pub norm1: [&'static str; 2],
    pub qkv: [&'static str; 2],
    /// The performer's `w`.
    pub w: &'static str,
    pub proj: [&'static str; 2],
    pub norm2: [&'static str; 2],
    pub fc1: [&'static str; 2],
    pub fc2: [&'static str; 2],
}

macro_rules! layer {
    ($round:literal, $layer:literal) => {
        [
            concat!("tokens_to_token.", $round, ".", $layer, ".weight"),
            concat!("tokens_to_token.", $round, ".", $layer, ".bias"),
        ]
    };
}

macro_rules! names {
    ($round:literal, $qkv:literal, $proj:literal, $fc1:literal, $fc2:literal) => {
        Names {
            norm1: layer!($round, "norm1"),
            qkv: layer!($round, $qkv),
            w: concat!("tokens_to_token.", $round, ".w"),
            proj: layer!($round, $proj),
            norm2: layer!($round, "norm2"),
            fc1: layer!($round, $fc1),
            fc2: layer!($round, $fc2),
        }
    };
}

const PERFORMER: [Names; 2] =
    [names!("attention1", "kqv", "proj", "mlp.0", "mlp.2"), names!("attention2", "kqv", "proj", "mlp.0", "mlp.2")];
const TRANSFORMER: [Names; 2] = [
    names!("attention1", "attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"),
    names!("attention2", "attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"),
];

/// The names of a round's tensors.
fn names(tokens: Tokens, round: usize) -> &'static Names {
    if tokens == Tokens::T2tPerformer { &PERFORMER[round] } else { &TRANSFORMER[round] }
}

/// Values that a round's attention and MLP read: windows of the image, then of 64 channels.
fn inputs(config: &VitConfig, round: usize) -> usize {
    let channels = if round == 0 { config.in_channels } else { T2T_WIDTH };
    windows(config.image_size)[round].values(channels)
}

/// Calls `visit` with the tensors of both rounds.
pub(crate) fn visit_tensors(config: &VitConfig, visit: &mut dyn FnMut(TensorName, &[usize])) {
    for round in 0..2 {
        let (names, inputs) = (names(config.tokens, round), inputs(config, round));
        let performer = config.tokens == Tokens::T2tPerformer;
        let mut layer = |[weight, bias]: [&'static str; 2], outputs: usize, inputs: usize, has_bias: bool| {
            visit(TensorName::Top(weight), &[outputs, inputs][..if inputs == 0 { 1 } else { 2 }]);
            if has_bias {
                visit(TensorName::Top(bias), &[outputs]);
            }
        };
        layer(names.norm1, inputs, 0, true);
        layer(names.qkv, 3 * T2T_WIDTH, inputs, performer);
        layer(names.proj, T2T_WIDTH, T2T_WIDTH, true);
        layer(names.norm2, T2T_WIDTH, 0, true);
        layer(names.fc1, T2T_WIDTH, T2T_WIDTH, true);
        layer(names.fc2, T2T_WIDTH, T2T_WIDTH, true);
        if performer {
            visit(TensorName::Top(names.w), &[FEATURES, T2T_WIDTH]);
        }
    }
}

/// Multiply-accumulates of the products that a tensor of the rounds takes part in; attention's count with its first layer.
pub(crate) fn macs_of(config: &VitConfig, name: TensorName, shape: &[usize]) -> u64 {
    let TensorName::Top(name) = name else { return 0 };
    let Some(round) = (0..2).find(|&round| {
        let Names { qkv, proj, fc1, fc2, .. } = names(config.tokens, round);
        [qkv, proj, fc1, fc2].iter().any(|layer| layer[0] == name)
    }) else {
        return 0;
    };
    let tokens = (windows(config.image_size)[round].grid() as u64).pow(2);
    let attention = match (name == names(config.tokens, round).qkv[0], config.tokens) {
        (false, _) => 0,
        (true, Tokens::T2tPerformer) => 4 * tokens * (FEATURES * T2T_WIDTH) as u64,
        (true, _) => 2 * tokens * tokens * T2T_WIDTH as u64,
    };
    shape.iter().map(|&x| x as u64).product::<u64>() * tokens + attention
}

/// Both rounds' weights.
pub(crate) struct T2t<'w> {
    rounds: [Round<'w>; 2],
}

/// How the rounds' part of an image's scratch is cut.
pub(crate) struct Plan {
    layouts: [PanelLayout; 2],
    /// Intermediate panels of the larger round.
    intermediate: usize,
    /// Each round's result: 64 x tokens.
    results: [usize; 2],
    /// The performer's products along tokens, as they are and packed.
    products: usize,
}

impl Plan {
    pub(crate) fn new(config: &VitConfig, level: Level) -> Self {
        let windows = windows(config.image_size);
        let layouts = [0, 1].map(|round| level.panels(windows[round].grid().pow(2)));
        Plan {
            intermediate: aligned(SOFTMAX_ROWS.max(PERFORMER_ROWS) * layouts[0].padded().max(layouts[1].padded())),
            results: layouts.map(|layout| aligned(T2T_WIDTH * layout.padded())),
            layouts,
            products: aligned(VALUES * FEATURES) + aligned(PackedMatrix::packed_len(VALUES, FEATURES)),
        }
    }

    pub(crate) fn scratch_len(&self) -> usize {
        self.intermediate + self.results[0] + self.results[1] + self.products
    }

    /// Rows and the widest panel of a thread's workspace; and what attention's scores need.
    pub(crate) fn workspace(&self, config: &VitConfig) -> (usize, usize, usize) {
        let rows = inputs(config, 0).max(inputs(config, 1)).max(SOFTMAX_ROWS);
        let scores = match config.tokens {
            Tokens::T2tTransformer => attention_scratch_len(self.layouts[0].columns()),
            _ => 0,
        };
        (rows, self.layouts[0].max_width().max(self.layouts[1].max_width()), scores)
    }
}

/// What a round runs with.
pub(crate) struct Threads {
    pub level: Level,
    pub threads: usize,
    /// The first piece of a thread's workspace.
    pub narrow: usize,
}

impl<'w> T2t<'w> {
    pub(crate) fn packed_len(config: &VitConfig) -> usize {
        (0..2).map(|round| Round::packed_len(config, round)).sum()
    }

    pub(crate) fn pack<T: Tensors>(packer: &mut Packer<T>, config: &VitConfig) -> Result<(), PackError<T::Error>> {
        (0..2).try_for_each(|round| Round::pack(packer, config, round))
    }

    pub(crate) fn cut(cut: &mut Cut<'w>, config: &VitConfig) -> Self {
        T2t { rounds: [Round::cut(cut, config, 0), Round::cut(cut, config, 1)] }
    }

    /// The map that the third unfolding reads: 64 channels in panels.
    pub(crate) fn run<'s>(
        &self,
        config: &VitConfig,
        run: &Threads,
        image: &[f32],
        scratch: &'s mut [f32],
        workspaces: &mut [f32],
    ) -> Result<Panels<'s>, RunError> {
        let plan = Plan::new(config, run.level);
        let [first, second, third] = windows(config.image_size);
        let (intermediate, rest) = scratch.split_at_mut(plan.intermediate);
        let (products, rest) = rest.split_at_mut(plan.products);
        let (result, rest) = rest.split_at_mut(plan.results[0]);
        let result = &mut result[..T2T_WIDTH * plan.layouts[0].padded()];
        let last = &mut rest[..T2T_WIDTH * plan.layouts[1].padded()];

        let image = Panels::single(image, config.in_channels, first.side * first.side)?;
        self.rounds[0].run(run, &image, first, result, intermediate, products, workspaces)?;
        let map = Panels::new(result, T2T_WIDTH, plan.layouts[0])?;
        self.rounds[1].run(run, &map, second, last, intermediate, products, workspaces)?;
        debug_assert_eq!(third.side * third.side, plan.layouts[1].columns());
        Ok(Panels::new(last, T2T_WIDTH, plan.layouts[1])?)
    }
}

impl<'w> Round<'w> {
    fn packed_len(config: &VitConfig, round: usize) -> usize {
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

    fn pack<T: Tensors>(packer: &mut Packer<T>, config: &VitConfig, round: usize) -> Result<(), PackError<T::Error>> {
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

    fn cut(cut: &mut Cut<'w>, config: &VitConfig, round: usize) -> Self {
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
    fn run(
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
