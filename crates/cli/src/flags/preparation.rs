//! How images are prepared for a model whose file does not say it, and what its classes are called.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use weights::Interpolation;

use super::values;
use crate::labels;

/// Each flag goes before what the file says.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "How images are prepared, and what classes are called, before what the file says")]
pub(crate) struct PreparationArgs {
    /// Subtracted from each channel of pixels between 0 and 1, such as 0.5,0.5,0.5
    #[arg(long, value_name = "M,M,M", value_delimiter = ',', value_parser = values::finite, allow_hyphen_values = true)]
    pub mean: Vec<f64>,

    /// What each channel is divided by then
    #[arg(long, value_name = "S,S,S", value_delimiter = ',', value_parser = values::above_zero)]
    pub std: Vec<f64>,

    /// Part of the resized image's short side that the model sees, such as 0.9
    #[arg(long, value_name = "PART", value_parser = values::above_zero, conflicts_with = "resize")]
    pub crop_pct: Option<f64>,

    /// What the image's short side is resized to, in pixels, before the centre is cut out
    #[arg(long, value_name = "PIXELS", value_parser = values::positive, allow_negative_numbers = true)]
    pub resize: Option<u32>,

    /// Filter of that resize: bicubic, bilinear or nearest, as Pillow has them
    #[arg(long, value_name = "FILTER")]
    pub interpolation: Option<Interpolation>,

    /// Names of the classes: a text file with a line for each, or JSON
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
}

impl PreparationArgs {
    /// The keys of a description that the flags set, with their values as JSON.
    pub fn settings(&self) -> Result<Vec<(&'static str, String)>> {
        let mut settings = Vec::new();
        let list = |values: &[f64]| (!values.is_empty()).then(|| format!("{values:?}"));
        settings.extend(list(&self.mean).map(|value| ("mean", value)));
        settings.extend(list(&self.std).map(|value| ("std", value)));
        settings.extend(self.crop_pct.map(|value| ("crop_pct", value.to_string())));
        settings.extend(self.resize.map(|value| ("resize", value.to_string())));
        settings.extend(self.interpolation.map(|value| ("interpolation", value.to_string())));
        if let Some(path) = &self.labels {
            settings.push(("labels", labels::read(path)?));
        }
        Ok(settings)
    }
}
