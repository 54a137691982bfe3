//! One block of a stage: attention in windows, then the MLP.

use kernels::internal::add_gathered_columns;
use kernels::{ChannelOrder, Error, Panels, View, ViewMut, attention_scratch_len};

use super::stage::{StageRun, has_whole_windows};
use super::weights::StageBlock;
use crate::config::Stage;
use crate::exec::error::RunError;
use crate::exec::pass::Operation;
use crate::exec::workspace::Workspace;
use crate::layers::stream::Stream;
use crate::layers::window::WindowOrder;
use crate::packed::layout::{Reader, aligned};

/// A block, and how it sees the stage's tokens.
pub(super) struct BlockRun<'r, 'w> {
    pub stage: &'r StageRun<'r>,
    pub weights: StageBlock<Reader<'w>>,
    /// The order of the stream's channels.
    pub order: ChannelOrder,
    pub windows: WindowOrder,
}

/// Where the tokens of a panel of windows are.
enum Input<'i> {
    /// In the windows' order, the attended channels.
    InPlace(View<'i>),
    /// All over the stream.
    Gathered(&'i Stream<'i>),
}

/// Queries, keys and values of tokens from a place on.
struct Projected<'p> {
    qkv: Panels<'p>,
    start: usize,
}

impl BlockRun<'_, '_> {
    /// The block, in place on the attended channels of the stream.
    ///
    /// `shifted` takes the attention's part of the residual where windows are shifted, `shared` queries, keys and values where
    /// threads share windows.
    pub(super) fn run(
        &self,
        stream: &mut [f32],
        shifted: &mut [f32],
        shared: &mut [f32],
        workspaces: &mut [f32],
    ) -> Result<(), RunError> {
        let (stage, dim) = (self.stage, self.stage.stage.dim);
        let shared = match has_whole_windows(stage.pass.threads, &stage.stage) {
            true => None,
            false => Some(self.project_all(&stage.stream(stream, self.order), shared, workspaces)?),
        };
        if self.windows.shift == 0 {
            return stage.for_each_panel(stage.stage.channels, stream, workspaces, &|panel, x, workspace| {
                let mut x = x.reorder_rows(self.order)?.row_range(0..dim)?;
                let context = self.context(panel, &Input::InPlace(x.as_view()), shared, workspace)?;
                self.weights.block.join(stage.pass, &context.as_view(), &mut x)?;
                Ok(self.weights.block.mlp(stage.pass, &mut x, workspace)?)
            });
        }
        let source = stage.stream(stream, self.order);
        stage.for_each_panel(dim, shifted, workspaces, &|panel, mut y, workspace| {
            let context = self.context(panel, &Input::Gathered(&source), shared, workspace)?;
            Ok(self.weights.block.project_context(stage.pass, &context.as_view(), &mut y)?)
        })?;
        let shifted = Panels::new(&shifted[..dim * stage.layout.padded()], dim, stage.layout)?;
        stage.for_each_panel(stage.stage.channels, stream, workspaces, &|panel, x, workspace| {
            let mut x = x.reorder_rows(self.order)?.row_range(0..dim)?;
            let places = self.windows.places(stage.windows(0).tokens(stage.places(panel)));
            add_gathered_columns(self.weights.block.alpha(), &shifted, places, &mut x)?;
            stage.pass.done(Operation::Gather, 0);
            Ok(self.weights.block.mlp(stage.pass, &mut x, workspace)?)
        })
    }

