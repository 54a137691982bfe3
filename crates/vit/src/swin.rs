//! Swin: stages of windowed attention, patch merging between them; the module treats the two halves of a merging apart.
//!
//! Each stage keeps its tokens window by window, so that an unshifted block finds a window's keys side by side. A shifted block
//! gathers its norm's input in the shifted order and the residual finds its summand there; nothing else moves. Windows know
//! nothing of each other, so a panel of whole windows goes through attention, or a whole unshifted block, by itself.

mod block;
mod stage;

use kernels::{ChannelOrder, Level};

use crate::block::{Block, Shape};
use crate::config::{Merging, Pool, Stage, SwinConfig, TensorName};
use crate::head::{self, Head, Stream, TokenOrder};
use crate::linear::{Linear, Norm};
use crate::packing::{Cut, PackError, Packer, aligned, fetch};
use crate::pass::Pass;
use crate::{RunError, Tap, Tensors};
use block::{BlockRun, attending_len};
use stage::{StageRun, has_whole_windows, layout};

/// A Swin model over its packed weights.
#[derive(Clone, Copy)]
pub(crate) struct Swin<'w> {
    config: SwinConfig,
    packed: &'w [f32],
}

impl SwinConfig {
    fn block_shape(&self, stage: &Stage) -> Shape {
        Shape {
            dim: stage.dim,
            heads: stage.heads,
            hidden: stage.hidden,
            qkv_bias: self.qkv_bias,
            qk_norm: false,
            eps: self.layer_norm_eps as f32,
        }
    }

    fn head_shape(&self) -> head::Shape {
        let last = self.last();
        head::Shape {
            channels: last.channels,
            classes: self.num_classes,
            prefix_tokens: 0,
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
            Block::pack(packer, name, config.block_shape(&stage), config.rescale)?;
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
    /// The streams of even and of odd stages; what does not hold the present one takes attention's part of the residual in
    /// shifted blocks.
    streams: [usize; 2],
    /// Queries, keys and values of a stage whose windows are shared by threads.
    qkv: usize,
    narrow: usize,
    workspace: usize,
}

impl Plan {
    fn new(config: &SwinConfig, level: Level, threads: usize) -> Self {
        let mut plan = Plan { streams: [0; 2], qkv: 0, narrow: 0, workspace: 0 };
        let mut wide = 0;
        for (s, stage) in config.stages().enumerate() {
            let layout = layout(level, threads, &stage);
            let (tokens, width) = (layout.padded(), layout.max_width());
            let [mine, other] = [s % 2, 1 - s % 2];
            plan.streams[mine] = plan.streams[mine].max(aligned(stage.channels * tokens));
            if (0..stage.depth).any(|i| stage.shift(i) > 0) {
                plan.streams[other] = plan.streams[other].max(aligned(stage.dim * tokens));
            }
            // The embedding and a merging have an input and what comes of it before the stage's own tokens are there.
            let input = if s == 0 { config.patch_values() } else { 4 * config.stage(s - 1).dim };
            let before = if s == 0 { stage.channels } else { input };
            plan.narrow = plan.narrow.max(aligned(before.max(stage.dim) * width));
            let attention = (stage.dim * width).max(attending_len(&stage));
            let qkv = aligned(3 * stage.dim * width);
            wide = wide.max(attention + if has_whole_windows(threads, &stage) { qkv } else { 0 });
            wide = wide.max(stage.hidden.max(input) * width);
            if !has_whole_windows(threads, &stage) {
                plan.qkv = plan.qkv.max(aligned(3 * stage.dim * tokens));
            }
        }
        let head = Head::scratch_len(&config.head_shape(), layout(level, threads, &config.last()).max_width());
        plan.workspace = (plan.narrow + aligned(wide)).max(head);
        plan
    }

    fn scratch_len(&self, threads: usize) -> usize {
        self.streams[0] + self.streams[1] + self.qkv + threads * self.workspace
    }
}

impl<'w> Swin<'w> {
    /// `packed` holds exactly [`packed_len`] values.
    pub(crate) fn new(config: SwinConfig, packed: &'w [f32]) -> Self {
        Swin { config, packed }
    }

    pub(crate) fn scratch_len(&self, level: Level, threads: usize) -> usize {
        Plan::new(&self.config, level, threads).scratch_len(threads)
    }

    /// The logits of one image.
    pub(crate) fn run(
        &self,
        pass: &Pass,
        image: &[f32],
        logits: &mut [f32],
        scratch: &mut [f32],
        mut tap: Option<&mut dyn FnMut(Tap)>,
    ) -> Result<(), RunError> {
        let config = &self.config;
        let plan = Plan::new(config, pass.level, pass.threads);
        let (mut current, rest) = scratch.split_at_mut(plan.streams[0]);
        let (mut other, rest) = rest.split_at_mut(plan.streams[1]);
        let (qkv, workspaces) = rest.split_at_mut(plan.qkv);
        let workspaces = &mut workspaces[..pass.threads * plan.workspace];
        let run = |stage: Stage| StageRun {
            pass,
            stage,
            layout: layout(pass.level, pass.threads, &stage),
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
                let windows = stage.windows(stage.stage.shift(i));
                let run = BlockRun { stage: &stage, block, biases, order, windows };
                run.run(current, other, qkv, workspaces)?;
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
                head.run(pass, &config.head_shape(), &stream, logits, workspaces)?;
            }
        }
        Ok(())
    }
}
