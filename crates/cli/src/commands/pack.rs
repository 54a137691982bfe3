//! `pack`: a checkpoint as a packed file, which needs no conversion when it is loaded.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::flags::{LoadingArgs, OutputArgs, PreparationArgs};
use crate::outcome::Outcome;
use crate::report::{Report, Stream};
use crate::text::{bytes, grouped};
use crate::{models, output};

#[derive(Debug, Args)]
#[command(mut_arg("map", |map| map.hide(true)), after_help = "\
A packed file is taken wherever a checkpoint is. It holds the weights in the order in which the program uses them, \
their description, and a checksum. Every value of IN is checked now, and none when OUT is loaded; `inspect --verify OUT` \
checks the values and the checksum. Keep IN: the format may change between versions, and an old file is rejected with an \
error.

A packed file is read into memory. With --map the commands map it instead, which starts faster and shares memory between \
processes. Nobody may change or shorten a mapped file while a program uses it: that would change the answers or end the \
program (SIGBUS). Replacing it by another file, as `pack` and `mv` do, is harmless.

Examples:
  shuffle-vit pack tiny.safetensors tiny.packed
  shuffle-vit pack timm.safetensors deit_tiny.packed --arch deit_tiny --json
  shuffle-vit pack vit.safetensors vit.packed --mean 0.5,0.5,0.5 --std 0.5,0.5,0.5 --labels names.txt
  shuffle-vit classify --map --model tiny.packed samples/bag.png

JSON: {\"output\", \"params\", \"bytes\", \"checksum\"}")]
pub(crate) struct PackArgs {
    /// Checkpoint (safetensors) or folder of the Hugging Face hub
    #[arg(value_name = "IN")]
    pub input: PathBuf,

    /// File to write; a file is replaced when it is complete, a device or FIFO is written to
    #[arg(value_name = "OUT")]
    pub output: PathBuf,

    #[command(flatten)]
    pub format: OutputArgs,

    #[command(flatten)]
    pub loading: LoadingArgs,

    #[command(flatten)]
    pub preparation: PreparationArgs,
}

#[derive(Serialize)]
struct Summary {
    output: String,
    params: u64,
    bytes: u64,
    checksum: String,
}

pub(crate) fn execute(args: &PackArgs) -> Result<Outcome> {
    let inputs = models::files_of(&args.input);
    let output = output::create(&args.output, inputs.iter().chain(&args.preparation.labels).map(PathBuf::as_path))?;
    let named = models::pack(&args.input, &args.loading, &args.preparation)?;
    models::say_assumed(&named);
    let (params, checksum) = (named.model.description().config.params(), named.model.verify()?);
    let stream = Stream::beside(&output);
    let bytes = output.save_packed(&named.model)?;
    let output = args.output.to_string_lossy().into_owned();
    stream.print(&Summary { output, params, bytes, checksum }, args.format.json)?;
    Ok(Outcome::Complete)
}

impl Report for Summary {
    fn text(&self) -> String {
        let Self { output, params, bytes: length, checksum } = self;
        format!("{output}: {} parameters, {}, {checksum}", grouped(*params), bytes(*length))
    }
}
