//! The plain vision transformer: embedding, blocks, head; the channel shuffle between blocks is a number.

use core::ops::Range;

use kernels::{ChannelOrder, Level, PanelLayout, Panels, ViewMut, attention_scratch_len};

use crate::block::{Block, Shape, Workspace};
use crate::config::{Pool, TensorName, Tokens, VitConfig};
use crate::embed::{self, Embedding};
use crate::head::{self, Head, Stream, TokenOrder};
use crate::linear::Norm;
use crate::packing::{Cut, PackError, Packer, aligned};
use crate::pass::Pass;
use crate::split::{for_each_panel, layout};
use crate::t2t::{self, T2t};
use crate::{RunError, Tap, Tensors};

/// A plain model over its packed weights.
#[derive(Clone, Copy)]
pub(crate) struct Plain<'w> {
    config: VitConfig,
    packed: &'w [f32],
}

pub(crate) fn packed_len(config: &VitConfig) -> usize {
    blocks_start(config) + config.depth * Shape::of(config).packed_len() + Head::packed_len(&head_shape(config))
}

/// What the head needs to know of a configuration.
fn head_shape(config: &VitConfig) -> head::Shape {
    head::Shape {
        channels: config.channels(),
        classes: config.num_classes,
        prefix_tokens: config.prefix_tokens(),
        patches: config.patches(),
        distilled: config.distilled,
        pool: config.pool,
        norm_after_pool: config.norm_after_pool,
        eps: config.layer_norm_eps as f32,
    }
}

/// Values in front of the blocks.
fn blocks_start(config: &VitConfig) -> usize {
    let rounds = if config.tokens == Tokens::Patch { 0 } else { T2t::packed_len(config) };
    let norm = if config.pre_norm { Norm::packed_len(config.channels()) } else { 0 };
    rounds + Embedding::packed_len(config) + norm
}

pub(crate) fn pack<T: Tensors>(config: &VitConfig, packer: &mut Packer<T>) -> Result<(), PackError<T::Error>> {
    if config.tokens != Tokens::Patch {
        T2t::pack(packer, config)?;
    }
    Embedding::pack(packer, config)?;
    if config.pre_norm {
        let [gamma, beta] = ["norm_pre.weight", "norm_pre.bias"].map(TensorName::Top);
        Norm::pack(packer, gamma, beta, config.channels())?;
    }
    for i in 0..config.depth {
        let name = |suffix| TensorName::Block(i, suffix);
        Block::pack(packer, name, Shape::of(config), config.rescale)?;
    }
    Head::pack(packer, &head_shape(config))
}

/// How one image's scratch is cut: the activations, then the threads' workspaces.
struct Plan {
    layout: PanelLayout,
    /// In front, queries, keys and values: 3 dim x padded tokens. Before them, tokens-to-token's map.
    qkv: usize,
    /// Behind them, the residual stream: channels x padded tokens.
    stream: usize,
    /// Tokens-to-token's rounds, done before there are queries, keys, values or a stream: they take the same place.
    rounds: Option<t2t::Plan>,
    /// The first piece of one thread's workspace.
    narrow: usize,
    /// One thread's workspace.
    workspace: usize,
}

impl Plan {
    fn new(config: &VitConfig, level: Level, threads: usize) -> Self {
        let layout = layout(level, threads, config.tokens());
        let (mut rows, mut width) = (config.hidden().max(embed::inputs(config)), layout.max_width());
        // A norm of the embedding reads all channels from the narrow piece.
        let narrow_rows = if config.pre_norm { config.channels() } else { config.dim };
        let (mut narrow_rows, mut scores) = (narrow_rows, attention_scratch_len(config.tokens()));
        let rounds = (config.tokens != Tokens::Patch).then(|| t2t::Plan::new(config, level, threads));
        if let Some(rounds) = &rounds {
            let (t2t_rows, t2t_width, t2t_scores) = rounds.workspace(config);
            (rows, width) = (rows.max(t2t_rows), width.max(t2t_width));
            (narrow_rows, scores) = (narrow_rows.max(t2t_rows), scores.max(t2t_scores));
        }
        let narrow = aligned(narrow_rows * width);
        Plan {
            qkv: aligned(3 * config.dim * layout.padded()).max(rounds.as_ref().map_or(0, t2t::Plan::map_len)),
            stream: aligned(config.channels() * layout.padded()),
            rounds,
            narrow,
            workspace: (narrow + aligned((rows * width).max(scores)))
                .max(Head::scratch_len(&head_shape(config), layout.max_width())),
            layout,
        }
    }

