//! A model ready to run: a configuration over packed weights.

use kernels::Level;

use crate::head::Stream;
use crate::packing::{PackError, Packer};
use crate::pass::{Pass, Watch};
use crate::plain::{self, Plain};
#[cfg(feature = "parallel")]
use crate::split::join;
use crate::swin::{self, Swin};
use crate::{Config, ConfigError, Tensors};

/// Values of a model's packed weights.
///
/// # Errors
/// [`ConfigError`] if no model has this configuration.
///
/// ```
/// let config = vit::Config::named("deit_tiny").unwrap();
/// assert!(vit::packed_len(&config)? as u64 >= config.params());
/// # Ok::<(), vit::ConfigError>(())
/// ```
pub fn packed_len(config: &Config) -> Result<usize, ConfigError> {
    config.validate()?;
    Ok(match config {
        Config::Vit(c) => plain::packed_len(c),
        Config::Swin(c) => swin::packed_len(c),
    })
}

/// Packs a model's tensors into `packed`, whose length is [`packed_len`].
///
/// # Errors
/// [`PackError`]: the configuration, the source's own error, a tensor or buffer of the wrong size.
pub fn pack<T: Tensors>(config: &Config, tensors: &mut T, packed: &mut [f32]) -> Result<(), PackError<T::Error>> {
    let expected = packed_len(config).map_err(PackError::Config)?;
    if packed.len() != expected {
        return Err(PackError::Buffer { expected, found: packed.len() });
    }
    let mut packer = Packer { tensors, rest: packed };
    match config {
        Config::Vit(c) => plain::pack(c, &mut packer),
        Config::Swin(c) => swin::pack(c, &mut packer),
    }
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
/// let config = Config::Vit(VitConfig {
///     image_size: 8, patch_size: 4, num_classes: 3, dim: 16, depth: 2, heads: 2, shuffle: true, ..VitConfig::default()
/// });
/// let mut packed = vec![0.0; vit::packed_len(&config)?];
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
    family: Family<'w>,
}

/// The forward passes: adding a family is a file, a variant here and a configuration.
#[derive(Clone, Copy)]
enum Family<'w> {
    Plain(Plain<'w>),
    Swin(Swin<'w>),
}

/// A run that could not be made. Only the logits and the scratch may have been written.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A buffer has the wrong length.
    #[error("{what} holds {found} values, expected {expected}")]
    Length {
        /// The argument.
        what: &'static str,
        /// Values needed.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// The images' values are not a whole number of images.
    #[error("the images hold {found} values, expected a multiple of {image_len} ({channels}x{size}x{size})")]
    Images {
        /// Values given.
        found: usize,
        /// Values of one image.
        image_len: usize,
        /// Planes of one image.
        channels: usize,
        /// Height and width.
        size: usize,
    },
    /// A kernel refused a shape: a defect of this crate.
    #[error(transparent)]
    Kernel(#[from] kernels::Error),
}

/// The residual stream after one block, or after one stage before it is merged, offered to the caller of [`Model::run_with_taps`].
pub struct Tap<'a> {
    pub(crate) index: usize,
    pub(crate) tokens: usize,
    pub(crate) stream: Stream<'a>,
}

impl Tap<'_> {
    /// The block or stage that this is the output of, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Tokens and channels.
    pub fn shape(&self) -> [usize; 2] {
        [self.tokens, self.stream.order.channels()]
    }

    /// Writes tokens x channels, row-major: class tokens first, patches row by row, channels in logical order.
    ///
    /// # Errors
    /// [`RunError::Length`] unless `out` holds exactly that many values.
    pub fn write(&self, out: &mut [f32]) -> Result<(), RunError> {
        let [tokens, channels] = self.shape();
        check_len("the tap's output", tokens * channels, out.len())?;
        Ok(self.stream.write(out)?)
    }
}

impl<'w> Model<'w> {
    /// A model over weights that [`pack`] has packed, in memory, in flash or mapped from a file. Alignment to 64 bytes is
    /// not needed but faster.
    ///
    /// # Errors
    /// [`PackError::Config`] for a configuration that no model has, [`PackError::Buffer`] for the wrong length.
    pub fn new(config: &Config, packed: &'w [f32]) -> Result<Self, PackError<core::convert::Infallible>> {
        let expected = packed_len(config).map_err(PackError::Config)?;
        if packed.len() != expected {
            return Err(PackError::Buffer { expected, found: packed.len() });
        }
        let family = match *config {
            Config::Vit(c) => Family::Plain(Plain::new(c, packed)),
            Config::Swin(c) => Family::Swin(Swin::new(c, packed)),
        };
        Ok(Model { config: *config, family })
    }

    /// What the model is.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Scratch values that [`Model::run`] needs at a level, for any batch.
    pub fn scratch_len(&self, level: Level) -> usize {
        self.scratch_len_on(level, 1)
    }

    /// Scratch values of one image on some threads.
    fn scratch_len_on(&self, level: Level, threads: usize) -> usize {
        match &self.family {
            Family::Plain(model) => model.scratch_len(level, threads),
            Family::Swin(model) => model.scratch_len(level, threads),
        }
    }

