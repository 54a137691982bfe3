//! What a run may be given besides its data.

use kernels::Level;

use super::executor::{Executor, ThisThread};
use super::pass::{Pass, Profiler};
use crate::layers::stream::Intermediate;

/// Called with an image's index and each of its intermediate outputs.
///
/// ```
/// let mut shapes = Vec::new();
/// let keep: &mut vit::OnIntermediate = &mut |_image, output| shapes.push(output.shape());
/// ```
pub type OnIntermediate<'f> = dyn FnMut(usize, Intermediate) + Send + 'f;

/// How a model runs: at which instruction set level; where wanted, on which threads, and who is told what on the way.
///
/// A [`Level`] alone is enough where an option is taken.
///
/// ```
/// # use vit::{Config, Level, Model, Operation, RunOptions, TensorName, Tensors, VitConfig};
/// # struct Zeros(Vec<f32>);
/// # impl Tensors for Zeros {
/// #     type Error = core::convert::Infallible;
/// #     fn tensor(&mut self, _: TensorName, shape: &[usize]) -> Result<&[f32], Self::Error> {
/// #         self.0.resize(shape.iter().product(), 0.0);
/// #         Ok(&self.0)
/// #     }
/// # }
/// # let config = Config::new(VitConfig { image_size: 32, dim: 8, depth: 3, heads: 2, ..VitConfig::default() })?;
/// # let mut packed = vec![0.0; vit::packed_len(&config)];
/// # vit::pack(&config, &mut Zeros(Vec::new()), &mut packed)?;
/// # let (model, level) = (Model::new(&config, &packed)?, Level::detect());
/// # let (image, mut logits) = (vec![0.0; config.image_len()], vec![0.0; config.outputs()]);
/// # let mut scratch = vec![0.0; model.scratch_len(level)];
/// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
///
/// let in_attention = AtomicU64::new(0);
/// let profiler = |step, macs| {
///     if step == Operation::Attention {
///         in_attention.fetch_add(macs, Relaxed);
///     }
/// };
/// let mut features = Vec::new();
/// let mut keep = |_image: usize, output: vit::Intermediate| {
///     let [tokens, channels] = output.shape();
///     let mut values = vec![0.0; tokens * channels];
///     output.write(&mut values).expect("the buffer has the output's shape");
///     features.push(values);
/// };
/// let options = RunOptions::new(level).profiler(&profiler).intermediate_outputs(&mut keep);
/// model.run(options, &image, &mut logits, &mut scratch)?;
/// assert_eq!(features.len(), config.intermediate_outputs());
/// assert!(in_attention.into_inner() > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RunOptions<'o> {
    level: Level,
    executor: &'o dyn Executor,
    profiler: Option<&'o Profiler<'o>>,
    pub(crate) on_intermediate: Option<&'o mut OnIntermediate<'o>>,
}

impl<'o> RunOptions<'o> {
    /// A run on the calling thread.
    ///
    /// ```
    /// # fn example(model: &vit::Model, images: &[f32], outputs: &mut [f32], scratch: &mut [f32]) -> Result<(), vit::RunError> {
    /// let options = vit::RunOptions::new(vit::Level::detect());
    /// model.run(options, images, outputs, scratch)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(level: Level) -> Self {
        RunOptions { level, executor: &ThisThread, profiler: None, on_intermediate: None }
    }

    /// Runs on an executor's threads. The outputs are the same bits as on one. While a batch has an image for every thread,
    /// each thread runs one; the images that are left run on all threads one after the other.
    ///
    /// ```
    /// # fn example(executor: &dyn vit::Executor, model: &vit::Model, images: &[f32], outputs: &mut [f32], scratch: &mut [f32]) -> Result<(), vit::RunError> {
    /// model.run(vit::RunOptions::new(vit::Level::detect()).executor(executor), images, outputs, scratch)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn executor(self, executor: &'o dyn Executor) -> Self {
        RunOptions { executor, ..self }
    }

    /// Reports each step to `profiler` when it is done, on the thread that did it.
    ///
    /// ```
    /// # fn example(model: &vit::Model, images: &[f32], outputs: &mut [f32], scratch: &mut [f32]) -> Result<(), vit::RunError> {
    /// let print = |step, macs| println!("{step:?}: {macs} multiply-accumulates");
    /// model.run(vit::RunOptions::new(vit::Level::detect()).profiler(&print), images, outputs, scratch)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn profiler(self, profiler: &'o Profiler<'o>) -> Self {
        RunOptions { profiler: Some(profiler), ..self }
    }

    /// Calls a function with the residual stream after each block (plain) or stage (Swin, before it is merged). Images then
    /// run one after the other, and no token is left out of the last block.
    ///
    /// ```
    /// # fn example(model: &vit::Model, images: &[f32], outputs: &mut [f32], scratch: &mut [f32]) -> Result<(), vit::RunError> {
    /// let mut print = |image: usize, output: vit::Intermediate| println!("{image} {} {:?}", output.index(), output.shape());
    /// let options = vit::RunOptions::new(vit::Level::detect()).intermediate_outputs(&mut print);
    /// model.run(options, images, outputs, scratch)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn intermediate_outputs(self, on_intermediate: &'o mut OnIntermediate<'o>) -> Self {
        RunOptions { on_intermediate: Some(on_intermediate), ..self }
    }

    /// What the steps of an image that has all threads to itself have in common.
    pub(crate) fn pass(&self) -> Pass<'o> {
        let threads = self.executor.threads().max(1);
        Pass { level: self.level, threads, executor: self.executor, profiler: self.profiler }
    }
}

impl From<Level> for RunOptions<'_> {
    fn from(level: Level) -> Self {
        RunOptions::new(level)
    }
}

impl core::fmt::Debug for RunOptions<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter) -> core::fmt::Result {
        f.debug_struct("RunOptions")
            .field("level", &self.level)
            .field("threads", &self.executor.threads())
            .field("profiler", &self.profiler.is_some())
            .field("intermediate_outputs", &self.on_intermediate.is_some())
            .finish()
    }
}
