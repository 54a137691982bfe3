//! From the last block's tokens to logits: final norm, pooling, classifier.

use core::ops::Range;

use kernels::{ChannelOrder, Error, PARTIAL_SUMS, PanelLayout, Panels, View, ViewMut, gather_columns, sum_in_pairs};

use crate::Tensors;
use crate::config::{Pool, TensorName};
use crate::linear::{Linear, Norm};
use crate::packing::{Cut, PackError, Packer, aligned};
use crate::pass::{Operation, Pass};
use crate::window::WindowOrder;

/// The sizes and switches of a head.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub channels: usize,
    pub classes: usize,
    /// Tokens in front of the patches'.
    pub class_tokens: usize,
    pub patches: usize,
    pub distilled: bool,
    pub pool: Pool,
    pub norm_after_pool: bool,
    pub eps: f32,
}

/// The final norm and the classifier, or both classifiers of a distilled model.
pub(crate) struct Head<'w> {
    norm: Norm<'w>,
    head: Linear<'w>,
    head_dist: Option<Linear<'w>>,
}

impl<'w> Head<'w> {
    pub(crate) fn packed_len(config: &Shape) -> usize {
        let linear = Linear::packed_len(config.classes, config.channels);
        Norm::packed_len(config.channels) + (1 + usize::from(config.distilled)) * linear
    }

    pub(crate) fn pack<T: Tensors>(packer: &mut Packer<T>, config: &Shape) -> Result<(), PackError<T::Error>> {
        use TensorName::Top;
        let (gamma, beta) = if config.norm_after_pool {
            (Top("fc_norm.weight"), Top("fc_norm.bias"))
        } else {
            (Top("norm.weight"), Top("norm.bias"))
        };
        Norm::pack(packer, gamma, beta, config.channels)?;
        let shape = [config.classes, config.channels];
        Linear::pack(packer, Top("head.weight"), Some(Top("head.bias")), &shape)?;
        if config.distilled {
            Linear::pack(packer, Top("head_dist.weight"), Some(Top("head_dist.bias")), &shape)?;
        }
        Ok(())
    }

    pub(crate) fn cut(cut: &mut Cut<'w>, config: &Shape) -> Self {
        let (classes, channels) = (config.classes, config.channels);
        Head {
            norm: Norm::cut(cut, channels),
            head: Linear::cut(cut, classes, channels),
            head_dist: config.distilled.then(|| Linear::cut(cut, classes, channels)),
        }
    }

    /// Scratch values.
    pub(crate) fn scratch_len(config: &Shape, width: usize) -> usize {
        let sums = if config.pool == Pool::Avg { config.channels * PARTIAL_SUMS } else { 0 };
        aligned(config.channels * width) + aligned(sums) + aligned(config.classes)
    }

    /// The logits of one image from its stream `x`, in panels, whose channels stand in the given order.
    pub(crate) fn run(
        &self,
        pass: &Pass,
        config: &Shape,
        x: &Stream,
        logits: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let channels = config.channels;
        let (features, rest) = scratch.split_at_mut(aligned(channels * x.layout.max_width()));
        let eps = config.eps;
        let tokens = match config.pool {
            Pool::Cls => {
                let count = config.class_tokens;
                let tokens = x.panel(0)?.column_range(0..count)?;
                self.norm.run(pass, &tokens, eps, &mut ViewMut::new(features, channels, count)?)?;
                View::new(features, channels, count)?
            }
            Pool::Avg => {
                let mean = self.mean(pass, config, x, features, rest)?;
                View::new(mean, channels, 1)?
            }
        };
        classify(pass, &self.head, &tokens.column_range(0..1)?, logits)?;
        if let Some(head_dist) = &self.head_dist {
            let distilled = &mut rest[..config.classes];
            classify(pass, head_dist, &tokens.column_range(1..2)?, distilled)?;
            logits.iter_mut().zip(distilled).for_each(|(x, y)| *x = (*x + *y) / 2.0);
        }
        Ok(())
    }

