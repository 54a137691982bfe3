//! What a model is: sizes and switches, checked once, and everything that follows from them by arithmetic.
//!
//! A [`Config`] holds what a checkpoint's description says (the `config` entry of its metadata) or what a public model's name
//! stands for ([`Config::named`]). Tensor names and shapes ([`Config::visit_tensors`]),
//! parameters and multiply-accumulates ([`Config::visit_layers`]) all derive from it.

mod error;
mod family;
mod named;
mod swin;
mod switches;
mod t2t;
mod tensor;
mod vit;
mod windows;

pub use error::{ConfigError, MAX_DEPTH, MAX_SIZE};
pub use family::Family;
pub use swin::{MAX_STAGES, Stages, SwinConfig};
#[cfg(feature = "swin")]
pub(crate) use swin::{Merging, Stage};
pub use switches::{Pool, Rescale, Tokens};
#[cfg(feature = "t2t")]
pub(crate) use t2t::{FEATURES, Rounds, T2T_WIDTH};
pub use tensor::{Layer, LayerName, TensorName};
pub use vit::VitConfig;
pub(crate) use windows::Windows;

/// The configuration of one model of any family, checked: a model can be built from it, and what is computed from its sizes
/// does not overflow.
///
/// ```
/// use vit::{Config, VitConfig};
///
/// let config = Config::named("shuffle_deit_tiny").unwrap();
/// assert_eq!(config.params(), 6_095_488);
/// assert_eq!(config.macs(), 1_282_776_576);
///
/// let small = VitConfig { image_size: 64, dim: 96, depth: 6, heads: 3, ..VitConfig::default() };
/// assert_eq!(Config::new(small)?.image_len(), 3 * 64 * 64);
/// let error = Config::new(VitConfig { heads: 5, ..small }).unwrap_err();
/// assert_eq!(error.to_string(), "config: heads 5 does not divide dim 96: choose one of its divisors");
/// # Ok::<(), vit::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Config {
    family: Family,
}

impl Config {
    /// Checks every bound that a model's construction relies on.
    ///
    /// # Errors
    /// [`ConfigError`] with what is wrong, what is expected and what to do.
    ///
    /// ```
    /// let tiny = vit::VitConfig { dim: 192, depth: 12, heads: 3, ..vit::VitConfig::default() };
    /// assert!(vit::Config::new(tiny).is_ok());
    /// assert!(vit::Config::new(vit::VitConfig { depth: 0, ..tiny }).is_err());
    /// ```
    pub fn new(family: impl Into<Family>) -> Result<Self, ConfigError> {
        let family = family.into();
        let (feature, built_in) = match family {
            Family::Vit(c) if c.tokens != Tokens::Patch => ("t2t", cfg!(feature = "t2t")),
            Family::Vit(_) => ("plain", cfg!(feature = "plain")),
            Family::Swin(_) => ("swin", cfg!(feature = "swin")),
        };
        if !built_in {
            return Err(ConfigError::NotBuiltIn { feature });
        }
        match family {
            Family::Vit(c) => c.validate(),
            Family::Swin(c) => c.validate(),
        }?;
        Ok(Config { family })
    }

    /// The family, with the configuration that is its own.
    ///
    /// ```
    /// let config = vit::Config::named("deit_tiny").unwrap();
    /// assert!(matches!(config.family(), vit::Family::Vit(vit) if vit.dim == 192));
    /// ```
    pub fn family(&self) -> &Family {
        &self.family
    }

    /// Calls `visit` with the name and shape of every tensor of the checkpoint, in its order.
    ///
    /// ```
    /// let config = vit::Config::named("deit_tiny").unwrap();
    /// let mut count = 0;
    /// config.visit_tensors(&mut |name, shape| {
    ///     if name.to_string() == "blocks.3.attn.qkv.weight" {
    ///         assert_eq!(shape, [576, 192]);
    ///     }
    ///     count += 1;
    /// });
    /// assert_eq!(count, 152);
    /// ```
    pub fn visit_tensors(&self, visit: &mut dyn FnMut(TensorName, &[usize])) {
        match &self.family {
            Family::Vit(c) => c.visit_tensors(visit),
            Family::Swin(c) => c.visit_tensors(visit),
        }
    }