    fn activations(&self) -> usize {
        (self.qkv + self.stream).max(self.rounds.as_ref().map_or(0, t2t::Plan::scratch_len))
    }

    fn scratch_len(&self, threads: usize) -> usize {
        self.activations() + threads * self.workspace
    }
}

impl<'w> Plain<'w> {
    /// `packed` holds exactly [`packed_len`] values.
    pub(crate) fn new(config: VitConfig, packed: &'w [f32]) -> Self {
        Plain { config, packed }
    }

    pub(crate) fn scratch_len(&self, level: Level, threads: usize) -> usize {
        Plan::new(&self.config, level, threads).scratch_len(threads)
    }

    /// Embedding, block `i` and head lie in this order in the packed weights.
    fn piece(&self, block: usize) -> Cut<'w> {
        Cut(&self.packed[blocks_start(&self.config) + block * Shape::of(&self.config).packed_len()..])
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
        let (activations, workspaces) = scratch.split_at_mut(plan.activations());
        let workspaces = &mut workspaces[..pass.threads * plan.workspace];
        let run = Run { config, pass, layout: plan.layout, narrow: plan.narrow };

        let mut cut = Cut(self.packed);
        if let Some(rounds) = &plan.rounds {
            T2t::cut(&mut cut, config).run(config, pass, rounds, plan.narrow, image, activations, workspaces)?;
        }
        let (qkv, stream) = activations.split_at_mut(plan.qkv);
        let stream = &mut stream[..config.channels() * plan.layout.padded()];
        let map = match &plan.rounds {
            Some(rounds) => rounds.map(qkv)?,
            None => Panels::single(image, config.in_channels, config.image_size * config.image_size)?,
        };
        let embedding = Embedding::cut(&mut cut, config);
        let norm = config.pre_norm.then(|| Norm::cut(&mut cut, config.channels()));
        run.embed(&embedding, norm.as_ref(), &map, stream, workspaces)?;
        let qkv = &mut qkv[..3 * config.dim * plan.layout.padded()];
        let mut order = ChannelOrder::identity(config.channels());
        for i in 0..config.depth {
            let block = Block::cut(&mut self.piece(i), Shape::of(config));
            run.project(&block, order, stream, qkv, workspaces)?;
            // A classifier on the class tokens needs nothing else of the last block but keys and values.
            let class_only = i + 1 == config.depth && config.pool == Pool::Cls && tap.is_none();
            run.attend(&block, order, class_only, qkv, stream, workspaces)?;
            if config.shuffle {
                order = order.then(ChannelOrder::shuffle(config.channels(), 2)?)?;
            }
            if let Some(tap) = &mut tap {
                tap(Tap { index: i, tokens: config.tokens(), stream: run.stream(stream, order) });
            }
        }
        let head = Head::cut(&mut self.piece(config.depth), &head_shape(config));
        let stream = run.stream(stream, order);
        Ok(head.run(pass, &head_shape(config), &stream, logits, workspaces)?)
    }
}

/// What the steps of one run have in common.
struct Run<'r> {
    config: &'r VitConfig,
    pass: &'r Pass<'r>,
    layout: PanelLayout,
    /// The first piece of a workspace.
    narrow: usize,
}

/// Work on one panel of a matrix: `(panel, its columns, the thread's workspace)`.
type PanelWork<'f> = dyn Fn(usize, ViewMut, &mut Workspace) -> Result<(), RunError> + Sync + 'f;

