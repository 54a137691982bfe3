//! How an image becomes the numbers a model was trained on; travels with the checkpoint's configuration.

use std::fmt;
use std::str::FromStr;

/// A resampling filter, as Pillow's `Image.resize` applies it: when shrinking, the filter widens with the factor
/// (antialiasing), except for nearest.
///
/// ```
/// let filter: weights::Interpolation = "bilinear".parse()?;
/// assert_eq!(filter, weights::Interpolation::Bilinear);
/// # Ok::<(), weights::UnknownInterpolation>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Interpolation {
    /// Cubic convolution with a = -0.5, four taps a side.
    #[default]
    Bicubic,
    /// The triangle filter.
    Bilinear,
    /// The pixel under the centre.
    Nearest,
}

impl Interpolation {
    /// Every filter, in the order that messages list them.
    ///
    /// ```
    /// assert_eq!(weights::Interpolation::ALL.map(|filter| filter.name()), ["bicubic", "bilinear", "nearest"]);
    /// ```
    pub const ALL: [Self; 3] = [Self::Bicubic, Self::Bilinear, Self::Nearest];

    /// The configuration's word for it.
    ///
    /// ```
    /// assert_eq!(weights::Interpolation::default().name(), "bicubic");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Self::Bicubic => "bicubic",
            Self::Bilinear => "bilinear",
            Self::Nearest => "nearest",
        }
    }
}

impl fmt::Display for Interpolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The word is none of the filters' names.
///
/// ```
/// let error = "lanczos".parse::<weights::Interpolation>().unwrap_err();
/// assert_eq!(error.to_string(), "interpolation is \"lanczos\", expected bicubic, bilinear or nearest");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("interpolation is \"{found}\", expected bicubic, bilinear or nearest")]
#[non_exhaustive]
pub struct UnknownInterpolation {
    /// The word.
    pub found: String,
}

impl FromStr for Interpolation {
    type Err = UnknownInterpolation;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let matching = Self::ALL.into_iter().find(|i| i.name() == word);
        matching.ok_or_else(|| UnknownInterpolation { found: word.into() })
    }
}

/// How a picture that is not square becomes one.
///
/// ```
/// assert_eq!(weights::CropMode::default().name(), "center");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CropMode {
    /// The short side is resized, which keeps the picture's proportions, and the centre cut out.
    #[default]
    Center,
    /// Both sides are resized to the same length, and the centre cut out: what timm calls `squash`, and what transformers
    /// does for ViT, DeiT and Swin.
    Squash,
}

impl CropMode {
    /// Both, in the order that messages list them.
    pub const ALL: [Self; 2] = [Self::Center, Self::Squash];

    /// The configuration's word for it.
    ///
    /// ```
    /// assert_eq!(weights::CropMode::Squash.name(), "squash");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Self::Center => "center",
            Self::Squash => "squash",
        }
    }
}

/// From pixels to a model's input: short side resized to `resize`, centre crop of `image_size`, divided by 255, minus
/// `mean`, divided by `std`.
///
/// ```
/// use weights::{Interpolation, Preparation};
///
/// let preparation = Preparation::new(224, 3);
/// assert_eq!(preparation.resize, 248); // floor(224 / 0.9)
/// assert_eq!(preparation.interpolation, Interpolation::Bicubic);
/// assert_eq!(preparation.mean, [0.485, 0.456, 0.406]);
/// assert!(preparation.problems().is_empty());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Preparation {
    /// Side of the square the model takes, in pixels.
    pub image_size: usize,
    /// What the image's short side is resized to before the crop.
    pub resize: usize,
    /// Whether the long side is resized to the same, or so that proportions stay.
    pub crop_mode: CropMode,
    /// The filter of that resize.
    pub interpolation: Interpolation,
    /// Subtracted from each channel; as many as the model has input channels.
    pub mean: Vec<f32>,
    /// Each channel is divided by it after the mean is subtracted.
    pub std: Vec<f32>,
}

impl Preparation {
    /// The part of the resized short side that the crop keeps where a configuration does not say.
    pub const CROP_PCT: f64 = 0.9;

