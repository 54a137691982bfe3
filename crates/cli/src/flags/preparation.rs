//! How images are prepared for a model whose file does not say it, and what its classes are called.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use weights::{CropMode, Interpolation};

use super::values;
use crate::labels;
use crate::outcome::Usage;
use crate::text::printable;

/// Title of these flags in the help. Each flag names it, since clap would put the flags behind a group under its title.
const HEADING: &str = "How images are prepared, and what classes are called (these win over the file, with a warning)";

/// Each flag wins over what the file says.
#[derive(Debug, Default, Args)]
pub(crate) struct PreparationArgs {
    /// Subtracted from each channel of pixels between 0 and 1, such as 0.5,0.5,0.5
    #[arg(help_heading = HEADING, long, value_name = "M,M,M", value_delimiter = ',', value_parser = values::finite, allow_hyphen_values = true)]
    pub mean: Vec<f64>,

    /// What each channel is divided by then
    #[arg(help_heading = HEADING, long, value_name = "S,S,S", value_delimiter = ',', value_parser = values::above_zero)]
    pub std: Vec<f64>,

    /// Part of the resized image's short side that the model sees, such as 0.9
    #[arg(help_heading = HEADING, long, value_name = "PART", value_parser = values::above_zero, conflicts_with = "resize")]
    pub crop_pct: Option<f64>,

    /// What the image's short side is resized to, in pixels, before the centre is cut out
    #[arg(help_heading = HEADING, long, value_name = "PIXELS", value_parser = values::positive, allow_negative_numbers = true)]
    pub resize: Option<u32>,

    /// Filter of that resize: bicubic, bilinear or nearest, as Pillow has them
    #[arg(help_heading = HEADING, long, value_name = "FILTER")]
    pub interpolation: Option<Interpolation>,

    /// How the square is cut: center resizes the short side, squash resizes both sides and so changes proportions
    #[arg(help_heading = HEADING, long, value_name = "MODE", value_parser = values::crop_mode)]
    pub crop_mode: Option<CropMode>,

    /// Names of the classes: a text file with a line for each, or JSON
    #[arg(help_heading = HEADING, long, value_name = "FILE")]
    pub labels: Option<PathBuf>,

    /// Set a key of the description to a value, JSON or else a string: name, labels, mean, std, crop_pct, resize, crop_mode or
    /// interpolation; may be repeated
    #[arg(help_heading = HEADING, long = "set", value_name = "KEY=VALUE", value_parser = values::setting)]
    pub settings: Vec<(String, String)>,
}

impl PreparationArgs {
    /// The keys of a description that the flags set, with their values as JSON.
    pub fn settings(&self) -> Result<Vec<(&str, String)>> {
        let mut settings: Vec<(&str, String)> =
            self.settings.iter().map(|(key, value)| (&**key, value.clone())).collect();
        let list = |values: &[f64]| (!values.is_empty()).then(|| format!("{values:?}"));
        settings.extend(list(&self.mean).map(|value| ("mean", value)));
        settings.extend(list(&self.std).map(|value| ("std", value)));
        settings.extend(self.crop_pct.map(|value| ("crop_pct", value.to_string())));
        settings.extend(self.resize.map(|value| ("resize", value.to_string())));
        settings.extend(self.interpolation.map(|value| ("interpolation", value.to_string())));
        settings.extend(self.crop_mode.map(|value| ("crop_mode", value.name().into())));
        if let Some(path) = &self.labels {
            settings.push(("labels", labels::read(path)?));
        }
        let twice = |i: &usize| settings[..*i].iter().any(|(key, _)| *key == settings[*i].0);
        if let Some(i) = (0..settings.len()).find(twice) {
            return Err(Usage(format!("{} is set twice; set it once", printable(settings[i].0))).into());
        }
        Ok(settings)
    }
}
