//! The families of models, each with the configuration that is its own.

use super::swin::SwinConfig;
use super::vit::VitConfig;

/// The configuration of a model of some family, checked or not.
///
/// ```
/// use vit::{Config, Family};
/// let config = Config::named("deit_tiny").unwrap();
/// assert!(matches!(config.family(), Family::Vit(vit) if vit.dim == 192));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Family {
    /// A plain vision transformer: DeiT and its relatives (`"arch": "vit"`).
    Vit(VitConfig),
    /// A Swin transformer (`"arch": "swin"`).
    Swin(SwinConfig),
}

impl Family {
    /// Planes of an input image.
    ///
    /// ```
    /// let config = vit::Config::named("deit_tiny").unwrap();
    /// assert_eq!(config.family().in_channels(), 3);
    /// ```
    pub fn in_channels(&self) -> usize {
        match self {
            Family::Vit(c) => c.in_channels,
            Family::Swin(c) => c.in_channels,
        }
    }

    /// Height and width of an input image.
    ///
    /// ```
    /// let config = vit::Config::named("deit_tiny").unwrap();
    /// assert_eq!(config.family().image_size(), 224);
    /// ```
    pub fn image_size(&self) -> usize {
        match self {
            Family::Vit(c) => c.image_size,
            Family::Swin(c) => c.image_size,
        }
    }

    /// Classes, or 0 for a model without a head.
    ///
    /// ```
    /// let config = vit::Config::named("deit_tiny").unwrap();
    /// assert_eq!(config.family().num_classes(), 1000);
    /// ```
    pub fn num_classes(&self) -> usize {
        match self {
            Family::Vit(c) => c.num_classes,
            Family::Swin(c) => c.num_classes,
        }
    }
}

impl From<VitConfig> for Family {
    fn from(config: VitConfig) -> Self {
        Family::Vit(config)
    }
}

impl From<SwinConfig> for Family {
    fn from(config: SwinConfig) -> Self {
        Family::Swin(config)
    }
}
