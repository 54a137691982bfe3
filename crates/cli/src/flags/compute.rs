//! How a command computes, and how it answers.

use clap::Args;
use vit::Level;

use super::values::{self, Dtype};

/// How a command computes.
#[derive(Debug, Args)]
pub(crate) struct ComputeArgs {
    /// Threads to compute on; results do not depend on it [default: all cores]
    #[arg(long, value_name = "N", value_parser = values::threads, allow_negative_numbers = true)]
    pub threads: Option<usize>,

    /// Type of the numbers computed with; this version has f32
    #[arg(long, default_value = "f32", value_parser = values::dtype)]
    pub dtype: Dtype,

    #[command(flatten)]
    pub level: LevelArgs,
}

/// Which instructions a command uses.
#[derive(Debug, Args)]
pub(crate) struct LevelArgs {
    /// Instruction set: auto (the best of this CPU), portable, avx2 or avx512
    #[arg(long, env = "SHUFFLE_VIT_LEVEL", default_value = "auto", value_parser = values::level)]
    pub level: Level,
}

/// How a command answers.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Print one JSON document instead of text
    #[arg(long)]
    pub json: bool,
}