    /// Calls `visit` with every layer in the checkpoint's order.
    ///
    /// ```
    /// let mut rows = 0;
    /// vit::Config::named("swin_tiny").unwrap().visit_layers(&mut |layer| {
    ///     if layer.name.to_string() == "layers.0.downsample.reduction" {
    ///         assert_eq!((layer.params, layer.macs), (4 * 96 * 2 * 96, 784 * 4 * 96 * 2 * 96));
    ///     }
    ///     rows += 1;
    /// });
    /// assert!(rows > 90);
    /// ```
    pub fn visit_layers(&self, visit: &mut dyn FnMut(Layer)) {
        let mut current: Option<Layer> = None;
        self.visit_tensors(&mut |name, shape| {
            let params = shape.iter().map(|&x| x as u64).product();
            let macs = match &self.family {
                Family::Vit(c) => c.macs_of(name, shape),
                Family::Swin(c) => c.macs_of(name, shape),
            };
            match &mut current {
                Some(layer) if layer.name == name.layer() => {
                    layer.params += params;
                    layer.macs += macs;
                }
                _ => {
                    if let Some(done) = current.replace(Layer { name: name.layer(), params, macs }) {
                        visit(done);
                    }
                }
            }
        });
        if let Some(done) = current {
            visit(done);
        }
    }

    /// Parameters: the values of all tensors of the checkpoint.
    ///
    /// ```
    /// let config = vit::Config::named("deit_tiny").unwrap();
    /// assert_eq!(config.params(), 5_717_416);
    /// ```
    pub fn params(&self) -> u64 {
        let mut sum = 0;
        self.visit_layers(&mut |layer| sum += layer.params);
        sum
    }

    /// Multiply-accumulates of all matrix products for one image, on all tokens, whatever clever execution saves.
    ///
    /// ```
    /// let config = vit::Config::named("deit_tiny").unwrap();
    /// assert_eq!(config.macs(), 1_253_683_200);
    /// ```
    pub fn macs(&self) -> u64 {
        let mut sum = 0;
        self.visit_layers(&mut |layer| sum += layer.macs);
        sum
    }

    /// Planes of an input image.
    ///
    /// ```
    /// let config = vit::Config::named("deit_tiny").unwrap();
    /// assert_eq!(config.in_channels(), 3);
    /// ```
    pub fn in_channels(&self) -> usize {
        self.family.in_channels()
    }

    /// Height and width of an input image.
    ///
    /// ```
    /// let config = vit::Config::named("deit_tiny").unwrap();
    /// assert_eq!(config.image_size(), 224);
    /// ```
    pub fn image_size(&self) -> usize {
        self.family.image_size()
    }

    /// Values of one input image: `in_channels * image_size^2`.
    ///
    /// ```
    /// let config = vit::Config::named("deit_tiny").unwrap();
    /// assert_eq!(config.image_len(), 3 * 224 * 224);
    /// ```
    pub fn image_len(&self) -> usize {
        self.in_channels() * self.image_size() * self.image_size()
    }

    /// Classes, or 0 for a model without a head.
    ///
    /// ```
    /// let config = vit::Config::named("deit_tiny").unwrap();
    /// assert_eq!(config.num_classes(), 1000);
    /// ```
    pub fn num_classes(&self) -> usize {
        self.family.num_classes()
    }

    /// Values that a run gives for each image: the logits, or without a head the pooled and normed features.
    ///
    /// ```
    /// use vit::{Config, VitConfig};
    /// let vit = VitConfig { dim: 384, depth: 12, heads: 6, ..VitConfig::default() };
    /// assert_eq!(Config::new(vit)?.outputs(), 1000);
    /// assert_eq!(Config::new(VitConfig { num_classes: 0, ..vit })?.outputs(), 384);
    /// # Ok::<(), vit::ConfigError>(())
    /// ```
    pub fn outputs(&self) -> usize {
        match self.num_classes() {
            0 => self.features(),
            classes => classes,
        }
    }

    /// Pooled features of an image, which the head reads.
    fn features(&self) -> usize {
        match &self.family {
            Family::Vit(c) => c.features(),
            Family::Swin(c) => c.last().channels,
        }
    }

    /// How many intermediate outputs a run offers: one after each block, or after each stage.
    ///
    /// ```
    /// let config = vit::Config::named("deit_tiny").unwrap();
    /// assert_eq!(config.intermediate_outputs(), 12);
    /// ```
    pub fn intermediate_outputs(&self) -> usize {
        match &self.family {
            Family::Vit(c) => c.depth,
            Family::Swin(c) => c.depths.len(),
        }
    }

    /// Tokens and channels of intermediate output `i`.
    ///
    /// # Panics
    /// If there is no such output.
    ///
    /// ```
    /// let config = vit::Config::named("deit_tiny").unwrap();
    /// assert_eq!(config.intermediate_shape(0), [197, 192]);
    /// ```
    pub fn intermediate_shape(&self, i: usize) -> [usize; 2] {
        match &self.family {
            Family::Vit(c) => [c.tokens(), c.channels()],
            Family::Swin(c) => [c.stage(i).tokens(), c.stage(i).channels],
        }
    }
}
