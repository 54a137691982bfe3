//! `export-random`: a checkpoint with seeded random weights.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use weights::Random;

use crate::flags::{OutputArgs, SettingArgs, values};
use crate::outcome::Outcome;
use crate::report::{Report, Stream};
use crate::text::{bytes, grouped};
use crate::{models, output};

#[derive(Debug, Args)]
#[command(after_help = "\
The same seed gives the same file on every machine.

Examples:
  shuffle-vit export-random --arch shuffle_deit_tiny --seed 7 random.safetensors
  shuffle-vit export-random --arch deit_small --seed 0 random.safetensors --json
  shuffle-vit export-random --arch deit_tiny --set num_classes=10 --set image_size=96 small.safetensors

JSON: {\"output\", \"params\", \"bytes\"}")]
pub(crate) struct ExportRandomArgs {
    /// Name of a built-in model (`table` lists them), or timm:NAME
    #[arg(long, value_name = "NAME", value_parser = values::arch)]
    pub arch: String,

    #[command(flatten)]
    pub settings: SettingArgs,

    /// Seed of the weights, a whole number
    #[arg(long, value_name = "S", default_value = "0", allow_negative_numbers = true)]
    pub seed: u64,

    /// File to write; a file is replaced when it is complete, a device or FIFO is written to
    #[arg(value_name = "OUT")]
    pub output: PathBuf,

    #[command(flatten)]
    pub format: OutputArgs,
}

#[derive(Serialize)]
struct Summary {
    output: String,
    params: u64,
    bytes: u64,
}

pub(crate) fn execute(args: &ExportRandomArgs) -> Result<Outcome> {
    let output = output::create(&args.output, [])?;
    let description = models::describe(&args.arch, &args.settings)?;
    models::check_size(&description)?;
    let mut random = Random::new(args.seed).for_model(&description.config);
    let stream = Stream::beside(&output);
    let bytes = output.save(&description, &mut random)?;
    let output = args.output.to_string_lossy().into_owned();
    stream.print(&Summary { output, params: description.config.params(), bytes }, args.format.json)?;
    Ok(Outcome::Complete)
}

impl Report for Summary {
    fn text(&self) -> String {
        format!("{}: {} parameters, {}", self.output, grouped(self.params), bytes(self.bytes))
    }
}
