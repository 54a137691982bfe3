//! One stage's steps, each a pass over its token panels.

use core::ops::Range;

use kernels::{ChannelOrder, Error, Level, PanelLayout, Panels, View, ViewMut, attention};

use crate::RunError;
use crate::block::{Block, Workspace};
use crate::config::{Stage, SwinConfig};
use crate::head::{Stream, TokenOrder};
use crate::linear::{Linear, Norm};
use crate::packing::{Cut, aligned};
use crate::split::for_each_panel;
use crate::unfold::Windows;
use crate::window::WindowOrder;

/// What the steps of one stage have in common.
pub(super) struct StageRun {
    pub level: Level,
    pub threads: usize,
    pub stage: Stage,
    pub layout: PanelLayout,
    /// The first piece of a workspace.
    pub narrow: usize,
}

impl StageRun {
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
        for_each_panel(self.threads, &self.layout, rows, data, workspaces, &|panel, values, scratch| {
            let values = ViewMut::new(values, rows, self.layout.width(panel))?;
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
            let width = x.columns();
            let tokens = self.layout.range(panel).map(|t| self.token(&order, t).map(|[y, x]| y * self.stage.side + x));
            patches.unfold(&image, tokens, width, workspace.wide);
            let mut product = ViewMut::new(workspace.narrow, channels, width)?;
            proj.run(self.level, &View::new(workspace.wide, inputs, width)?, &mut product)?;
            Ok(norm.run(self.level, &product.as_view(), config.layer_norm_eps as f32, &mut x)?)
        })
    }

    /// Row and column of the token at a place of an order, unless the place is padding.
    fn token(&self, order: &WindowOrder, place: usize) -> Option<[usize; 2]> {
        (place < self.stage.tokens()).then(|| order.token(place))
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
                let width = x.columns();
                // Columns of the 2x2 cells in the order (0, 0), (1, 0), (0, 1), (1, 1).
                for quadrant in 0..4 {
                    let places = self.layout.range(panel).map(|place| {
                        let [y, x] = self.token(&order, place)?;
                        Some(from.place([2 * y + quadrant % 2, 2 * x + quadrant / 2]))
                    });
                    let out = &mut workspace.wide[quadrant * half * width..];
                    gather(source, part * half..(part + 1) * half, places, width, out);
                }
                let mut normed = ViewMut::new(workspace.narrow, merged, width)?;
                let cells = View::new(workspace.wide, merged, width)?;
                norm.run(self.level, &cells, config.layer_norm_eps as f32, &mut normed)?;
                let mut out = x.row_range(part * merged / 2..(part + 1) * merged / 2)?;
                Ok(reduction.run(self.level, &normed.as_view(), &mut out)?)
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
            let width = qkv.columns();
            if windows.shift == 0 {
                let x = source.panel(panel)?.row_range(0..dim)?;
                return Ok(block.project(self.level, &x, &mut qkv, workspace.narrow)?);
            }
            let places =
                self.layout.range(panel).map(|place| Some(self.windows(0).place(self.token(&windows, place)?)));
            gather(&source, 0..dim, places, width, workspace.wide);
            let x = View::new(workspace.wide, dim, width)?;
            Ok(block.project(self.level, &x, &mut qkv, workspace.narrow)?)
        })?;
        let qkv = Panels::new(&qkv[..3 * dim * self.layout.padded()], 3 * dim, self.layout)?;
        if windows.shift > 0 {
            self.for_each_panel(dim, shifted, workspaces, &|panel, mut y, workspace| {
                self.attend(block, biases, &windows, &qkv, panel, workspace)?;
                Ok(block.project_context(self.level, &mut y, workspace.narrow)?)
            })?;
        }
        let shifted = Panels::new(&shifted[..dim * self.layout.padded()], dim, self.layout)?;
        self.for_each_panel(self.stage.channels, stream, workspaces, &|panel, x, workspace| {
            let mut x = x.reorder_rows(order)?.row_range(0..dim)?;
            if windows.shift == 0 {
                self.attend(block, biases, &windows, &qkv, panel, workspace)?;
                block.join(self.level, &mut x, workspace.narrow)?;
            } else {
                let places =
                    self.layout.range(panel).map(|place| Some(windows.place(self.token(&self.windows(0), place)?)));
                add_gathered(block.alpha(), &shifted, places, &mut x);
            }
            Ok(block.mlp(self.level, &mut x, workspace)?)
        })
    }

    /// The attention output of one panel's tokens, dim x width, in `workspace.narrow`.
    fn attend(
        &self,
        block: &Block,
        biases: &[f32],
        windows: &WindowOrder,
        qkv: &Panels,
        panel: usize,
        workspace: &mut Workspace,
    ) -> Result<(), Error> {
        let (range, n) = (self.layout.range(panel), windows.window_tokens());
        let end = range.start + self.layout.valid(panel);
        let (mask, scratch) = workspace.wide.split_at_mut(mask_len(n));
        let mut context = ViewMut::new(workspace.narrow, self.stage.dim, range.len())?;
        let mut start = range.start;
        // The panel's part of each window that it has a part of.
        while start < end {
            let window = start / n;
            let stop = end.min((window + 1) * n);
            let queries = start - window * n..stop - window * n;
            let mask = match windows.is_split(window) {
                true => Some(fill_mask(windows, window, mask)?.column_range(queries.clone())?),
                false => None,
            };
            let columns = start - range.start..stop - range.start;
            let q = qkv.panel(panel).column_range(columns.clone())?;
            let kv = qkv.column_range(window * n..(window + 1) * n)?;
            for head in 0..self.stage.heads {
                let bias = View::new(&biases[head * n * n..], n, n)?.column_range(queries.clone())?;
                let biases = [bias, mask.unwrap_or(bias)];
                let biases = &biases[..1 + usize::from(mask.is_some())];
                let out = context.reborrow().column_range(columns.clone())?;
                let mut out = out.row_range(block.head_rows(head))?;
                attention(self.level, &block.head(head, &q, &kv, biases)?, &mut out, scratch)?;
            }
            start = stop;
        }
        for r in 0..self.stage.dim {
            context.row_mut(r).expect("a row-major matrix")[self.layout.valid(panel)..].fill(0.0);
        }
        Ok(())
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

/// Column `c` of `out` becomes the given channels of the stream's token at the c-th place; zero where there is none.
fn gather(
    source: &Stream,
    channels: Range<usize>,
    places: impl Iterator<Item = Option<usize>>,
    width: usize,
    out: &mut [f32],
) {
    for (column, place) in places.enumerate() {
        let out = out[column..].iter_mut().step_by(width);
        match place {
            Some(place) => out.zip(source.token(place, channels.clone())).for_each(|(y, x)| *y = x),
            None => out.take(channels.len()).for_each(|y| *y = 0.0),
        }
    }
}

/// `x = scale * x + column of y`, the columns of `y` being those at the given places.
fn add_gathered(scale: f32, y: &Panels, places: impl Iterator<Item = Option<usize>>, x: &mut ViewMut) {
    for (column, place) in places.enumerate() {
        let Some(place) = place else { continue };
        for (r, y) in y.column(place).iter().enumerate() {
            let x = x.at_mut(r, column);
            *x = scale * *x + y;
        }
    }
}