    /// The logits of a batch on this thread, without allocation.
    ///
    /// `images` are planes of normalised pixels, `[batch, in_channels, image_size, image_size]`; `logits` are
    /// `[batch, num_classes]`. What `scratch` holds does not matter.
    ///
    /// # Errors
    /// [`RunError`] if a buffer's length does not fit.
    pub fn run(&self, level: Level, images: &[f32], logits: &mut [f32], scratch: &mut [f32]) -> Result<(), RunError> {
        self.check(images, logits, self.scratch_len(level), scratch)?;
        let pass = Pass { level, threads: 1, watch: None };
        self.run_each(images, logits, |image, logits| self.run_one(&pass, image, logits, scratch, None))
    }

    /// As [`Model::run`], telling `watch` of each step when it is done: timed, it is a profile.
    ///
    /// ```
    /// # use vit::{Config, Level, Model, Operation, TensorName, Tensors, VitConfig};
    /// # struct Zeros(Vec<f32>);
    /// # impl Tensors for Zeros {
    /// #     type Error = core::convert::Infallible;
    /// #     fn tensor(&mut self, _: TensorName, shape: &[usize]) -> Result<&[f32], Self::Error> {
    /// #         self.0.resize(shape.iter().product(), 0.0);
    /// #         Ok(&self.0)
    /// #     }
    /// # }
    /// # let config = Config::Vit(VitConfig { image_size: 32, dim: 8, depth: 3, heads: 2, ..VitConfig::default() });
    /// # let mut packed = vec![0.0; vit::packed_len(&config)?];
    /// # vit::pack(&config, &mut Zeros(Vec::new()), &mut packed)?;
    /// # let (model, level) = (Model::new(&config, &packed)?, Level::detect());
    /// # let (image, mut logits) = (vec![0.0; config.image_len()], vec![0.0; config.num_classes()]);
    /// # let mut scratch = vec![0.0; model.scratch_len(level)];
    /// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    /// let in_attention = AtomicU64::new(0);
    /// model.run_watched(level, &image, &mut logits, &mut scratch, &|step, macs| {
    ///     if step == Operation::Attention {
    ///         in_attention.fetch_add(macs, Relaxed);
    ///     }
    /// })?;
    /// assert!(in_attention.into_inner() > 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RunError`] if a buffer's length does not fit.
    pub fn run_watched(
        &self,
        level: Level,
        images: &[f32],
        logits: &mut [f32],
        scratch: &mut [f32],
        watch: &Watch,
    ) -> Result<(), RunError> {
        self.check(images, logits, self.scratch_len(level), scratch)?;
        let pass = Pass { level, threads: 1, watch: Some(watch) };
        self.run_each(images, logits, |image, logits| self.run_one(&pass, image, logits, scratch, None))
    }

    /// As [`Model::run`], calling `tap(image's index, tap)` after each block, or stage.
    ///
    /// ```
    /// # use vit::{Config, Level, Model, TensorName, Tensors, VitConfig};
    /// # struct Zeros(Vec<f32>);
    /// # impl Tensors for Zeros {
    /// #     type Error = core::convert::Infallible;
    /// #     fn tensor(&mut self, _: TensorName, shape: &[usize]) -> Result<&[f32], Self::Error> {
    /// #         self.0.resize(shape.iter().product(), 0.0);
    /// #         Ok(&self.0)
    /// #     }
    /// # }
    /// # let config = Config::Vit(VitConfig { image_size: 32, dim: 8, depth: 3, heads: 2, ..VitConfig::default() });
    /// # let mut packed = vec![0.0; vit::packed_len(&config)?];
    /// # vit::pack(&config, &mut Zeros(Vec::new()), &mut packed)?;
    /// # let (model, level) = (Model::new(&config, &packed)?, Level::detect());
    /// # let (image, mut logits) = (vec![0.0; config.image_len()], vec![0.0; config.num_classes()]);
    /// # let mut scratch = vec![0.0; model.scratch_len(level)];
    /// let mut features = Vec::new();
    /// model.run_with_taps(level, &image, &mut logits, &mut scratch, &mut |_image, tap| {
    ///     let [tokens, channels] = tap.shape();
    ///     let mut values = vec![0.0; tokens * channels];
    ///     tap.write(&mut values).expect("the buffer has the tap's shape");
    ///     features.push(values);
    /// })?;
    /// assert_eq!(features.len(), config.taps());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RunError`] if a buffer's length does not fit.
    pub fn run_with_taps(
        &self,
        level: Level,
        images: &[f32],
        logits: &mut [f32],
        scratch: &mut [f32],
        tap: &mut dyn FnMut(usize, Tap),
    ) -> Result<(), RunError> {
        self.check(images, logits, self.scratch_len(level), scratch)?;
        let pass = Pass { level, threads: 1, watch: None };
        let mut i = 0;
        self.run_each(images, logits, |image, logits| {
            self.run_one(&pass, image, logits, scratch, Some(&mut |t| tap(i, t)))?;
            i += 1;
            Ok(())
        })
    }

