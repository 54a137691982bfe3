//! Swin: stages of windowed attention, patch merging between them; the module treats the two halves of a merging apart.
//!
//! Each stage keeps its tokens window by window, so that an unshifted block finds a window's keys side by side. A shifted block
//! gathers its norm's input in the shifted order and the residual finds its summand there; nothing else moves.

use core::ops::Range;

use kernels::{ChannelOrder, Error, Level, PanelLayout, Panels, View, ViewMut, attention, attention_scratch_len};

use crate::block::{Block, Shape, Workspace};
use crate::config::{Merging, Pool, Stage, SwinConfig, TensorName};
use crate::head::{self, Head, Stream, TokenOrder};
use crate::linear::{Linear, Norm};
use crate::packing::{Cut, PackError, Packer, aligned, fetch};
use crate::split::for_each_panel;
use crate::unfold::Windows;
use crate::window::WindowOrder;
use crate::{RunError, Tap, Tensors};

/// A Swin model over its packed weights.
#[derive(Clone, Copy)]
pub(crate) struct Swin<'w> {
    config: SwinConfig,
    packed: &'w [f32],
}

impl SwinConfig {
    fn block_shape(&self, stage: &Stage) -> Shape {
        Shape { dim: stage.dim, heads: stage.heads, hidden: stage.hidden, eps: self.layer_norm_eps as f32 }
    }

    fn head_shape(&self) -> head::Shape {
        let last = self.last();
        head::Shape {
            channels: last.channels,
            classes: self.num_classes,
            class_tokens: 0,
            patches: last.tokens(),
            distilled: false,
            pool: Pool::Avg,
            norm_after_pool: false,
            eps: self.layer_norm_eps as f32,
        }
    }
}

/// Values of the packed weights: embedding, then each stage's blocks, biases and merging, then the head.
pub(crate) fn packed_len(config: &SwinConfig) -> usize {
    let stages: usize = (0..config.depths.len()).map(|s| stage_len(config, s)).sum();
    embedding_len(config) + stages + Head::packed_len(&config.head_shape())
}

fn embedding_len(config: &SwinConfig) -> usize {
    let channels = config.stage(0).channels;
    Linear::packed_len(channels, config.patch_values()) + Norm::packed_len(channels)
}

fn block_len(config: &SwinConfig, stage: &Stage) -> usize {
    config.block_shape(stage).packed_len() + aligned(bias_len(stage))
}

/// Values of a block's position biases: heads x keys x queries of a window.
fn bias_len(stage: &Stage) -> usize {
    stage.heads * stage.window.pow(4)
}

fn stage_len(config: &SwinConfig, s: usize) -> usize {
    let stage = config.stage(s);
    let merged = 4 * stage.dim;
    let mergings = if s + 1 < config.depths.len() { Merging::names(config.shuffle).len() } else { 0 };
    stage.depth * block_len(config, &stage)
        + mergings * (Norm::packed_len(merged) + Linear::packed_len(merged / 2, merged))
}

pub(crate) fn pack<T: Tensors>(config: &SwinConfig, packer: &mut Packer<T>) -> Result<(), PackError<T::Error>> {
    use TensorName::Top;
    let (channels, p) = (config.stage(0).channels, config.patch_size);
    let shape = [channels, config.in_channels, p, p];
    Linear::pack(packer, Top("patch_embed.proj.weight"), Some(Top("patch_embed.proj.bias")), &shape)?;
    Norm::pack(packer, Top("patch_embed.norm.weight"), Top("patch_embed.norm.bias"), channels)?;
    for (s, stage) in config.stages().enumerate() {
        for i in 0..stage.depth {
            let name = |suffix| TensorName::StageBlock(s, i, suffix);
            Block::pack(packer, name, config.block_shape(&stage), config.rescale, config.qkv_bias)?;
            pack_biases(packer, name("attn.relative_position_bias_table"), &stage)?;
        }
        if s + 1 < config.depths.len() {
            let merged = 4 * stage.dim;
            for [norm, norm_bias, reduction] in Merging::names(config.shuffle) {
                let name = |suffix| TensorName::Stage(s, suffix);
                Norm::pack(packer, name(norm), name(norm_bias), merged)?;
                Linear::pack(packer, name(reduction), None, &[merged / 2, merged])?;
            }
        }
    }
    Head::pack(packer, &config.head_shape())
}

/// Spreads the table, a row for each offset of query from key, to a matrix of keys x queries for each head.
fn pack_biases<T: Tensors>(packer: &mut Packer<T>, name: TensorName, stage: &Stage) -> Result<(), PackError<T::Error>> {
    let (w, heads) = (stage.window, stage.heads);
    let (n, offsets) = (w * w, 2 * w - 1);
    let (source, biases) = packer.custom(bias_len(stage));
    let table = fetch(source, name, &[offsets * offsets, heads])?;
    for (i, bias) in biases.iter_mut().enumerate() {
        let (head, key, query) = (i / (n * n), i / n % n, i % n);
        let offset = |axis: fn(usize, usize) -> usize| axis(query, w) + w - 1 - axis(key, w);
        let row = offset(|t, w| t / w) * offsets + offset(|t, w| t % w);
        *bias = table[row * heads + head];
    }
    Ok(())
}

