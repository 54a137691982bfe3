//! `classify`: class, probability and milliseconds for each image.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;
use weights::{Aligned, Description};

use crate::flags::{ComputeArgs, OptionalModelArgs, OutputArgs, values};
use crate::outcome::Outcome;
use crate::output::check_output;
use crate::report::{Align, Report, Table, print};
use crate::stats::millis_since;
use crate::threads::{Runner, Threads};
use crate::text::millis;
use crate::{buffer, classes, diagnostics, models};

#[derive(Debug, Args)]
#[command(after_help = "\
The milliseconds are those of the model, without reading and resizing the image.

Examples:
  shuffle-vit classify samples/sneaker.png
  shuffle-vit classify --top 3 --json samples/*.png
  shuffle-vit classify --model deit_tiny.safetensors --arch deit_tiny cat.jpg
  shuffle-vit classify --dump-input input.safetensors samples/bag.png

JSON: [{\"image\", \"top\": [{\"index\", \"label\", \"probability\"}], \"ms\"}]; a class without a name has the label null.")]
pub(crate) struct ClassifyArgs {
    /// PNG or JPEG files
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,

    #[command(flatten)]
    pub model: OptionalModelArgs,

    /// Most probable classes to print for each image
    #[arg(long, value_name = "K", default_value = "1", value_parser = values::positive, allow_negative_numbers = true)]
    pub top: u32,

    /// Also write the normalised pixels as F32 tensor `image` [images, channels, size, size], which `run` reads
    #[arg(long, value_name = "FILE")]
    pub dump_input: Option<PathBuf>,

    #[command(flatten)]
    pub compute: ComputeArgs,

    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Answers {
    answers: Vec<Answer>,
}

#[derive(Serialize)]
struct Answer {
    image: String,
    top: Vec<Class>,
    ms: f64,
}

#[derive(Serialize)]
struct Class {
    index: usize,
    label: Option<String>,
    probability: f64,
}

pub(crate) fn execute(args: &ClassifyArgs) -> Result<Outcome> {
    args.dump_input.as_deref().map(check_output).transpose()?;
    let named = models::load_or_trained(args.model.model.as_deref(), args.model.arch.as_deref())?;
    models::check_takes_images(named.model.description())?;
    let threads = Threads::from_args(&args.compute)?;
    let runner = Runner::new(named.model.model(), args.compute.level.level, &threads)?;
    let mut classifier = Classifier::new(named.model.description(), runner, args.top as usize)?;

    let mut answers = Vec::new();
    let mut inputs = Vec::new();
    let progress = diagnostics::progress(args.images.len(), "images");
    for path in &args.images {
        match classifier.classify(path) {
            Ok(answer) => {
                answers.push(answer);
                if args.dump_input.is_some() {
                    inputs.extend_from_slice(&classifier.input);
                }
            }
            Err(error) => progress.suspend(|| diagnostics::error(&error)),
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    let failed = args.images.len() - answers.len();
    if answers.is_empty() {
        bail!("none of the {failed} image(s) could be classified");
    }
    if let Some(path) = &args.dump_input {
        let config = &named.model.description().config;
        let shape = [answers.len(), config.in_channels(), config.image_size(), config.image_size()];
        weights::write_tensors(path, &[("image", &shape, &inputs)])?;
    }
    print(&Answers { answers }, args.output.json)?;
    Ok(Outcome::of(failed))
}

struct Classifier<'a> {
    description: &'a Description,
    runner: Runner<'a>,
    top: usize,
    input: Aligned,
    logits: Vec<f32>,
}

impl<'a> Classifier<'a> {
    fn new(description: &'a Description, runner: Runner<'a>, top: usize) -> Result<Self> {
        let config = &description.config;
        let input = buffer::zeroed(config.image_len(), "an image")?;
        Ok(Self { description, runner, top, input, logits: vec![0.0; config.outputs()] })
    }

    fn classify(&mut self, path: &Path) -> Result<Answer> {
        images::load(path, &self.description.preparation, &mut self.input)?;
        let start = Instant::now();
        self.runner.run(&self.input, &mut self.logits)?;
        let ms = millis_since(start);
        let ranked = classes::ranked(&self.logits).with_context(|| path.display().to_string())?;
        let class =
            |(index, probability)| Class { index, label: self.description.label(index).map(String::from), probability };
        let top = ranked.into_iter().take(self.top).map(class).collect();
        Ok(Answer { image: path.to_string_lossy().into_owned(), top, ms })
    }
}

impl Report for Answers {
    fn text(&self) -> String {
        let (left, right) = (Align::Left, Align::Right);
        let mut table = Table::new([("image", left), ("class", left), ("probability", right), ("ms", right)]);
        for Answer { image, top, ms } in &self.answers {
            for (place, class) in top.iter().enumerate() {
                let first = |text: String| if place == 0 { text } else { String::new() };
                let name = classes::name(class.label.as_deref(), class.index);
                let probability = format!("{:.2} %", 100.0 * class.probability);
                table.row([first(image.clone()), name, probability, first(millis(*ms))]);
            }
        }
        table.to_string()
    }
}