    /// Bound of `image_size` and `resize`, the same as of every size in a configuration.
    pub const MAX_SIDE: usize = 1 << 20;

    /// What a configuration means that says nothing about images: `CROP_PCT`, bicubic, ImageNet's mean and deviation
    /// for three channels and 0.5 for any other number.
    ///
    /// ```
    /// assert_eq!(weights::Preparation::new(28, 1).mean, [0.5]);
    /// ```
    pub fn new(image_size: usize, channels: usize) -> Self {
        let (mean, std) = match channels {
            3 => (vec![0.485, 0.456, 0.406], vec![0.229, 0.224, 0.225]),
            _ => (vec![0.5; channels], vec![0.5; channels]),
        };
        Self {
            image_size,
            resize: Self::resize_for(image_size, Self::CROP_PCT),
            crop_mode: CropMode::default(),
            interpolation: Interpolation::default(),
            mean,
            std,
        }
    }

    /// `floor(image_size / crop_pct)`, as timm computes it. An absurd `crop_pct` gives a size that
    /// [`problems`](Self::problems) reports.
    ///
    /// ```
    /// assert_eq!(weights::Preparation::resize_for(224, 0.875), 256);
    /// ```
    pub fn resize_for(image_size: usize, crop_pct: f64) -> usize {
        (image_size as f64 / crop_pct).floor() as usize
    }

    /// Everything that makes this preparation impossible, each with what was expected; empty if nothing does.
    ///
    /// ```
    /// let mut preparation = weights::Preparation::new(224, 3);
    /// preparation.std[1] = 0.0;
    /// assert_eq!(preparation.problems().len(), 1);
    /// ```
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (key, side) in [("image_size", self.image_size), ("resize", self.resize)] {
            if !(1..=Self::MAX_SIDE).contains(&side) {
                problems.push(format!("{key} is {side}, expected 1 to {}", Self::MAX_SIDE));
            }
        }
        if self.mean.len() != self.std.len() {
            let (mean, std) = (self.mean.len(), self.std.len());
            problems.push(format!("mean has {mean} values and std {std}, expected one of each per channel"));
        }
        if let Some(mean) = self.mean.iter().find(|mean| !mean.is_finite()) {
            problems.push(format!("mean holds {mean}, expected finite values"));
        }
        if let Some(std) = self.std.iter().find(|&&std| !(std.is_finite() && std > 0.0)) {
            problems.push(format!("std holds {std}, expected finite values above 0"));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_follow_the_channel_count() {
        let grey = Preparation::new(28, 1);
        assert_eq!((grey.resize, &grey.mean[..], &grey.std[..]), (31, &[0.5][..], &[0.5][..]));
        assert_eq!(Preparation::new(224, 3).std, [0.229, 0.224, 0.225]);
        assert_eq!(Preparation::resize_for(224, 0.875), 256);
        assert_eq!(Preparation::resize_for(384, 1.0), 384);
    }

    #[test]
    fn interpolations_are_read_by_name() {
        for filter in Interpolation::ALL {
            assert_eq!(filter.to_string().parse(), Ok(filter));
        }
        let error = "lanczos".parse::<Interpolation>().unwrap_err().to_string();
        assert_eq!(error, "interpolation is \"lanczos\", expected bicubic, bilinear or nearest");
    }

    #[test]
    fn impossible_values_are_all_reported() {
        for crop_pct in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-300] {
            let mut preparation = Preparation::new(224, 3);
            preparation.resize = Preparation::resize_for(224, crop_pct);
            assert_eq!(preparation.problems().len(), 1, "crop_pct {crop_pct}");
        }
        let hopeless = Preparation {
            image_size: 0,
            resize: usize::MAX,
            crop_mode: CropMode::Center,
            interpolation: Interpolation::Nearest,
            mean: vec![f32::NAN],
            std: vec![1.0, 0.0],
        };
        let problems = hopeless.problems();
        assert_eq!(problems.len(), 5, "{problems:?}");
        assert_eq!(problems[0], "image_size is 0, expected 1 to 1048576");
    }
}
