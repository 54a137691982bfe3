//! A model ready to run: a configuration over packed weights.

use core::fmt;

use kernels::Level;

use crate::config::Config;
use crate::exec::error::RunError;
use crate::exec::executor::{Executor, enter, join};
use crate::exec::options::{OnIntermediate, RunOptions};
use crate::exec::pass::Pass;
use crate::families::{Network, list};
use crate::packed::layout::Length;
use crate::packed::packer::Packer;
use crate::packed::{PackError, Tensors};

/// Values of a model's packed weights.
///
/// ```
/// let config = vit::Config::named("deit_tiny").unwrap();
/// assert!(vit::packed_len(&config) as u64 >= config.params());
/// ```
pub fn packed_len(config: &Config) -> usize {
    let mut length = Length(0);
    list(&mut length, config);
    length.0
}

/// Packs a model's tensors into `packed`, whose length is [`packed_len`].
///
/// [`Model`] has an example.
///
/// # Errors
/// [`PackError`]: the source's own error, a tensor or buffer of the wrong size.
///
/// ```
/// # fn example(checkpoint: &mut impl vit::Tensors) {
/// let config = vit::Config::named("deit_tiny").unwrap();
/// let mut packed = vec![0.0; vit::packed_len(&config)];
/// assert!(vit::pack(&config, checkpoint, &mut packed).is_ok());
/// # }
/// ```
pub fn pack<T: Tensors>(config: &Config, tensors: &mut T, packed: &mut [f32]) -> Result<(), PackError<T::Error>> {
    check_len(config, packed)?;
    let mut packer = Packer::new(tensors, packed);
    list(&mut packer, config);
    packer.finish()
}

fn check_len<E>(config: &Config, packed: &[f32]) -> Result<(), PackError<E>> {
    let (expected, found) = (packed_len(config), packed.len());
    if expected == found { Ok(()) } else { Err(PackError::Buffer { expected, found }) }
}

/// A model over packed weights, which it borrows.
///
/// A model is never changed by running, so threads share one, each with scratch of its own.
///
/// ```
/// use vit::{Config, Level, Model, Pool, TensorName, Tensors, VitConfig};
///
/// /// Every value 0.01: a real source is a checkpoint (crate `weights`).
/// struct Constant(Vec<f32>);
/// impl Tensors for Constant {
///     type Error = core::convert::Infallible;
///     fn tensor(&mut self, _: TensorName, shape: &[usize]) -> Result<&[f32], Self::Error> {
///         self.0.resize(shape.iter().product(), 0.01);
///         Ok(&self.0)
///     }
/// }
///
/// let config = Config::new(VitConfig {
///     image_size: 8, patch_size: 4, num_classes: 3, dim: 16, depth: 2, heads: 2, shuffle: true, ..VitConfig::default()
/// })?;
/// let mut packed = vec![0.0; vit::packed_len(&config)];
/// vit::pack(&config, &mut Constant(Vec::new()), &mut packed).unwrap();
///
/// let model = Model::new(&config, &packed)?;
/// let level = Level::detect();
/// let mut scratch = vec![0.0; model.scratch_len(level)];
/// let images = vec![0.5; 2 * config.image_len()]; // a batch of 2, channel planes, normalised
/// let mut logits = [0.0; 2 * 3];
/// model.run(level, &images, &mut logits, &mut scratch)?;
/// assert_eq!(logits[..3], logits[3..]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
pub struct Model<'w> {
    config: Config,
    network: Network<'w>,
}

impl<'w> Model<'w> {
    /// A model over weights that [`pack`] has packed, in memory, in flash or mapped from a file. Alignment to 64 bytes is
    /// not needed but faster.
    ///
    /// # Errors
    /// [`PackError::Buffer`] for the wrong length.
    ///
    /// ```
    /// let config = vit::Config::named("deit_tiny").unwrap();
    /// let packed = vec![0.0; vit::packed_len(&config)];
    /// assert!(vit::Model::new(&config, &packed).is_ok());
    /// assert!(vit::Model::new(&config, &packed[1..]).is_err());
    /// ```
    pub fn new(config: &Config, packed: &'w [f32]) -> Result<Self, PackError<core::convert::Infallible>> {
        check_len(config, packed)?;
        let network = Network::new(config, packed).expect("a configuration is of a family that is built in");
        Ok(Model { config: *config, network })
    }

    /// What the model is.
    ///
    /// ```
    /// let config = vit::Config::named("deit_tiny").unwrap();
    /// let packed = vec![0.0; vit::packed_len(&config)];
    /// assert_eq!(*vit::Model::new(&config, &packed).unwrap().config(), config);
    /// ```
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Scratch values that [`Model::run`] needs at a level on one thread, for any batch.
    ///
    /// ```
    /// # fn example(model: &vit::Model) {
    /// let scratch = vec![0.0; model.scratch_len(vit::Level::detect())];
    /// # }
    /// ```
    pub fn scratch_len(&self, level: Level) -> usize {
        self.network.scratch_len(level, 1)
    }

