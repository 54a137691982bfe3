//! Tokens-to-token (Yuan et al. 2021): two rounds of unfolding and attention that turn pixels into 64-channel tokens.
//!
//! A round unfolds the map before it, norms the windows and attends among them, with softmax or with the performer's linear
//! attention; the third unfolding feeds the embedding's projection ([`crate::embed`]).

mod round;
mod tensors;

use kernels::{Level, PackedMatrix, PanelLayout, Panels, attention_scratch_len};

use crate::config::{T2T_WIDTH, Tokens, VitConfig};
use crate::packing::{Cut, PackError, Packer, aligned};
use crate::pass::Pass;
use crate::split::layout;
use crate::unfold::Windows;
use crate::{RunError, Tensors};
use round::{Round, RoundRun};
use tensors::inputs;
pub(crate) use tensors::{macs_of, visit_tensors};

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
    pub(crate) fn new(config: &VitConfig, level: Level, threads: usize) -> Self {
        let windows = windows(config.image_size);
        let layouts = [0, 1].map(|round| layout(level, threads, windows[round].grid().pow(2)));
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

    /// The map that the third unfolding reads: 64 channels in panels. `narrow` is the first piece of a workspace.
    #[allow(clippy::too_many_arguments, reason = "three buffers, each with a use of its own")]
    pub(crate) fn run<'s>(
        &self,
        config: &VitConfig,
        pass: &Pass,
        narrow: usize,
        image: &[f32],
        scratch: &'s mut [f32],
        workspaces: &mut [f32],
    ) -> Result<Panels<'s>, RunError> {
        let plan = Plan::new(config, pass.level, pass.threads);
        let [first, second, third] = windows(config.image_size);
        let (intermediate, rest) = scratch.split_at_mut(plan.intermediate);
        let (products, rest) = rest.split_at_mut(plan.products);
        let (result, rest) = rest.split_at_mut(plan.results[0]);
        let result = &mut result[..T2T_WIDTH * plan.layouts[0].padded()];
        let last = &mut rest[..T2T_WIDTH * plan.layouts[1].padded()];

        let image = Panels::single(image, config.in_channels, first.side * first.side)?;
        let run = RoundRun { pass, narrow };
        self.rounds[0].run(&run, &image, first, result, intermediate, products, workspaces)?;
        let map = Panels::new(result, T2T_WIDTH, plan.layouts[0])?;
        self.rounds[1].run(&run, &map, second, last, intermediate, products, workspaces)?;
        debug_assert_eq!(third.side * third.side, plan.layouts[1].columns());
        Ok(Panels::new(last, T2T_WIDTH, plan.layouts[1])?)
    }
}
