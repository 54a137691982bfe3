//! One stage's steps, each a pass over its token panels.

use core::ops::Range;

use kernels::{ChannelOrder, Column, Error, Level, PanelLayout, Panels, View, ViewMut};

use crate::RunError;
use crate::block::{Block, Workspace};
use crate::config::{Stage, SwinConfig};
use crate::head::{Stream, TokenOrder};
use crate::linear::{Linear, Norm};
use crate::packing::{Cut, aligned};
use crate::pass::{Operation, Pass};
use crate::split::{self, for_each_panel};
use crate::unfold::Windows;
use crate::window::WindowOrder;

/// Tokens of a panel of several windows, at most.
const TOKENS: usize = 200;

/// How a stage's tokens lie in panels: whole windows, or parts of windows where there are fewer windows than threads.
///
/// Windows of 49 tokens leave one token that fills no vector, and four together cost less than one by one (3 % of
/// swin_extra_tiny), hence so many tokens a panel.
pub(super) fn layout(level: Level, threads: usize, stage: &Stage) -> PanelLayout {
    let (tokens, window) = (stage.tokens(), stage.window * stage.window);
    let windows_a_thread = tokens / window / threads;
    if windows_a_thread == 0 {
        return split::layout(level, threads, tokens);
    }
    level.panels_of_width(tokens, windows_a_thread.min((TOKENS / window).max(1)) * window)
}

