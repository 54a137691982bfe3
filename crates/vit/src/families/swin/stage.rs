//! One stage's steps, each a pass over its token panels.

use core::ops::Range;

use kernels::{ChannelOrder, Level, PanelLayout, Panels, ViewMut};

use super::weights::{Embedding, MergingPart};
use crate::config::{Stage, SwinConfig, Windows};
use crate::exec::error::RunError;
use crate::exec::pass::{Operation, Pass};
use crate::exec::share::{self, for_each_panel};
use crate::exec::workspace::Workspace;
use crate::layers::stream::{Stream, TokenOrder};
use crate::layers::window::WindowOrder;
use crate::packed::layout::Reader;

/// Tokens of a panel of several windows, at most.
const TOKENS: usize = 200;

/// How a stage's tokens lie in panels: whole windows, or parts of windows where there are fewer windows than threads.
///
/// Windows of 49 tokens leave one token that fills no vector, and four together cost less than one by one (3 % of
/// swin_extra_tiny), hence so many tokens a panel.
pub(super) fn layout(level: Level, threads: usize, stage: &Stage) -> PanelLayout {
    if !has_whole_windows(threads, stage) {
        return share::layout(level, threads, stage.tokens());
    }
    let window = stage.window * stage.window;
    let windows_a_thread = stage.tokens() / window / threads;
    level
        .panels_of_width(stage.tokens(), windows_a_thread.min((TOKENS / window).max(1)) * window)
        .expect("panels with columns")
}

/// Whether a stage has a window for each thread, so that panels are whole windows.
pub(super) fn has_whole_windows(threads: usize, stage: &Stage) -> bool {
    stage.tokens() / (stage.window * stage.window) >= threads
}

/// What the steps of one stage have in common.
pub(super) struct StageRun<'r> {
    pub pass: &'r Pass<'r>,
    pub stage: Stage,
    pub layout: PanelLayout,
    /// The length of a workspace's first part.
    pub narrow: usize,
}

impl StageRun<'_> {
    /// The order of tokens in windows shifted by `shift`; the stream is kept in that of no shift.
    pub(super) fn windows(&self, shift: usize) -> WindowOrder {
        WindowOrder { side: self.stage.side, window: self.stage.window, shift }
    }

    pub(super) fn stream<'s>(&self, data: &'s [f32], order: ChannelOrder) -> Stream<'s> {
        let len = self.stage.channels * self.layout.padded();
        Stream { data: &data[..len], layout: self.layout, order, tokens: TokenOrder::AsStored }
    }

    pub(super) fn for_each_panel(
        &self,
        rows: usize,
        data: &mut [f32],
        workspaces: &mut [f32],
        work: &(dyn Fn(usize, ViewMut, &mut Workspace) -> Result<(), RunError> + Sync),
    ) -> Result<(), RunError> {
        let data = &mut data[..rows * self.layout.padded()];
        for_each_panel(self.pass, &self.layout, rows, data, workspaces, &|panel, values, scratch| {
            work(panel, values, &mut Workspace::new(scratch, self.narrow))
        })
    }

    /// Patches, projected and normed, in the first stage's window order.
    pub(super) fn embed(
        &self,
        config: &SwinConfig,
        weights: &Embedding<Reader>,
        image: &[f32],
        stream: &mut [f32],
        workspaces: &mut [f32],
    ) -> Result<(), RunError> {
        let (channels, inputs) = (self.stage.channels, config.patch_values());
        let side = config.image_size;
        let patches = Windows::patches(side, config.patch_size);
        let image = Panels::single(image, config.in_channels, side * side)?;
        let order = self.windows(0);
        self.for_each_panel(channels, stream, workspaces, &|panel, mut x, workspace| {
            let tokens = order.tokens(self.places(panel)).map(|[y, x]| Some(y * self.stage.side + x));
            let mut unfolded = self.pass.matrix(workspace.wide, inputs, x.columns())?;
            patches.unfold(&image, tokens, &mut unfolded);
            self.pass.done(Operation::Unfold, 0);
            let mut product = self.pass.matrix(workspace.narrow, channels, x.columns())?;
            weights.proj.run(self.pass, Operation::Embedding, &unfolded.as_view(), &mut product)?;
            Ok(weights.norm.run(self.pass, &product.as_view(), config.layer_norm_eps as f32, &mut x)?)
        })
    }

    /// The places of a panel's tokens.
    pub(super) fn places(&self, panel: usize) -> Range<usize> {
        self.layout.range(panel)
    }

    /// This stage's stream from that of the one before it, stage `s`: 2x2 tokens become one.
    #[allow(clippy::too_many_arguments, reason = "a stage's weights, input, output and scratch")]
    pub(super) fn merge(
        &self,
        config: &SwinConfig,
        reader: &mut Reader,
        s: usize,
        before: &StageRun,
        source: &Stream,
        stream: &mut [f32],
        workspaces: &mut [f32],
    ) -> Result<(), RunError> {
        let (half, merged) = (before.stage.dim, 4 * before.stage.dim);
        let halves = before.stage.channels / half;
        let (order, from) = (self.windows(0), before.windows(0));
        for part in 0..halves {
            let weights = MergingPart::list(reader, config, s, part);
            self.for_each_panel(self.stage.channels, stream, workspaces, &|panel, x, workspace| {
                let mut merging = self.pass.matrix(workspace.wide, merged, x.columns())?;
                // Columns of the 2x2 cells in the order (0, 0), (1, 0), (0, 1), (1, 1).
                for quadrant in 0..4 {
                    let cells = order.tokens(self.places(panel));
                    let places = from.places(cells.map(|[y, x]| [2 * y + quadrant % 2, 2 * x + quadrant / 2]));
                    let mut out = merging.reborrow().row_range(quadrant * half..(quadrant + 1) * half)?;
                    source.gather(part * half..(part + 1) * half, places, &mut out)?;
                }
                self.pass.done(Operation::Gather, 0);
                let mut normed = self.pass.matrix(workspace.narrow, merged, x.columns())?;
                weights.norm.run(self.pass, &merging.as_view(), config.layer_norm_eps as f32, &mut normed)?;
                let mut out = x.row_range(part * merged / 2..(part + 1) * merged / 2)?;
                Ok(weights.reduction.run(self.pass, Operation::Merging, &normed.as_view(), &mut out)?)
            })?;
        }
        Ok(())
    }
}
