//! The plain vision transformer: embedding, blocks, head; the channel shuffle between blocks is a number.

use core::ops::Range;

use kernels::{ChannelOrder, Level, PanelLayout, Panels, ViewMut, attention_scratch_len};

#[cfg(feature = "t2t")]
use super::t2t::{self, T2t};
use crate::config::{Pool, TensorName, VitConfig};
use crate::exec::error::RunError;
use crate::exec::pass::Pass;
use crate::exec::share::{for_each_panel, layout};
use crate::exec::workspace::Workspace;
use crate::layers::block::{self, Block};
use crate::layers::embed::Embedding;
use crate::layers::head::{self, Head};
use crate::layers::stream::{Intermediate, Stream, TokenOrder};
use crate::packed::layout::{Layout, Reader, aligned};

/// A plain model over its packed weights.
#[derive(Clone, Copy)]
pub(crate) struct Plain<'w> {
    config: VitConfig,
    packed: &'w [f32],
}

/// The weights in front of the blocks.
struct Front<L: Layout> {
    #[cfg(feature = "t2t")]
    rounds: Option<T2t<L>>,
    embedding: Embedding<L>,
}

impl<L: Layout> Front<L> {
    fn list(layout: &mut L, config: &VitConfig) -> Self {
        Front {
            #[cfg(feature = "t2t")]
            rounds: config.rounds().map(|sizes| T2t::list(layout, sizes)),
            embedding: Embedding::list(layout, config),
        }
    }
}

fn list_block<L: Layout>(layout: &mut L, config: &VitConfig, i: usize) -> Block<L> {
    let shape = block::Shape {
        dim: config.dim,
        heads: config.heads,
        hidden: config.hidden(),
        qkv_bias: config.qkv_bias,
        qk_norm: config.qk_norm,
        rescale: config.rescale,
        eps: config.layer_norm_eps as f32,
    };
    Block::list(layout, |suffix| TensorName::Block(i, suffix), shape)
}

/// Lists all weights in the order in which [`Plain::run`] reads them.
pub(crate) fn list<L: Layout>(layout: &mut L, config: &VitConfig) {
    Front::list(layout, config);
    (0..config.depth).for_each(|i| _ = list_block(layout, config, i));
    Head::list(layout, &head_shape(config));
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

/// How one image's scratch is divided: the activations, then the threads' workspaces.
struct Plan {
    layout: PanelLayout,
    /// In front, queries, keys and values: 3 dim x padded tokens. Before them, tokens-to-token's map.
    qkv: usize,
    /// Behind them, the residual stream: channels x padded tokens.
    stream: usize,
    /// Tokens-to-token's rounds, done before there are queries, keys, values or a stream: they take the same place.
    #[cfg(feature = "t2t")]
    rounds: Option<t2t::Plan>,
    /// The length of a workspace's first part.
    narrow: usize,
    /// One thread's workspace.
    workspace: usize,
}

impl Plan {
    fn new(config: &VitConfig, level: Level, threads: usize) -> Self {
        let layout = layout(level, threads, config.tokens());
        // A norm of the embedding reads all channels from the narrow part.
        let narrow_rows = if config.pre_norm { config.channels() } else { config.dim };
        let (rows, width) = (config.hidden().max(config.embedding_inputs()), layout.max_width());
        let scores = attention_scratch_len(config.tokens());
        let head = Head::scratch_len(&head_shape(config), width);
        let plan = Plan {
            qkv: aligned(3 * config.dim * layout.padded()),
            stream: aligned(config.channels() * layout.padded()),
            #[cfg(feature = "t2t")]
            rounds: None,
            narrow: 0,
            workspace: head,
            layout,
        };
        let plan = plan.with_workspace(narrow_rows, rows, width, scores);
        #[cfg(feature = "t2t")]
        let plan = match config.rounds() {
            Some(sizes) => {
                let rounds = t2t::Plan::new(&sizes, level, threads);
                let (t2t_rows, t2t_width, t2t_scores) = rounds.workspace(&sizes);
                let (width, scores) = (width.max(t2t_width), scores.max(t2t_scores));
                let qkv = plan.qkv.max(rounds.map_len());
                let plan = Plan { qkv, rounds: Some(rounds), ..plan };
                plan.with_workspace(narrow_rows.max(t2t_rows), rows.max(t2t_rows), width, scores)
            }
            None => plan,
        };
        plan
    }

    /// A workspace of two panels, of so many rows each, or of one and attention's scores; or what it was, if that is more.
    fn with_workspace(self, narrow_rows: usize, rows: usize, width: usize, scores: usize) -> Self {
        let narrow = aligned(narrow_rows * width);
        let workspace = self.workspace.max(narrow + aligned((rows * width).max(scores)));
        Plan { narrow, workspace, ..self }
    }

    fn activations(&self) -> usize {
        let activations = self.qkv + self.stream;
        #[cfg(feature = "t2t")]
        let activations = activations.max(self.rounds.as_ref().map_or(0, t2t::Plan::scratch_len));
        activations
    }

    /// Saturates where as many threads' workspaces are more than memory can be.
    fn scratch_len(&self, threads: usize) -> usize {
        self.activations().saturating_add(threads.saturating_mul(self.workspace))
    }
}

impl<'w> Plain<'w> {
    /// `packed` holds exactly the values that [`list`] lists.
    pub(crate) fn new(config: VitConfig, packed: &'w [f32]) -> Self {
        Plain { config, packed }
    }

    pub(crate) fn scratch_len(&self, level: Level, threads: usize) -> usize {
        Plan::new(&self.config, level, threads).scratch_len(threads)
    }

    /// The outputs of one image.
    pub(crate) fn run(
        &self,
        pass: &Pass,
        image: &[f32],
        outputs: &mut [f32],
        scratch: &mut [f32],
        mut on_intermediate: Option<&mut dyn FnMut(Intermediate)>,
    ) -> Result<(), RunError> {
        let config = &self.config;
        let plan = Plan::new(config, pass.level, pass.threads);
        let (activations, workspaces) = scratch.split_at_mut(plan.activations());
        let workspaces = &mut workspaces[..pass.threads * plan.workspace];
        let run = Run { config, pass, layout: plan.layout, narrow: plan.narrow };

        let mut reader = Reader(self.packed);
        let front = Front::list(&mut reader, config);
        #[cfg(feature = "t2t")]
        if let (Some(weights), Some(rounds)) = (&front.rounds, &plan.rounds) {
            weights.run(pass, rounds, plan.narrow, image, activations, workspaces)?;
        }
        let (qkv, stream) = activations.split_at_mut(plan.qkv);
        let stream = &mut stream[..config.channels() * plan.layout.padded()];
        let map = Panels::single(image, config.in_channels, config.image_size * config.image_size)?;
        #[cfg(feature = "t2t")]
        let map = plan.rounds.as_ref().map_or(Ok(map), |rounds| rounds.map(qkv))?;
        run.embed(&front.embedding, &map, stream, workspaces)?;
        let qkv = &mut qkv[..3 * config.dim * plan.layout.padded()];
        let mut order = ChannelOrder::identity(config.channels());
        for i in 0..config.depth {
            let block = list_block(&mut reader, config, i);
            run.project(&block, order, stream, qkv, workspaces)?;
            // A head on the class tokens needs nothing else of the last block but keys and values.
            let class_only = i + 1 == config.depth && config.pool == Pool::Cls && on_intermediate.is_none();
            run.attend(&block, order, class_only, qkv, stream, workspaces)?;
            if config.shuffle {
                order = order.then(ChannelOrder::shuffle(config.channels(), 2)?)?;
            }
            if let Some(on_intermediate) = &mut on_intermediate {
                on_intermediate(Intermediate { index: i, tokens: config.tokens(), stream: run.stream(stream, order) });
            }
        }
        let head = Head::list(&mut reader, &head_shape(config));
        let stream = run.stream(stream, order);
        Ok(head.run(pass, &head_shape(config), &stream, outputs, workspaces)?)
    }
}

/// What the steps of one run have in common.
struct Run<'r> {
    config: &'r VitConfig,
    pass: &'r Pass<'r>,
    layout: PanelLayout,
    /// The length of a workspace's first part.
    narrow: usize,
}