/// What the steps of one stage have in common.
pub(super) struct StageRun<'r> {
    pub pass: &'r Pass<'r>,
    pub stage: Stage,
    pub layout: PanelLayout,
    /// The first piece of a workspace.
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

    fn for_each_panel(
        &self,
        rows: usize,
        data: &mut [f32],
        workspaces: &mut [f32],
        work: &(dyn Fn(usize, ViewMut, &mut Workspace) -> Result<(), RunError> + Sync),
    ) -> Result<(), RunError> {
        let data = &mut data[..rows * self.layout.padded()];
        for_each_panel(self.pass, &self.layout, rows, data, workspaces, &|panel, values, scratch| {
            work(panel, values, &mut Workspace::cut(scratch, self.narrow))
        })
    }

    /// Patches, projected and normed, in the first stage's window order.
    pub(super) fn embed(
        &self,
        config: &SwinConfig,
        cut: &mut Cut,
        image: &[f32],
        stream: &mut [f32],
        workspaces: &mut [f32],
    ) -> Result<(), RunError> {
        let (channels, inputs) = (self.stage.channels, config.patch_values());
        let (proj, norm) = (Linear::cut(cut, channels, inputs), Norm::cut(cut, channels));
        let side = config.image_size;
        let patches = Windows { side, kernel: config.patch_size, stride: config.patch_size, padding: 0 };
        let image = Panels::single(image, config.in_channels, side * side)?;
        let order = self.windows(0);
        self.for_each_panel(channels, stream, workspaces, &|panel, mut x, workspace| {
            let tokens = order.tokens(self.places(panel)).map(|[y, x]| Some(y * self.stage.side + x));
            let mut unfolded = self.pass.matrix(workspace.wide, inputs, x.columns())?;
            patches.unfold(&image, tokens, &mut unfolded);
            self.pass.done(Operation::Unfold, 0);
            let mut product = self.pass.matrix(workspace.narrow, channels, x.columns())?;
            proj.run(self.pass, Operation::Embedding, &unfolded.as_view(), &mut product)?;
            Ok(norm.run(self.pass, &product.as_view(), config.layer_norm_eps as f32, &mut x)?)
        })
    }

    /// The places of a panel's tokens.
    fn places(&self, panel: usize) -> Range<usize> {
        self.layout.range(panel)
    }

    /// This stage's stream from the one before it: 2x2 tokens become one.
    pub(super) fn merge(
        &self,
        config: &SwinConfig,
        cut: &mut Cut,
        before: &StageRun,
        source: &Stream,
        stream: &mut [f32],
        workspaces: &mut [f32],
    ) -> Result<(), RunError> {
        let (half, merged) = (before.stage.dim, 4 * before.stage.dim);
        let halves = before.stage.channels / half;
        let (order, from) = (self.windows(0), before.windows(0));
        for part in 0..halves {
            let (norm, reduction) = (Norm::cut(cut, merged), Linear::cut(cut, merged / 2, merged));
            self.for_each_panel(self.stage.channels, stream, workspaces, &|panel, x, workspace| {
                let mut merging = self.pass.matrix(workspace.wide, merged, x.columns())?;
                // Columns of the 2x2 cells in the order (0, 0), (1, 0), (0, 1), (1, 1).
                for quadrant in 0..4 {
                    let cells = order.tokens(self.places(panel));
                    let places = cells.map(|[y, x]| from.place([2 * y + quadrant % 2, 2 * x + quadrant / 2]));
                    let mut out = merging.reborrow().row_range(quadrant * half..(quadrant + 1) * half)?;
                    gather(source, part * half..(part + 1) * half, places, &mut out)?;
                }
                self.pass.done(Operation::Gather, 0);
                let mut normed = self.pass.matrix(workspace.narrow, merged, x.columns())?;
                norm.run(self.pass, &merging.as_view(), config.layer_norm_eps as f32, &mut normed)?;
                let mut out = x.row_range(part * merged / 2..(part + 1) * merged / 2)?;
                Ok(reduction.run(self.pass, Operation::Merging, &normed.as_view(), &mut out)?)
            })?;
        }
        Ok(())
    }

    /// One block, in place on the attended channels of the stream.
    #[allow(clippy::too_many_arguments, reason = "four buffers, each with a use of its own")]
    pub(super) fn block(
        &self,
        i: usize,
        block: &Block,
        biases: &[f32],
        order: ChannelOrder,
        stream: &mut [f32],
        qkv: &mut [f32],
        shifted: &mut [f32],
        workspaces: &mut [f32],
    ) -> Result<(), RunError> {
        let dim = self.stage.dim;
        let windows = self.windows(self.stage.shift(i));
        let source = self.stream(stream, order);
        self.for_each_panel(3 * dim, qkv, workspaces, &|panel, mut qkv, workspace| {
            if windows.shift == 0 {
                let x = source.panel(panel)?.row_range(0..dim)?;
                return Ok(block.project(self.pass, &x, &mut qkv, workspace.narrow)?);
            }
            let places = windows.tokens(self.places(panel)).map(|token| self.windows(0).place(token));
            let mut x = self.pass.matrix(workspace.wide, dim, qkv.columns())?;
            gather(&source, 0..dim, places, &mut x)?;
            self.pass.done(Operation::Gather, 0);
            Ok(block.project(self.pass, &x.as_view(), &mut qkv, workspace.narrow)?)
        })?;
        let qkv = Panels::new(&qkv[..3 * dim * self.layout.padded()], 3 * dim, self.layout)?;
        if windows.shift > 0 {
            self.for_each_panel(dim, shifted, workspaces, &|panel, mut y, workspace| {
                let context = self.attend(block, biases, &windows, &qkv, panel, workspace)?;
                Ok(block.project_context(self.pass, &context.as_view(), &mut y)?)
            })?;
        }
        let shifted = Panels::new(&shifted[..dim * self.layout.padded()], dim, self.layout)?;
        self.for_each_panel(self.stage.channels, stream, workspaces, &|panel, x, workspace| {
            let mut x = x.reorder_rows(order)?.row_range(0..dim)?;
            if windows.shift == 0 {
                let context = self.attend(block, biases, &windows, &qkv, panel, workspace)?;
                block.join(self.pass, &context.as_view(), &mut x)?;
            } else {
                let places = self.windows(0).tokens(self.places(panel)).map(|token| windows.place(token));
                add_gathered(block.alpha(), &shifted, places, &mut x);
                self.pass.done(Operation::Gather, 0);
            }
            Ok(block.mlp(self.pass, &mut x, workspace)?)
        })
    }

    /// The attention output of one panel's windows, dim x tokens, in `workspace.narrow`.
    fn attend<'s>(
        &self,
        block: &Block,
        biases: &[f32],
        windows: &WindowOrder,
        qkv: &Panels,
        panel: usize,
        workspace: &'s mut Workspace,
    ) -> Result<ViewMut<'s>, Error> {
        let (places, n) = (self.places(panel), windows.window_tokens());
        let (mask, scratch) = workspace.wide.split_at_mut(mask_len(n));
        let mut context = self.pass.matrix(workspace.narrow, self.stage.dim, places.len())?;
        let mut start = places.start;
        // The panel's part of each window that it has a part of: mostly all of it.
        while start < places.end {
            let window = start / n;
            let stop = places.end.min((window + 1) * n);
            let queries = start - window * n..stop - window * n;
            let mask = match windows.is_split(window) {
                true => Some(fill_mask(windows, window, mask)?.column_range(queries.clone())?),
                false => None,
            };
            let columns = start - places.start..stop - places.start;
            let q = qkv.panel(panel).column_range(columns.clone())?;
            let kv = qkv.column_range(window * n..(window + 1) * n)?;
            for head in 0..self.stage.heads {
                let bias = View::new(&biases[head * n * n..], n, n)?.column_range(queries.clone())?;
                let out = context.reborrow().column_range(columns.clone())?;
                let mut out = out.row_range(block.head_rows(head))?;
                block.attend(self.pass, &block.head(head, &q, &kv, [Some(bias), mask])?, &mut out, scratch)?;
            }
            start = stop;
        }
        Ok(context)
    }
}

