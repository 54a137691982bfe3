//! Swin: stages of windowed attention, patch merging between them; the module treats the two halves of a merging apart.
//!
//! Each stage keeps its tokens window by window, so that an unshifted block finds a window's keys side by side. A shifted block
//! gathers its norm's input in the shifted order and the residual finds its summand there; nothing else moves. Windows know
//! nothing of each other, so a panel of whole windows goes through attention, or a whole unshifted block, by itself.

mod block;
mod stage;
mod weights;

use kernels::{ChannelOrder, Level};

use crate::config::{Stage, SwinConfig};
use crate::exec::error::RunError;
use crate::exec::pass::Pass;
use crate::layers::head::Head;
use crate::layers::stream::{Intermediate, Stream, TokenOrder};
use crate::packed::layout::{Reader, aligned};
use block::{BlockRun, attending_len};
use stage::{StageRun, has_whole_windows, layout};
pub(crate) use weights::list;
use weights::{Embedding, StageBlock, head_shape};

/// A Swin model over its packed weights.
#[derive(Clone, Copy)]
pub(crate) struct Swin<'w> {
    config: SwinConfig,
    packed: &'w [f32],
}

/// How one image's scratch is divided.
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
        let head = Head::scratch_len(&head_shape(config), layout(level, threads, &config.last()).max_width());
        plan.workspace = (plan.narrow + aligned(wide)).max(head);
        plan
    }

    /// Saturates where as many threads' workspaces are more than memory can be.
    fn scratch_len(&self, threads: usize) -> usize {
        (self.streams[0] + self.streams[1] + self.qkv).saturating_add(threads.saturating_mul(self.workspace))
    }
}

impl<'w> Swin<'w> {
    /// `packed` holds exactly the values that [`list`] lists.
    pub(crate) fn new(config: SwinConfig, packed: &'w [f32]) -> Self {
        Swin { config, packed }
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

        let mut reader = Reader(self.packed);
        let embedding = Embedding::list(&mut reader, config);
        run(config.stage(0)).embed(config, &embedding, image, current, workspaces)?;
        for s in 0..config.depths.len() {
            let stage = run(config.stage(s));
            let mut order = ChannelOrder::identity(stage.stage.channels);
            for i in 0..stage.stage.depth {
                let weights = StageBlock::list(&mut reader, config, s, i);
                let windows = stage.windows(stage.stage.shift(i));
                BlockRun { stage: &stage, weights, order, windows }.run(current, other, qkv, workspaces)?;
                if config.shuffle {
                    order = order.then(ChannelOrder::shuffle(stage.stage.channels, 2)?)?;
                }
            }
            let stream = stage.stream(current, order);
            if let Some(on_intermediate) = &mut on_intermediate {
                let tokens = stage.stage.tokens();
                let stream = Stream { tokens: TokenOrder::Windows(stage.windows(0)), ..stream };
                on_intermediate(Intermediate { index: s, tokens, stream });
            }
            if s + 1 < config.depths.len() {
                run(config.stage(s + 1)).merge(config, &mut reader, s, &stage, &stream, other, workspaces)?;
                (current, other) = (other, current);
            } else {
                let head = Head::list(&mut reader, &head_shape(config));
                head.run(pass, &head_shape(config), &stream, outputs, workspaces)?;
            }
        }
        Ok(())
    }
}
