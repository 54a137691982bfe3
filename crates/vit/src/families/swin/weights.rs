//! A Swin's weights: embedding, then each stage's blocks, biases and merging, then the head.

use crate::config::{Merging, Pool, Stage, SwinConfig, TensorName};
use crate::layers::block::{Block, Shape};
use crate::layers::head::{self, Head};
use crate::layers::linear::Linear;
use crate::layers::norm::Norm;
use crate::packed::layout::{Layout, Source};

/// Lists all weights in the order in which [`Swin::run`](super::Swin::run) reads them.
pub(crate) fn list<L: Layout>(layout: &mut L, config: &SwinConfig) {
    Embedding::list(layout, config);
    for (s, stage) in config.stages().enumerate() {
        (0..stage.depth).for_each(|i| _ = StageBlock::list(layout, config, s, i));
        if s + 1 < config.depths.len() {
            (0..Merging::names(config.shuffle).len()).for_each(|part| _ = MergingPart::list(layout, config, s, part));
        }
    }
    Head::list(layout, &head_shape(config));
}

/// The projection of patches, and the norm of what comes of it.
pub(super) struct Embedding<L: Layout> {
    pub proj: Linear<L>,
    pub norm: Norm<L>,
}

impl<L: Layout> Embedding<L> {
    pub(super) fn list(layout: &mut L, config: &SwinConfig) -> Self {
        use TensorName::Top;
        let (channels, p) = (config.stage(0).channels, config.patch_size);
        let [weight, bias] = ["patch_embed.proj.weight", "patch_embed.proj.bias"].map(Top);
        let proj = Linear::list(layout, weight, Some(bias), &[channels, config.in_channels, p, p]);
        let norm = ["patch_embed.norm.weight", "patch_embed.norm.bias"].map(Top);
        Embedding { proj, norm: Norm::list(layout, norm, channels) }
    }
}

/// A block, and what its relative positions add to the scores: heads x keys x queries of a window.
pub(super) struct StageBlock<L: Layout> {
    pub block: Block<L>,
    pub biases: L::Vector,
}

impl<L: Layout> StageBlock<L> {
    pub(super) fn list(layout: &mut L, config: &SwinConfig, s: usize, i: usize) -> Self {
        let stage = config.stage(s);
        let name = |suffix| TensorName::StageBlock(s, i, suffix);
        let shape = Shape {
            dim: stage.dim,
            heads: stage.heads,
            hidden: stage.hidden,
            qkv_bias: config.qkv_bias,
            qk_norm: false,
            rescale: config.rescale,
            eps: config.layer_norm_eps as f32,
        };
        let block = Block::list(layout, name, shape);
        let table = name("attn.relative_position_bias_table");
        let biases = layout
            .values(stage.heads * stage.window.pow(4), |source, biases| fill_biases(source, table, &stage, biases));
        StageBlock { block, biases }
    }
}

/// Spreads the table, a row for each offset of query from key, to a matrix of keys x queries for each head.
fn fill_biases(source: &mut dyn Source, table: TensorName, stage: &Stage, biases: &mut [f32]) -> Option<()> {
    let (w, heads) = (stage.window, stage.heads);
    let (n, offsets) = (w * w, 2 * w - 1);
    let table = source.tensor(table, &[offsets * offsets, heads])?;
    for (i, bias) in biases.iter_mut().enumerate() {
        let (head, key, query) = (i / (n * n), i / n % n, i % n);
        let offset = |axis: fn(usize, usize) -> usize| axis(query, w) + w - 1 - axis(key, w);
        let row = offset(|t, w| t / w) * offsets + offset(|t, w| t % w);
        *bias = table[row * heads + head];
    }
    Some(())
}

/// Norm and reduction of a merging, or of one half's with the module.
pub(super) struct MergingPart<L: Layout> {
    pub norm: Norm<L>,
    pub reduction: Linear<L>,
}

impl<L: Layout> MergingPart<L> {
    /// `s` is the stage whose tokens are merged.
    pub(super) fn list(layout: &mut L, config: &SwinConfig, s: usize, part: usize) -> Self {
        let merged = 4 * config.stage(s).dim;
        let [gamma, beta, reduction] = Merging::names(config.shuffle)[part].map(|suffix| TensorName::Stage(s, suffix));
        MergingPart {
            norm: Norm::list(layout, [gamma, beta], merged),
            reduction: Linear::list(layout, reduction, None, &[merged / 2, merged]),
        }
    }
}

/// What the head needs to know of a configuration.
pub(super) fn head_shape(config: &SwinConfig) -> head::Shape {
    let last = config.last();
    head::Shape {
        channels: last.channels,
        classes: config.num_classes,
        prefix_tokens: 0,
        patches: last.tokens(),
        distilled: false,
        pool: Pool::Avg,
        norm_after_pool: false,
        eps: config.layer_norm_eps as f32,
    }
}