/// Work on one panel of a matrix: `(panel, its columns, the thread's workspace)`.
type PanelWork<'f> = dyn Fn(usize, ViewMut, &mut Workspace) -> Result<(), RunError> + Sync + 'f;

impl Run<'_> {
    /// Fills the stream with the embedded tokens.
    fn embed(
        &self,
        embedding: &Embedding<Reader>,
        map: &Panels,
        stream: &mut [f32],
        workspaces: &mut [f32],
    ) -> Result<(), RunError> {
        self.for_each_panel(self.config.channels(), stream, workspaces, &|panel, mut x, workspace| {
            let first = self.layout.range(panel).start;
            Ok(embedding.run(self.pass, self.config, map, first, &mut x, workspace)?)
        })
    }

    /// Fills `qkv` with the projections of the attended channels.
    fn project(
        &self,
        block: &Block<Reader>,
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
        block: &Block<Reader>,
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
        Workspace::new(scratch, self.narrow)
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
    use crate::exec::executor::ThisThread;
    use crate::packed::Tensors;
    use crate::packed::layout::Length;
    use crate::packed::packer::Packer;
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
        let mut length = Length(0);
        list(&mut length, &config);
        let (mut packed, mut silent) = (vec![0.0; length.0], Silent(Vec::new()));
        let mut packer = Packer::new(&mut silent, &mut packed);
        list(&mut packer, &config);
        packer.finish().unwrap();
        let (model, level) = (Plain::new(config, &packed), Level::detect());
        let image: Vec<f32> = (0..3 * 20 * 20).map(|i| (i % 17) as f32).collect();
        let mut streams: Vec<Vec<f32>> = Vec::new();
        let mut logical: Vec<Vec<f32>> = Vec::new();
        let mut scratch = vec![0.0; model.scratch_len(level, 1)];
        let mut keep = |output: Intermediate| {
            streams.push(output.stream.data.to_vec());
            let mut values = vec![0.0; config.tokens() * config.channels()];
            output.write(&mut values).unwrap();
            logical.push(values);
        };
        let pass = Pass { level, threads: 1, executor: &ThisThread, profiler: None };
        model.run(&pass, &image, &mut [0.0; 3], &mut scratch, Some(&mut keep)).unwrap();
        assert_eq!(streams.len(), 4);
        assert!(streams.windows(2).all(|pair| pair[0] == pair[1]), "a block moved channels");
        assert!(logical.windows(2).all(|pair| pair[0] != pair[1]), "the order did not change");
    }
}