    /// Scratch values that [`Model::run_parallel`] needs.
    #[cfg(feature = "parallel")]
    pub fn parallel_scratch_len(&self, level: Level, pool: &rayon::ThreadPool) -> usize {
        let threads = pool.current_num_threads();
        // An image on each thread, or one on all.
        (threads * self.scratch_len(level)).max(self.scratch_len_on(level, threads))
    }

    /// As [`Model::run`], on the threads of a pool: images are shared out while there is one for every thread, then the
    /// token panels of each image that is left. The logits are the same bits.
    ///
    /// # Errors
    /// [`RunError`] if a buffer's length does not fit.
    #[cfg(feature = "parallel")]
    pub fn run_parallel(
        &self,
        level: Level,
        pool: &rayon::ThreadPool,
        images: &[f32],
        logits: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), RunError> {
        let threads = pool.current_num_threads();
        self.check(images, logits, self.parallel_scratch_len(level, pool), scratch)?;
        if threads == 1 {
            return self.run(level, images, logits, scratch);
        }
        let batch = images.len() / self.config.image_len();
        let shared_out = batch / threads * threads;
        let (each_images, one_by_one) = images.split_at(shared_out * self.config.image_len());
        let (each_logits, last_logits) = logits.split_at_mut(shared_out * self.config.outputs());
        let pass = Pass { level, threads, watch: None };
        pool.install(|| {
            self.share_out(level, threads, each_images, each_logits, scratch)?;
            self.run_each(one_by_one, last_logits, |image, logits| self.run_one(&pass, image, logits, scratch, None))
        })
    }

    /// As [`Model::run_watched`], each image on all threads of a pool. [`Operation::Wait`](crate::Operation::Wait) is told
    /// when a thread has waited and goes on.
    ///
    /// # Errors
    /// [`RunError`] if a buffer's length does not fit.
    #[cfg(feature = "parallel")]
    pub fn run_parallel_watched(
        &self,
        level: Level,
        pool: &rayon::ThreadPool,
        images: &[f32],
        logits: &mut [f32],
        scratch: &mut [f32],
        watch: &Watch,
    ) -> Result<(), RunError> {
        self.check(images, logits, self.parallel_scratch_len(level, pool), scratch)?;
        let pass = Pass { level, threads: pool.current_num_threads(), watch: Some(watch) };
        pool.install(|| {
            self.run_each(images, logits, |image, logits| self.run_one(&pass, image, logits, scratch, None))
        })
    }

    /// Runs equal shares of a batch on `threads` threads.
    #[cfg(feature = "parallel")]
    fn share_out(
        &self,
        level: Level,
        threads: usize,
        images: &[f32],
        logits: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), RunError> {
        if images.is_empty() || threads == 1 {
            return self.run(level, images, logits, scratch);
        }
        let left = threads / 2;
        let (images, right_images) = images.split_at(images.len() / threads * left);
        let (logits, right_logits) = logits.split_at_mut(logits.len() / threads * left);
        let (scratch, right_scratch) = scratch.split_at_mut(scratch.len() / threads * left);
        let (a, b) = join(
            || self.share_out(level, left, images, logits, scratch),
            || self.share_out(level, threads - left, right_images, right_logits, right_scratch),
        );
        a.and(b)
    }

    /// The logits of one image.
    fn run_one(
        &self,
        pass: &Pass,
        image: &[f32],
        logits: &mut [f32],
        scratch: &mut [f32],
        tap: Option<&mut dyn FnMut(Tap)>,
    ) -> Result<(), RunError> {
        match &self.family {
            Family::Plain(model) => model.run(pass, image, logits, scratch, tap),
            Family::Swin(model) => model.run(pass, image, logits, scratch, tap),
        }
    }

    fn run_each(
        &self,
        images: &[f32],
        logits: &mut [f32],
        mut run: impl FnMut(&[f32], &mut [f32]) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        let images = images.chunks_exact(self.config.image_len());
        for (image, logits) in images.zip(logits.chunks_exact_mut(self.config.outputs())) {
            run(image, logits)?;
        }
        Ok(())
    }

    fn check(&self, images: &[f32], logits: &[f32], scratch_len: usize, scratch: &[f32]) -> Result<(), RunError> {
        let image_len = self.config.image_len();
        if !images.len().is_multiple_of(image_len) {
            return Err(RunError::Images {
                found: images.len(),
                image_len,
                channels: self.config.in_channels(),
                size: self.config.image_size(),
            });
        }
        check_len("the buffer for logits", images.len() / image_len * self.config.outputs(), logits.len())?;
        if scratch.len() < scratch_len {
            return Err(RunError::Length { what: "the scratch", expected: scratch_len, found: scratch.len() });
        }
        Ok(())
    }
}

fn check_len(what: &'static str, expected: usize, found: usize) -> Result<(), RunError> {
    if expected == found { Ok(()) } else { Err(RunError::Length { what, expected, found }) }
}
