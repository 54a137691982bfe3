//! Which model a command works with.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::values;

/// Title of these flags in the help. Each flag names it, since clap would put the flags behind a group under its title.
const HEADING: &str = "About the model's file";

/// What a model's file leaves open: the same flags wherever one is loaded.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct LoadingArgs {
    /// Name of the model, if the file does not describe it: built in (`table` lists them), or timm:NAME
    #[arg(help_heading = HEADING, long, value_name = "NAME", value_parser = values::arch)]
    pub arch: Option<String>,

    /// Which of several models in the file: the one whose tensors' names begin with PREFIX, such as `ema.`
    #[arg(help_heading = HEADING, long, value_name = "PREFIX")]
    pub prefix: Option<String>,

    /// Leave out the tensors of these names, in which * stands for any text and ? for a character; may be repeated
    #[arg(help_heading = HEADING, long, value_name = "PATTERN")]
    pub ignore: Vec<String>,

    /// Number of attention heads of a plain model that has no description; the tensors do not show it
    #[arg(help_heading = HEADING, long, value_name = "N", value_parser = values::positive, allow_negative_numbers = true)]
    pub heads: Option<u32>,

    /// Resample the positions to images of SIZE pixels, or to the size in the description, as timm does it
    #[arg(help_heading = HEADING, long, value_name = "SIZE", num_args = 0..=1, require_equals = true, value_parser = values::positive)]
    pub resize_positions: Option<Option<u32>>,

    /// Map the file instead of reading it: a packed file starts faster. If somebody changes the file meanwhile, the answers
    /// change or the program ends
    #[arg(help_heading = HEADING, long)]
    pub map: bool,
}

impl LoadingArgs {
    /// The flags but for the name, which also says which built-in model is meant.
    pub fn without_arch(&self) -> Self {
        Self { arch: None, ..self.clone() }
    }

    /// The first flag that was given.
    pub fn first(&self) -> Option<&'static str> {
        let given = [
            ("--arch", self.arch.is_some()),
            ("--prefix", self.prefix.is_some()),
            ("--ignore", !self.ignore.is_empty()),
            ("--heads", self.heads.is_some()),
            ("--resize-positions", self.resize_positions.is_some()),
            ("--map", self.map),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag)
    }
}

/// A model from a file, or a built-in model with random weights.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("subject").required(true).multiple(true).args(["model", "arch"]))]
pub(crate) struct SubjectArgs {
    /// Checkpoint (safetensors), folder of the Hugging Face hub, or packed file; without it --arch names a built-in model, which gets random weights
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,

    #[command(flatten)]
    pub loading: LoadingArgs,

    #[command(flatten)]
    pub settings: SettingArgs,
}

/// Changes to a built-in model.
#[derive(Debug, Default, Args)]
pub(crate) struct SettingArgs {
    /// Set a key of the built-in model's description to a value, JSON or else a string: depth=6; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = values::setting)]
    pub settings: Vec<(String, String)>,
}
