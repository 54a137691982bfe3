//! `run`: a model on raw tensors, to compare with what PyTorch computes from the same ones.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;
use vit::{Config, Intermediate, Level, Model, RunOptions};
use weights::{Aligned, Dtype, Output, TensorFile};

use crate::flags::{ComputeArgs, LoadingArgs, OutputArgs, PreparationArgs};
use crate::outcome::Outcome;
use crate::report::{Report, Stream};
use crate::stats::millis_since;
use crate::text::{millis, printable, shown};
use crate::threads::{Runner, Threads};
use crate::{buffer, diagnostics, models, output};

#[derive(Debug, Args)]
#[command(after_help = "\
IN holds the F32 tensor `image` [batch, channels, size, size], already normalised. OUT gets `logits` [batch, classes]; \
a model without a head gives `features` [batch, channels] instead. --taps adds the intermediate outputs `tap.0`, `tap.1` \
and so on: the tokens after each block, or after each stage of a Swin before they are merged, as [batch, tokens, \
channels], class tokens first, channels in logical order. It computes on one thread.

Examples:
  shuffle-vit run --model tiny.safetensors --input in.safetensors --output out.safetensors --taps
  shuffle-vit run --model timm.safetensors --arch deit_tiny --input in.safetensors --output out --json

JSON: {\"output\", \"batch\", \"taps\", \"ms\"}; `taps` says how many were written, `ms` is for the whole batch.")]
pub(crate) struct RunArgs {
    /// Checkpoint (safetensors), folder of the Hugging Face hub, or packed file
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,

    /// Tensors to read
    #[arg(long, value_name = "IN")]
    pub input: PathBuf,

    /// File to write; a file is replaced when it is complete, a device or FIFO is written to
    #[arg(long, value_name = "OUT")]
    pub output: PathBuf,

    /// Also write the output of each block (Swin: of each stage)
    #[arg(long)]
    pub taps: bool,

    #[command(flatten)]
    pub compute: ComputeArgs,

    #[command(flatten)]
    pub format: OutputArgs,

    #[command(flatten)]
    pub loading: LoadingArgs,
}

#[derive(Serialize)]
struct Summary {
    output: String,
    batch: usize,
    taps: usize,
    ms: f64,
    #[serde(skip)]
    what: &'static str,
}

pub(crate) fn execute(args: &RunArgs) -> Result<Outcome> {
    let inputs = models::files_of(&args.model);
    let output = output::create(&args.output, inputs.iter().chain([&args.input]).map(PathBuf::as_path))?;
    let named = models::load(&args.model, &args.loading, &PreparationArgs::default())?;
    let (model, level) = (named.model.model(), args.compute.level.level);
    let config = model.config();
    let file = TensorFile::from_file(&args.input)?;
    let batch = batch(&args.input, &file, config)?;
    let images = file.tensor("image")?;

    let mut logits = buffer::zeroed(batch.saturating_mul(config.outputs()), "the logits")?;
    let mut taps = if args.taps { Taps::new(config, batch)? } else { Taps::default() };
    let ms = if args.taps {
        taps.run(&model, level, &images, &mut logits)?
    } else {
        let threads = Threads::from_args(&args.compute)?;
        let mut runner = Runner::new(model, level, &threads)?;
        let start = Instant::now();
        runner.run(&images, &mut logits)?;
        millis_since(start)
    };
    if logits.iter().any(|x| !x.is_finite()) {
        let what = what_comes_out(config);
        diagnostics::warn(format_args!(
            "some {what} are not finite; look for such values, or very large ones, in the input"
        ));
    }
    let stream = Stream::beside(&output);
    write(output, config, batch, &logits, &taps)?;
    let output = args.output.to_string_lossy().into_owned();
    let summary = Summary { output, batch, taps: taps.streams.len(), ms, what: what_comes_out(config) };
    stream.print(&summary, args.format.json)?;
    Ok(Outcome::Complete)
}

/// How many images the file has, of exactly the type and shape that the model takes.
fn batch(path: &Path, file: &TensorFile, config: &Config) -> Result<usize> {
    let Some(info) = file.info("image") else {
        let names: Vec<_> = file.tensors().iter().take(5).map(|info| format!("`{}`", printable(&info.name))).collect();
        bail!(
            "{}: has no tensor `image`, found {}; name a file with an F32 tensor `image`, as `classify --dump-input` writes it",
            shown(path),
            if names.is_empty() { "none".into() } else { names.join(", ") }
        );
    };
    let (channels, size) = (config.in_channels(), config.image_size());
    match info.shape[..] {
        [batch, c, height, width] if info.dtype == Dtype::F32 && [c, height, width] == [channels, size, size] => {
            Ok(batch)
        }
        _ => bail!(
            "{}: tensor `image` is {} {:?}, expected F32 [batch, {channels}, {size}, {size}] as the model takes it; \
             prepare the images for this model, or name the model that they were prepared for",
            shown(path),
            info.dtype,
            info.shape
        ),
    }
}

/// What every block, or every stage of Swin, puts out, for the whole batch: [batch, tokens, channels] each.
#[derive(Default)]
struct Taps {
    streams: Vec<Aligned>,
}

impl Taps {
    fn new(config: &Config, batch: usize) -> Result<Self> {
        let zeroed = |i| buffer::zeroed(batch.saturating_mul(config.intermediate_shape(i).iter().product()), "a tap");
        Ok(Self { streams: (0..config.intermediate_outputs()).map(zeroed).collect::<Result<_>>()? })
    }

    /// Fills the taps and the logits on this thread; returns the milliseconds it took.
    fn run(&mut self, model: &Model, level: Level, images: &[f32], logits: &mut [f32]) -> Result<f64> {
        let mut scratch = buffer::zeroed(model.scratch_len(level), "the model's scratch")?;
        let mut written = Ok(());
        let start = Instant::now();
        let mut keep = |image: usize, output: Intermediate| {
            let len = output.shape().iter().product::<usize>();
            let result = output.write(&mut self.streams[output.index()][image * len..][..len]);
            written = written.and(result);
        };
        let options = RunOptions::new(level).intermediate_outputs(&mut keep);
        model.run(options, images, logits, &mut scratch)?;
        written?;
        Ok(millis_since(start))
    }
}

fn write(output: Output, config: &Config, batch: usize, logits: &[f32], taps: &Taps) -> Result<()> {
    let names: Vec<String> = (0..taps.streams.len()).map(|i| format!("tap.{i}")).collect();
    let shapes: Vec<[usize; 3]> =
        (0..taps.streams.len()).map(|i| config.intermediate_shape(i)).map(|[n, c]| [batch, n, c]).collect();
    let logits_shape = [batch, config.outputs()];
    let mut tensors: Vec<(&str, &[usize], &[f32])> = vec![(what_comes_out(config), &logits_shape, logits)];
    for ((name, shape), stream) in names.iter().zip(&shapes).zip(&taps.streams) {
        tensors.push((name, shape, stream));
    }
    output.write_tensors(&tensors)?;
    Ok(())
}

/// The tensor's name: a model without a head gives what a head would see.
fn what_comes_out(config: &Config) -> &'static str {
    if config.num_classes() == 0 { "features" } else { "logits" }
}

impl Report for Summary {
    fn text(&self) -> String {
        let Self { output, batch, taps, ms, what } = self;
        let taps = if *taps > 0 { format!(", {taps} taps") } else { String::new() };
        format!("{output}: {what} of {batch} image(s){taps}, computed in {} ms", millis(*ms))
    }
}
