//! From the last block's tokens to logits: final norm, pooling, classifier.

use kernels::internal::{PARTIAL_SUMS, sum_in_pairs};
use kernels::{Error, View, ViewMut};

use super::linear::Linear;
use super::norm::Norm;
use super::stream::Stream;
use crate::config::{Pool, TensorName};
use crate::exec::pass::{Operation, Pass};
use crate::packed::layout::{Layout, Reader, aligned};

/// The sizes and switches of a head.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub channels: usize,
    pub classes: usize,
    /// Tokens in front of the patches'.
    pub prefix_tokens: usize,
    pub patches: usize,
    pub distilled: bool,
    pub pool: Pool,
    pub norm_after_pool: bool,
    pub eps: f32,
}

impl Shape {
    /// Values that a classifier reads.
    fn features(&self) -> usize {
        self.channels * self.pool.parts()
    }

    /// Classifiers: none, or one for each pooled vector.
    fn classifiers(&self) -> usize {
        if self.classes == 0 { 0 } else { self.vectors() }
    }

    /// Partial sums of a mean.
    fn sums(&self) -> usize {
        if self.pool.averages() { self.channels * PARTIAL_SUMS } else { 0 }
    }

    /// Pooled vectors: one, or that of the class token and that of the distillation token.
    fn vectors(&self) -> usize {
        1 + usize::from(self.distilled)
    }
}

/// The final norm and the classifier, both classifiers of a distilled model, or none.
pub(crate) struct Head<L: Layout> {
    norm: Norm<L>,
    classifiers: [Option<Linear<L>>; 2],
}

impl<L: Layout> Head<L> {
    pub(crate) fn list(layout: &mut L, shape: &Shape) -> Self {
        // timm calls a norm that follows the pooling `fc_norm`.
        let norm =
            if shape.norm_after_pool { ["fc_norm.weight", "fc_norm.bias"] } else { ["norm.weight", "norm.bias"] };
        let norm = Norm::list(layout, norm.map(TensorName::Top), shape.channels);
        let mut classifier = |i: usize, [weight, bias]: [&'static str; 2]| {
            let size = [shape.classes, shape.features()];
            (i < shape.classifiers())
                .then(|| Linear::list(layout, TensorName::Top(weight), Some(TensorName::Top(bias)), &size))
        };
        let classifiers =
            [classifier(0, ["head.weight", "head.bias"]), classifier(1, ["head_dist.weight", "head_dist.bias"])];
        Head { norm, classifiers }
    }
}

impl Head<Reader<'_>> {
    /// Scratch values.
    pub(crate) fn scratch_len(config: &Shape, width: usize) -> usize {
        let pooled = config.vectors() * config.features();
        // The place of a normed panel is free again for a second classifier's logits.
        aligned(config.channels * width).max(aligned(config.classes)) + aligned(pooled) + aligned(config.sums())
    }

    /// The outputs of one image, logits or else pooled features, from its stream `x`, in panels, whose channels stand in the
    /// given order.
    pub(crate) fn run(
        &self,
        pass: &Pass,
        config: &Shape,
        x: &Stream,
        outputs: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let vectors = config.vectors() * config.features();
        let (pooled, rest) = scratch.split_at_mut(aligned(vectors));
        let pooled = &mut pooled[..vectors];
        let (sums, normed) = rest.split_at_mut(aligned(config.sums()));
        match config.pool {
            Pool::Cls => self.class_tokens(pass, config, x, pooled)?,
            Pool::Avg => self.mean(pass, config, x, pooled, normed, sums)?,
            Pool::ClsAvg => {
                let (class, mean) = pooled.split_at_mut(config.channels);
                self.class_tokens(pass, config, x, class)?;
                self.mean(pass, config, x, mean, normed, sums)?;
            }
        }
        let (first, second) = pooled.split_at(config.features());
        self.output(pass, 0, first, outputs)?;
        if config.distilled {
            let distilled = &mut normed[..outputs.len()];
            self.output(pass, 1, second, distilled)?;
            outputs.iter_mut().zip(distilled).for_each(|(x, y)| *x = (*x + *y) / 2.0);
        }
        Ok(())
    }

    /// What a classifier makes of its vector; without classifiers, the vector.
    fn output(&self, pass: &Pass, i: usize, vector: &[f32], out: &mut [f32]) -> Result<(), Error> {
        let Some(classifier) = &self.classifiers[i] else {
            out.copy_from_slice(vector);
            return Ok(());
        };
        let (features, classes) = (vector.len(), out.len());
        let vector = View::new(vector, features, 1)?;
        classifier.run(pass, Operation::Head, &vector, &mut ViewMut::new(out, classes, 1)?)
    }

    /// The normed class tokens, one after the other, as many as `out` has room for.
    fn class_tokens(&self, pass: &Pass, config: &Shape, x: &Stream, out: &mut [f32]) -> Result<(), Error> {
        for (token, out) in out.chunks_exact_mut(config.channels).enumerate() {
            let token = x.panel(0)?.column_range(token..token + 1)?;
            self.norm.run(pass, &token, config.eps, &mut ViewMut::new(out, config.channels, 1)?)?;
        }
        Ok(())
    }

    /// The mean of the patch tokens, normed before or after; `normed` has room for a panel, `sums` for each channel's.
    fn mean(
        &self,
        pass: &Pass,
        config: &Shape,
        x: &Stream,
        mean: &mut [f32],
        normed: &mut [f32],
        sums: &mut [f32],
    ) -> Result<(), Error> {
        let Shape { channels, eps, .. } = *config;
        let (sums, _) = sums.as_chunks_mut::<PARTIAL_SUMS>();
        let sums = &mut sums[..channels];
        sums.fill([0.0; PARTIAL_SUMS]);
        for panel in 0..x.layout.count() {
            let tokens = x.panel(panel)?;
            if config.norm_after_pool {
                add_patch_tokens(config, x.layout.range(panel).start, &tokens, sums);
            } else {
                let mut normed = pass.matrix(normed, channels, tokens.columns())?;
                self.norm.run(pass, &tokens, eps, &mut normed)?;
                add_patch_tokens(config, x.layout.range(panel).start, &normed.as_view(), sums);
            }
        }
        for (mean, sums) in mean.iter_mut().zip(sums) {
            *mean = sum_in_pairs(sums) / config.patches as f32;
        }
        if config.norm_after_pool {
            normed[..channels].copy_from_slice(mean);
            let means = View::new(normed, channels, 1)?;
            self.norm.run(pass, &means, eps, &mut ViewMut::new(mean, channels, 1)?)?;
        }
        Ok(())
    }
}

/// Adds the patch tokens of a panel, whose first token is `start`, to the partial sums of every channel.
fn add_patch_tokens(config: &Shape, start: usize, tokens: &View, sums: &mut [[f32; PARTIAL_SUMS]]) {
    let first = config.prefix_tokens.saturating_sub(start);
    for (channel, sums) in sums.iter_mut().enumerate() {
        let row = tokens.row(channel).expect("panels and normed panels have contiguous rows");
        for (t, x) in row.iter().enumerate().skip(first) {
            sums[(start + t - config.prefix_tokens) % PARTIAL_SUMS] += x;
        }
    }
}
