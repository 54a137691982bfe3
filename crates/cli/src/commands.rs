//! The commands, each with its flags in a file of its own.

mod bench;
mod classify;
mod eval;
mod export_random;
mod inspect;
mod pack;
mod profile;
mod run;
mod table;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::outcome::Outcome;

/// Classify images with tiny vision transformers that have the channel-shuffle module.
///
/// A model trained on Fashion-MNIST is inside the program. Other models are safetensors files as timm, transformers and
/// PyTorch write them, folders as the Hugging Face hub has them, or packed files.
#[derive(Debug, Parser)]
#[command(
    name = "shuffle-vit",
    version,
    after_help = "\
Examples:
  shuffle-vit classify samples/sneaker.png
  shuffle-vit eval --model tiny.safetensors photos/validation
  shuffle-vit bench --arch deit_tiny --threads 1
  shuffle-vit COMMAND --help    flags and examples of a command

Exit codes: 0 success, 1 failure (standard error says what failed), 2 wrong usage."
)]
pub(crate) struct Program {
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Name what images show: class, probability and milliseconds for each
    Classify(classify::ClassifyArgs),
    /// Run a model on raw tensors and write its logits, for comparing it with PyTorch
    Run(run::RunArgs),
    /// Time a model
    Bench(bench::BenchArgs),
    /// Show where a model's time goes, and how near each operation comes to the processor's limit
    Profile(profile::ProfileArgs),
    /// Show a model's configuration, and parameters and multiply-accumulates of each layer
    Inspect(inspect::InspectArgs),
    /// Compare every built-in model with its shuffled version, with theory and with the paper
    Table(table::TableArgs),
    /// Write a checkpoint with seeded random weights
    ExportRandom(export_random::ExportRandomArgs),
    /// Convert a checkpoint to a packed file, which needs no conversion when a program starts
    Pack(pack::PackArgs),
    /// Measure a model's accuracy on labelled images: top-1, top-5 and a confusion matrix
    Eval(eval::EvalArgs),
}

impl Command {
    /// Does what was asked for.
    pub fn execute(&self) -> Result<Outcome> {
        match self {
            Command::Classify(args) => classify::execute(args),
            Command::Run(args) => run::execute(args),
            Command::Bench(args) => bench::execute(args),
            Command::Profile(args) => profile::execute(args),
            Command::Inspect(args) => inspect::execute(args),
            Command::Table(args) => table::execute(args),
            Command::ExportRandom(args) => export_random::execute(args),
            Command::Pack(args) => pack::execute(args),
            Command::Eval(args) => eval::execute(args),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Program::command().debug_assert();
    }

    #[test]
    fn every_command_has_help_with_an_example_and_json() {
        for mut command in Program::command().get_subcommands().cloned() {
            let name = command.get_name().to_string();
            let help = command.render_help().to_string();
            assert!(help.contains(&format!("Examples:\n  shuffle-vit {name}")), "{help}");
            assert!(help.contains("--json"), "{help}");
        }
    }
}
