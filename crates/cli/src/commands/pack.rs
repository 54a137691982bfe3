//! `pack`: a checkpoint as a packed file, which runs where it lies.

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
#[command(after_help = "\
OUT is taken wherever a checkpoint is. It holds the weights as they lie in memory and a checksum of them; every value of \
IN is checked now, and none when OUT is loaded (`inspect --verify OUT` checks the checksum). A later version of this \
program may order the weights otherwise and ask for IN again, so keep it.

OUT is written so that nobody may write to it (mode 444), since a running program works on the file itself: overwriting \
or shortening it in use, which root still can, changes the answers or stops that program (SIGBUS). Replacing it, as \
`pack`, `mv` and `cp --remove-destination` do, is harmless. A packed file that somebody may write to is read instead of \
mapped, which takes a few milliseconds longer.

Examples:
  shuffle-vit pack tiny.safetensors tiny.packed
  shuffle-vit pack timm.safetensors deit_tiny.packed --arch deit_tiny --json
  shuffle-vit classify --model tiny.packed samples/bag.png

JSON: {\"output\", \"params\", \"bytes\", \"checksum\"}")]
pub(crate) struct PackArgs {
    /// Checkpoint (safetensors)
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
