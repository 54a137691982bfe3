//! Which model a command works with.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::values;

/// A checkpoint, or the model inside the program.
#[derive(Debug, Args)]
pub(crate) struct OptionalModelArgs {
    /// Checkpoint (safetensors) or packed file [default: the model inside the program, trained on Fashion-MNIST]
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,

    /// Name of the checkpoint's model, if the file does not describe it (as files exported from timm)
    #[arg(long, value_name = "NAME", value_parser = values::arch, requires = "model")]
    pub arch: Option<String>,
}

/// A checkpoint, or a built-in model with random weights.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("subject").required(true).multiple(true).args(["model", "arch"]))]
pub(crate) struct SubjectArgs {
    /// Checkpoint (safetensors) or packed file
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,

    /// Built-in model with random weights; with --model, the name of the file's model if the file does not describe it
    #[arg(long, value_name = "NAME", value_parser = values::arch)]
    pub arch: Option<String>,

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
