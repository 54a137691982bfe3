//! Tokens-to-token (Yuan et al. 2021): two rounds of unfolding and attention that turn pixels into 64-channel tokens.
//!
//! A round unfolds the map before it, norms the windows and attends among them, with softmax or with the performer's linear
//! attention; the third unfolding feeds the embedding's projection ([`crate::layers::embed`]).

mod round;

use kernels::{Level, PackedMatrix, PanelLayout, Panels, attention_scratch_len};

use crate::config::{FEATURES, Rounds, T2T_WIDTH};
use crate::exec::error::RunError;
use crate::exec::pass::Pass;
use crate::exec::share::layout_of_vectors;
use crate::packed::layout::{Layout, Reader, aligned};
use round::{Round, RoundRun, VALUES};

/// Both rounds' weights.
pub(crate) struct T2t<L: Layout> {
    sizes: Rounds,
    rounds: [Round<L>; 2],
}

/// How the rounds' part of an image's scratch is divided.
///
/// In front lie the first round's intermediate panels, and later the second round's result and its intermediate panels; then
/// the first round's result; then the performer's products.
pub(crate) struct Plan {
    /// How each round's tokens lie in panels.
    layouts: [PanelLayout; 2],
    /// What each round keeps of its tokens from one pass over them to the next.
    intermediates: [usize; 2],
    /// Each round's result: 64 x tokens.
    results: [usize; 2],
    /// The performer's products along tokens, as they are and packed.
    products: usize,
}

impl Plan {
    pub(crate) fn new(sizes: &Rounds, level: Level, threads: usize) -> Self {
        let windows = sizes.windows();
        let layouts = [0, 1].map(|round| layout_of_vectors(level, threads, windows[round].grid().pow(2)));
        let rows = round::intermediate_rows(sizes);
        Plan {
            intermediates: layouts.map(|layout| aligned(rows * layout.padded())),
            results: layouts.map(|layout| aligned(T2T_WIDTH * layout.padded())),
            layouts,
            products: aligned(VALUES * FEATURES) + aligned(PackedMatrix::<f32>::packed_len(VALUES, FEATURES)),
        }
    }

    pub(crate) fn scratch_len(&self) -> usize {
        self.front() + self.results[0] + self.products
    }

    /// What the first round needs no longer when the second writes its result.
    fn front(&self) -> usize {
        self.intermediates[0].max(self.results[1] + self.intermediates[1])
    }

    /// Values at the front of the scratch that hold the map after [`T2t::run`].
    pub(crate) fn map_len(&self) -> usize {
        self.results[1]
    }

    /// The map that the third unfolding reads, in what [`T2t::run`] has left at the front of the scratch.
    pub(crate) fn map<'s>(&self, scratch: &'s [f32]) -> Result<Panels<'s>, RunError> {
        Ok(Panels::new(&scratch[..T2T_WIDTH * self.layouts[1].padded()], T2T_WIDTH, self.layouts[1])?)
    }

    /// Rows and the widest panel of a thread's workspace; and what attention's scores need.
    pub(crate) fn workspace(&self, sizes: &Rounds) -> (usize, usize, usize) {
        let rows = sizes.inputs(0).max(sizes.inputs(1)).max(VALUES);
        let scores = if sizes.is_performer() { 0 } else { attention_scratch_len(self.layouts[0].columns()) };
        (rows, self.layouts[0].max_width().max(self.layouts[1].max_width()), scores)
    }
}

impl<L: Layout> T2t<L> {
    pub(crate) fn list(layout: &mut L, sizes: Rounds) -> Self {
        T2t { sizes, rounds: [Round::list(layout, &sizes, 0), Round::list(layout, &sizes, 1)] }
    }
}

impl T2t<Reader<'_>> {
    /// Leaves the map that the third unfolding reads, [`Plan::map`], in `scratch`. `narrow` is the length of a workspace's first part.
    pub(crate) fn run(
        &self,
        pass: &Pass,
        plan: &Plan,
        narrow: usize,
        image: &[f32],
        scratch: &mut [f32],
        workspaces: &mut [f32],
    ) -> Result<(), RunError> {
        let (front, rest) = scratch.split_at_mut(plan.front());
        let (map, products) = rest.split_at_mut(plan.results[0]);
        let map = &mut map[..T2T_WIDTH * plan.layouts[0].padded()];
        let [first, second, third] = self.sizes.windows();
        let run = |round: usize, windows| RoundRun { pass, layout: plan.layouts[round], windows, narrow };

        let image = Panels::single(image, self.sizes.in_channels, first.side * first.side)?;
        self.rounds[0].run(&run(0, first), &image, map, front, products, workspaces)?;
        let map = Panels::new(map, T2T_WIDTH, plan.layouts[0])?;
        let (last, intermediate) = front.split_at_mut(plan.results[1]);
        let last = &mut last[..T2T_WIDTH * plan.layouts[1].padded()];
        self.rounds[1].run(&run(1, second), &map, last, intermediate, products, workspaces)?;
        debug_assert_eq!(third.side * third.side, plan.layouts[1].columns());
        Ok(())
    }
}