/// Values of [`fill_mask`]'s scratch for windows of n tokens.
pub(super) fn mask_len(n: usize) -> usize {
    aligned(n * n + n)
}

/// Keys x queries of a window: 0 where they may attend to each other, -infinity where not.
fn fill_mask<'s>(windows: &WindowOrder, window: usize, scratch: &'s mut [f32]) -> Result<View<'s>, Error> {
    let n = windows.window_tokens();
    let (mask, regions) = scratch.split_at_mut(n * n);
    for (t, region) in regions[..n].iter_mut().enumerate() {
        *region = windows.region(window * n + t) as f32;
    }
    for (mask, key) in mask.chunks_exact_mut(n).zip(&*regions) {
        for (mask, query) in mask.iter_mut().zip(&*regions) {
            *mask = if key == query { 0.0 } else { f32::NEG_INFINITY };
        }
    }
    View::new(mask, n, n)
}

/// Columns that are gathered together.
const CHUNK: usize = 64;

/// Calls `work(first column, tokens)` for the columns of `y` at the given places, some at a time: gathered row by row, each
/// row is written in one go.
fn for_each_chunk<'y>(
    y: &Panels<'y>,
    mut places: impl Iterator<Item = usize>,
    mut work: impl FnMut(usize, &[Column<'y>]),
) {
    let Some(place) = places.next() else { return };
    let (mut first, mut next) = (0, Some(place));
    while let Some(place) = next {
        let mut tokens = [y.column(place); CHUNK];
        let mut count = 1;
        next = places.next();
        while let Some(place) = next.filter(|_| count < CHUNK) {
            tokens[count] = y.column(place);
            count += 1;
            next = places.next();
        }
        work(first, &tokens[..count]);
        first += count;
    }
}

/// Column `c` of `out` becomes the given channels of the stream's token at the c-th place.
fn gather(
    source: &Stream,
    channels: Range<usize>,
    places: impl Iterator<Item = usize>,
    out: &mut ViewMut,
) -> Result<(), Error> {
    let stream = source.panels()?;
    for_each_chunk(&stream, places, |first, tokens| {
        for (row, position) in channels.clone().enumerate() {
            let channel = source.order.channel(position);
            let out = &mut out.row_mut(row).expect("a row-major matrix")[first..];
            out.iter_mut().zip(tokens).for_each(|(y, token)| *y = token.at(channel));
        }
    });
    Ok(())
}

/// `x = scale * x + column of y`, the columns of `y` being those at the given places.
fn add_gathered(scale: f32, y: &Panels, places: impl Iterator<Item = usize>, x: &mut ViewMut) {
    for_each_chunk(y, places, |first, tokens| {
        for row in 0..x.rows() {
            let x = &mut x.row_mut(row).expect("panels have contiguous rows")[first..];
            x.iter_mut().zip(tokens).for_each(|(x, token)| *x = scale * *x + token.at(row));
        }
    });
}