    /// The mean of the patch tokens, normed before or after, in `features`.
    fn mean<'s>(
        &self,
        pass: &Pass,
        config: &Shape,
        x: &Stream,
        features: &'s mut [f32],
        sums: &mut [f32],
    ) -> Result<&'s [f32], Error> {
        let channels = config.channels;
        let eps = config.eps;
        let (sums, _) = sums.as_chunks_mut::<PARTIAL_SUMS>();
        let sums = &mut sums[..channels];
        sums.fill([0.0; PARTIAL_SUMS]);
        for panel in 0..x.layout.count() {
            let tokens = x.panel(panel)?;
            if config.norm_after_pool {
                add_patch_tokens(config, x.layout.range(panel).start, &tokens, sums);
            } else {
                let mut normed = pass.matrix(features, channels, tokens.columns())?;
                self.norm.run(pass, &tokens, eps, &mut normed)?;
                add_patch_tokens(config, x.layout.range(panel).start, &normed.as_view(), sums);
            }
        }
        // The means behind the place of the norm's result, one a channel.
        let (result, means) = features.split_at_mut(channels);
        for (mean, sums) in result.iter_mut().zip(sums) {
            *mean = sum_in_pairs(sums) / config.patches as f32;
        }
        if config.norm_after_pool {
            means[..channels].copy_from_slice(result);
            let means = View::new(means, channels, 1)?;
            self.norm.run(pass, &means, eps, &mut ViewMut::new(result, channels, 1)?)?;
        }
        Ok(result)
    }
}

/// Adds the patch tokens of a panel, whose first token is `start`, to the partial sums of every channel.
fn add_patch_tokens(config: &Shape, start: usize, tokens: &View, sums: &mut [[f32; PARTIAL_SUMS]]) {
    let first = config.class_tokens.saturating_sub(start);
    for (channel, sums) in sums.iter_mut().enumerate() {
        let row = tokens.row(channel).expect("panels and normed panels have contiguous rows");
        for (t, x) in row.iter().enumerate().skip(first) {
            sums[(start + t - config.class_tokens) % PARTIAL_SUMS] += x;
        }
    }
}

/// `logits = head * token`
fn classify(pass: &Pass, head: &Linear, token: &View, logits: &mut [f32]) -> Result<(), Error> {
    let classes = logits.len();
    head.run(pass, Operation::Head, token, &mut ViewMut::new(logits, classes, 1)?)
}

/// The residual stream of one image: all channels of all tokens in panels, and the orders in which they are to be read.
pub(crate) struct Stream<'a> {
    pub data: &'a [f32],
    pub layout: PanelLayout,
    pub order: ChannelOrder,
    pub tokens: TokenOrder,
}

/// The order of a stream's tokens.
pub(crate) enum TokenOrder {
    /// As they are to be read.
    AsStored,
    /// Window by window, to be read row by row of the map.
    Windows(WindowOrder),
}

impl<'a> Stream<'a> {
    /// One panel, its channels in logical order.
    pub(crate) fn panel(&self, panel: usize) -> Result<View<'a>, Error> {
        let channels = self.order.channels();
        self.layout.view(panel, &self.data[channels * self.layout.offset(panel)..], channels)?.reorder_rows(self.order)
    }

    /// All panels, their channels as stored.
    pub(crate) fn panels(&self) -> Result<Panels<'a>, Error> {
        Panels::new(self.data, self.order.channels(), self.layout)
    }

    /// Column `c` of `out` becomes some channels, counted in logical order, of the token stored at the c-th place.
    pub(crate) fn gather(
        &self,
        channels: Range<usize>,
        places: impl Iterator<Item = usize>,
        out: &mut ViewMut,
    ) -> Result<(), Error> {
        let rows = channels.map(|position| self.order.channel(position));
        gather_columns(&self.panels()?, rows, places, out);
        Ok(())
    }

    /// Writes tokens x channels, row-major, both in logical order.
    pub(crate) fn write(&self, out: &mut [f32]) -> Result<(), Error> {
        let (panels, channels) = (self.panels()?, self.order.channels());
        for (t, token) in out.chunks_exact_mut(channels).enumerate() {
            let place = match &self.tokens {
                TokenOrder::AsStored => t,
                TokenOrder::Windows(windows) => windows.place([t / windows.side, t % windows.side]),
            };
            let column = panels.column(place);
            token.iter_mut().zip(self.order.iter()).for_each(|(y, channel)| *y = column.at(channel));
        }
        Ok(())
    }
}