    /// Scratch values that [`Model::run`] needs on an executor's threads, for any batch; `usize::MAX` where that is more than
    /// memory can be.
    ///
    /// ```
    /// # fn example(model: &vit::Model, executor: &dyn vit::Executor) {
    /// let scratch = vec![0.0; model.scratch_len_on(vit::Level::detect(), executor)];
    /// # }
    /// ```
    pub fn scratch_len_on(&self, level: Level, executor: &dyn Executor) -> usize {
        self.batch_scratch_len(level, executor.threads().max(1))
    }

    /// An image on each thread, or one on all.
    fn batch_scratch_len(&self, level: Level, threads: usize) -> usize {
        threads.saturating_mul(self.scratch_len(level)).max(self.network.scratch_len(level, threads))
    }

    /// The outputs of a batch: logits, or of a model without a head the pooled features. It allocates nothing.
    ///
    /// `images` are planes of normalised pixels, `[batch, in_channels, image_size, image_size]`; `outputs` are
    /// `[batch, config.outputs()]`. What `scratch` holds does not matter. A [`Level`] will do for `options`; more can be said
    /// with [`RunOptions`], and changes no output by a bit.
    ///
    /// # Errors
    /// [`RunError`] if a buffer's length does not fit.
    ///
    /// ```
    /// # fn example(model: &vit::Model, images: &[f32], outputs: &mut [f32], scratch: &mut [f32]) -> Result<(), vit::RunError> {
    /// model.run(vit::Level::detect(), images, outputs, scratch)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn run<'o>(
        &self,
        options: impl Into<RunOptions<'o>>,
        images: &[f32],
        outputs: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), RunError> {
        let mut options = options.into();
        let pass = options.pass();
        self.check(&pass, images, outputs, scratch)?;
        enter(pass.executor, || self.run_batch(&pass, images, outputs, scratch, options.on_intermediate.as_deref_mut()))
    }

    fn run_batch(
        &self,
        pass: &Pass,
        images: &[f32],
        outputs: &mut [f32],
        scratch: &mut [f32],
        mut on_intermediate: Option<&mut OnIntermediate>,
    ) -> Result<(), RunError> {
        let batch = images.len() / self.config.image_len();
        // While there is an image for every thread, nothing is faster than that.
        let shared = if on_intermediate.is_none() { batch / pass.threads * pass.threads } else { 0 };
        let (shared_images, images) = images.split_at(shared * self.config.image_len());
        let (shared_outputs, outputs) = outputs.split_at_mut(shared * self.config.outputs());
        self.share_out(pass, shared_images, shared_outputs, scratch)?;
        for (i, (image, outputs)) in self.each(images, outputs).enumerate() {
            match &mut on_intermediate {
                Some(call) => self.network.run(pass, image, outputs, scratch, Some(&mut |output| call(i, output)))?,
                None => self.network.run(pass, image, outputs, scratch, None)?,
            }
        }
        Ok(())
    }

    /// Runs equal shares of a batch on the pass's threads, each image on one.
    fn share_out(&self, pass: &Pass, images: &[f32], outputs: &mut [f32], scratch: &mut [f32]) -> Result<(), RunError> {
        let threads = pass.threads;
        if images.is_empty() || threads == 1 {
            return self
                .each(images, outputs)
                .try_for_each(|(image, out)| self.network.run(pass, image, out, scratch, None));
        }
        let left = threads / 2;
        let (left_images, images) = images.split_at(images.len() / threads * left);
        let (left_outputs, outputs) = outputs.split_at_mut(outputs.len() / threads * left);
        let (left_scratch, scratch) = scratch.split_at_mut(scratch.len() / threads * left);
        let (left_pass, pass) = (Pass { threads: left, ..*pass }, Pass { threads: threads - left, ..*pass });
        join(
            pass.executor,
            || self.share_out(&left_pass, left_images, left_outputs, left_scratch),
            || self.share_out(&pass, images, outputs, scratch),
        )
    }

    /// Each image with the place of its outputs.
    fn each<'a>(
        &self,
        images: &'a [f32],
        outputs: &'a mut [f32],
    ) -> impl Iterator<Item = (&'a [f32], &'a mut [f32])> + use<'a> {
        images.chunks_exact(self.config.image_len()).zip(outputs.chunks_exact_mut(self.config.outputs()))
    }

    fn check(&self, pass: &Pass, images: &[f32], outputs: &[f32], scratch: &[f32]) -> Result<(), RunError> {
        let image_len = self.config.image_len();
        if !images.len().is_multiple_of(image_len) {
            let (channels, size) = (self.config.in_channels(), self.config.image_size());
            return Err(RunError::Images { found: images.len(), image_len, channels, size });
        }
        let (expected, found) = (images.len() / image_len * self.config.outputs(), outputs.len());
        if expected != found {
            return Err(RunError::Length { what: "the buffer for outputs", expected, found });
        }
        let (expected, found) = (self.batch_scratch_len(pass.level, pass.threads), scratch.len());
        if found < expected {
            return Err(RunError::TooShort { what: "the scratch", expected, found });
        }
        Ok(())
    }
}

impl fmt::Debug for Model<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Model").field("config", &self.config).finish_non_exhaustive()
    }
}