/// How one image's scratch is cut.
struct Plan {
    /// The streams of even and of odd stages.
    streams: [usize; 2],
    qkv: usize,
    /// Attention's part of the residual in shifted blocks.
    shifted: usize,
    narrow: usize,
    workspace: usize,
}

impl Plan {
    fn new(config: &SwinConfig, level: Level) -> Self {
        let mut plan = Plan { streams: [0; 2], qkv: 0, shifted: 0, narrow: 0, workspace: 0 };
        let mut wide = 0;
        for (s, stage) in config.stages().enumerate() {
            let layout = level.panels(stage.tokens());
            let (tokens, width, n) = (layout.padded(), layout.max_width(), stage.window * stage.window);
            // A merging's input and output stand beside each other, as patches and the embedding's product do.
            let rows = stage.hidden.max(config.patch_values()).max(stage.channels).max(4 * stage.dim);
            plan.streams[s % 2] = plan.streams[s % 2].max(aligned(stage.channels * tokens));
            plan.qkv = plan.qkv.max(aligned(3 * stage.dim * tokens));
            plan.shifted = plan.shifted.max(aligned(stage.dim * tokens));
            plan.narrow = plan.narrow.max(aligned(rows * width));
            wide = wide.max(aligned((rows * width).max(attention_scratch_len(n))) + mask_len(n));
        }
        let head = Head::scratch_len(&config.head_shape(), level.panels(config.last().tokens()).max_width());
        plan.workspace = (plan.narrow + wide).max(head);
        plan
    }

    fn scratch_len(&self, threads: usize) -> usize {
        self.streams[0] + self.streams[1] + self.qkv + self.shifted + threads * self.workspace
    }
}

impl<'w> Swin<'w> {
    /// `packed` holds exactly [`packed_len`] values.
    pub(crate) fn new(config: SwinConfig, packed: &'w [f32]) -> Self {
        Swin { config, packed }
    }

    pub(crate) fn scratch_len(&self, level: Level, threads: usize) -> usize {
        Plan::new(&self.config, level).scratch_len(threads)
    }

    /// The logits of one image, on `threads` threads.
    pub(crate) fn run(
        &self,
        level: Level,
        threads: usize,
        image: &[f32],
        logits: &mut [f32],
        scratch: &mut [f32],
        mut tap: Option<&mut dyn FnMut(Tap)>,
    ) -> Result<(), RunError> {
        let config = &self.config;
        let plan = Plan::new(config, level);
        let (mut current, rest) = scratch.split_at_mut(plan.streams[0]);
        let (mut other, rest) = rest.split_at_mut(plan.streams[1]);
        let (qkv, rest) = rest.split_at_mut(plan.qkv);
        let (shifted, workspaces) = rest.split_at_mut(plan.shifted);
        let workspaces = &mut workspaces[..threads * plan.workspace];
        let run = |stage: Stage| StageRun {
            level,
            threads,
            stage,
            layout: level.panels(stage.tokens()),
            narrow: plan.narrow,
        };

        let mut cut = Cut(self.packed);
        run(config.stage(0)).embed(config, &mut cut, image, current, workspaces)?;
        for s in 0..config.depths.len() {
            let stage = run(config.stage(s));
            let mut order = ChannelOrder::identity(stage.stage.channels);
            for i in 0..stage.stage.depth {
                let block = Block::cut(&mut cut, config.block_shape(&stage.stage));
                let biases = cut.take(bias_len(&stage.stage));
                stage.block(i, &block, biases, order, current, qkv, shifted, workspaces)?;
                if config.shuffle {
                    order = order.then(ChannelOrder::shuffle(stage.stage.channels, 2)?)?;
                }
            }
            let stream = stage.stream(current, order);
            if let Some(tap) = &mut tap {
                let tokens = stage.stage.tokens();
                let stream = Stream { tokens: TokenOrder::Windows(stage.windows(0)), ..stream };
                tap(Tap { index: s, tokens, stream });
            }
            if s + 1 < config.depths.len() {
                run(config.stage(s + 1)).merge(config, &mut cut, &stage, &stream, other, workspaces)?;
                (current, other) = (other, current);
            } else {
                let head = Head::cut(&mut cut, &config.head_shape());
                head.run(level, &config.head_shape(), &stream, logits, workspaces)?;
            }
        }
        Ok(())
    }
}

/// What the steps of one stage have in common.
struct StageRun {
    level: Level,
    threads: usize,
    stage: Stage,
    layout: PanelLayout,
    /// The first piece of a workspace.
    narrow: usize,
}

impl StageRun {
    /// The order of tokens in windows shifted by `shift`; the stream is kept in that of no shift.
    fn windows(&self, shift: usize) -> WindowOrder {
        WindowOrder { side: self.stage.side, window: self.stage.window, shift }
    }

    fn stream<'s>(&self, data: &'s [f32], order: ChannelOrder) -> Stream<'s> {
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
    fn embed(
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
    fn merge(
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
    fn block(
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
fn mask_len(n: usize) -> usize {
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