    /// Queries, keys and values of all tokens, for windows that threads share.
    fn project_all<'q>(
        &self,
        stream: &Stream,
        qkv: &'q mut [f32],
        workspaces: &mut [f32],
    ) -> Result<Panels<'q>, RunError> {
        let (stage, rows) = (self.stage, 3 * self.stage.stage.dim);
        stage.for_each_panel(rows, qkv, workspaces, &|panel, mut qkv, workspace| {
            let input = match self.windows.shift {
                0 => Input::InPlace(stream.panel(panel)?.row_range(0..stage.stage.dim)?),
                _ => Input::Gathered(stream),
            };
            Ok(self.project(panel, &input, &mut qkv, workspace.narrow, workspace.wide)?)
        })?;
        Ok(Panels::new(&qkv[..rows * stage.layout.padded()], rows, stage.layout)?)
    }

    /// Queries, keys and values of a panel's tokens.
    fn project(
        &self,
        panel: usize,
        input: &Input,
        qkv: &mut ViewMut,
        normed: &mut [f32],
        gathered: &mut [f32],
    ) -> Result<(), Error> {
        let (stage, pass) = (self.stage, self.stage.pass);
        let stream = match input {
            Input::InPlace(x) => return self.weights.block.project(pass, x, qkv, normed),
            Input::Gathered(stream) => stream,
        };
        let dim = stage.stage.dim;
        let places = stage.windows(0).places(self.windows.tokens(stage.places(panel)));
        let mut x = pass.matrix(gathered, dim, qkv.columns())?;
        stream.gather(0..dim, places, &mut x)?;
        pass.done(Operation::Gather, 0);
        self.weights.block.project(pass, &x.as_view(), qkv, normed)
    }

    /// The attention output of a panel's windows, dim x tokens, in `workspace.narrow`.
    fn context<'s>(
        &self,
        panel: usize,
        input: &Input,
        shared: Option<Panels>,
        workspace: &'s mut Workspace,
    ) -> Result<ViewMut<'s>, Error> {
        let places = self.stage.places(panel);
        if let Some(qkv) = shared {
            let projected = Projected { qkv, start: 0 };
            return self.attend(panel, &qkv.panel(panel), &projected, workspace.narrow, workspace.wide);
        }
        let layout = self.stage.pass.level.panels_of_width(places.len(), places.len()).expect("panels with columns");
        let rows = 3 * self.stage.stage.dim;
        let (qkv, scratch) = workspace.wide.split_at_mut(rows * layout.padded());
        self.project(panel, input, &mut layout.view_mut(0, qkv, rows)?, workspace.narrow, scratch)?;
        let projected = Projected { qkv: Panels::new(qkv, rows, layout)?, start: places.start };
        self.attend(panel, &projected.qkv.panel(0), &projected, workspace.narrow, scratch)
    }

    /// Attention of a panel's queries `q` among the tokens of their windows.
    fn attend<'s>(
        &self,
        panel: usize,
        q: &View,
        projected: &Projected,
        context: &'s mut [f32],
        scratch: &mut [f32],
    ) -> Result<ViewMut<'s>, Error> {
        let (places, n) = (self.stage.places(panel), self.windows.window_tokens());
        let (mask, scratch) = scratch.split_at_mut(mask_len(n));
        let mut context = self.stage.pass.matrix(context, self.stage.stage.dim, places.len())?;
        let mut start = places.start;
        // The panel's part of each window that it has a part of: mostly all of it.
        while start < places.end {
            let window = start / n;
            let stop = places.end.min((window + 1) * n);
            let queries = start - window * n..stop - window * n;
            let mask = match self.windows.is_split(window) {
                true => Some(fill_mask(&self.windows, window, mask)?.column_range(queries.clone())?),
                false => None,
            };
            let columns = start - places.start..stop - places.start;
            let q = q.column_range(columns.clone())?;
            let keys = window * n - projected.start;
            let kv = projected.qkv.column_range(keys..keys + n)?;
            for head in 0..self.stage.stage.heads {
                let bias = View::new(&self.weights.biases[head * n * n..], n, n)?.column_range(queries.clone())?;
                let operands = self.weights.block.head(head, &q, &kv, [Some(bias), mask])?;
                let out = context.reborrow().column_range(columns.clone())?;
                let mut out = out.row_range(self.weights.block.head_rows(head))?;
                self.weights.block.attend(self.stage.pass, &operands, &mut out, scratch)?;
            }
            start = stop;
        }
        Ok(context)
    }
}

/// Values of scratch that attention in a stage's windows needs.
pub(super) fn attending_len(stage: &Stage) -> usize {
    let n = stage.window * stage.window;
    mask_len(n) + attention_scratch_len(n)
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