impl Run<'_> {
    /// Fills the stream with the embedded tokens, normed if there is a norm.
    fn embed(
        &self,
        embedding: &Embedding,
        norm: Option<&Norm>,
        map: &Panels,
        stream: &mut [f32],
        workspaces: &mut [f32],
    ) -> Result<(), RunError> {
        let channels = self.config.channels();
        self.for_each_panel(channels, stream, workspaces, &|panel, mut x, workspace| {
            let first = self.layout.range(panel).start;
            let Some(norm) = norm else {
                return Ok(embedding.run(self.pass, self.config, map, first, &mut x, workspace.wide)?);
            };
            let mut embedded = self.pass.matrix(workspace.narrow, channels, x.columns())?;
            embedding.run(self.pass, self.config, map, first, &mut embedded, workspace.wide)?;
            Ok(norm.run(self.pass, &embedded.as_view(), self.config.layer_norm_eps as f32, &mut x)?)
        })
    }

    /// Fills `qkv` with the projections of the attended channels.
    fn project(
        &self,
        block: &Block,
        order: ChannelOrder,
        stream: &[f32],
        qkv: &mut [f32],
        workspaces: &mut [f32],
    ) -> Result<(), RunError> {
        let stream = self.stream(stream, order);
        self.for_each_panel(3 * self.config.dim, qkv, workspaces, &|panel, mut qkv, workspace| {
            let x = stream.panel(panel)?.row_range(self.attended())?;
            Ok(block.project(self.pass, &x, &mut qkv, workspace.narrow)?)
        })
    }

    /// Attention and MLP, in place on the attended channels of the stream, or of the class tokens only.
    fn attend(
        &self,
        block: &Block,
        order: ChannelOrder,
        class_only: bool,
        qkv: &[f32],
        stream: &mut [f32],
        workspaces: &mut [f32],
    ) -> Result<(), RunError> {
        let channels = self.config.channels();
        let qkv = Panels::new(qkv, 3 * self.config.dim, self.layout)?;
        let work = |panel: usize, x: ViewMut, workspace: &mut Workspace| {
            let columns = 0..if class_only { self.config.class_tokens() } else { x.columns() };
            let x = x.reorder_rows(order)?.row_range(self.attended())?;
            let q = qkv.panel(panel).column_range(columns.clone())?;
            Ok(block.finish(self.pass, &q, &qkv, &mut x.column_range(columns)?, workspace)?)
        };
        if class_only {
            let first = &mut stream[..channels * self.layout.width(0)];
            return work(0, self.layout.view_mut(0, first, channels)?, &mut self.workspace(workspaces));
        }
        self.for_each_panel(channels, stream, workspaces, &work)
    }

    fn stream<'s>(&self, data: &'s [f32], order: ChannelOrder) -> Stream<'s> {
        Stream { data, layout: self.layout, order, tokens: TokenOrder::AsStored }
    }

    /// The channels that a block works on: positions of the first half, or all without the module.
    fn attended(&self) -> Range<usize> {
        0..self.config.dim
    }

    fn workspace<'s>(&self, scratch: &'s mut [f32]) -> Workspace<'s> {
        Workspace::cut(scratch, self.narrow)
    }

    fn for_each_panel(
        &self,
        rows: usize,
        data: &mut [f32],
        workspaces: &mut [f32],
        work: &PanelWork,
    ) -> Result<(), RunError> {
        for_each_panel(self.pass, &self.layout, rows, data, workspaces, &|panel, values, scratch| {
            work(panel, values, &mut self.workspace(scratch))
        })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::config::Rescale;
    use std::vec;
    use std::vec::Vec;

    /// With residual branches of zero, only the shuffle changes what is read: the stream in memory must stay what the
    /// embedding wrote, bit for bit, while its logical order changes.
    #[test]
    fn shuffling_moves_no_data() {
        struct Silent(Vec<f32>);
        impl Tensors for Silent {
            type Error = core::convert::Infallible;
            fn tensor(&mut self, name: TensorName, shape: &[usize]) -> Result<&[f32], Self::Error> {
                let silent = matches!(name, TensorName::Block(..)) && shape != [1];
                self.0 =
                    (0..shape.iter().product()).map(|i| if silent { 0.0 } else { (i % 251) as f32 + 1.0 }).collect();
                if shape == [1] {
                    self.0 = vec![1.0];
                }
                Ok(&self.0)
            }
        }
        let config = VitConfig {
            image_size: 20,
            patch_size: 4,
            num_classes: 3,
            dim: 10,
            depth: 4,
            heads: 2,
            shuffle: true,
            rescale: Rescale::Learned,
            ..VitConfig::default()
        };
        let mut packed = vec![0.0; packed_len(&config)];
        pack(&config, &mut Packer { tensors: &mut Silent(Vec::new()), rest: &mut packed }).unwrap();
        let (model, level) = (Plain::new(config, &packed), Level::detect());
        let image: Vec<f32> = (0..3 * 20 * 20).map(|i| (i % 17) as f32).collect();
        let mut streams: Vec<Vec<f32>> = Vec::new();
        let mut logical: Vec<Vec<f32>> = Vec::new();
        let mut scratch = vec![0.0; model.scratch_len(level, 1)];
        let mut tap = |tap: Tap| {
            streams.push(tap.stream.data.to_vec());
            let mut values = vec![0.0; config.tokens() * config.channels()];
            tap.write(&mut values).unwrap();
            logical.push(values);
        };
        let pass = Pass { level, threads: 1, watch: None };
        model.run(&pass, &image, &mut [0.0; 3], &mut scratch, Some(&mut tap)).unwrap();
        assert_eq!(streams.len(), 4);
        assert!(streams.windows(2).all(|pair| pair[0] == pair[1]), "a block moved channels");
        assert!(logical.windows(2).all(|pair| pair[0] != pair[1]), "the order did not change");
    }
}
