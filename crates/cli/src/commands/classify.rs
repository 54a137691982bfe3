//! `classify`: class, probability and milliseconds for each image, as they come.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;
use unicode_width::UnicodeWidthStr;
use weights::{Aligned, Description, RowWriter};

use crate::flags::{ComputeArgs, LoadingArgs, OutputArgs, PreparationArgs, values};
use crate::models::Named;
use crate::outcome::Outcome;
use crate::pictures::{Picture, Pictures};
use crate::report::{Align, Column, Stream, line, to_json};
use crate::stats::millis_since;
use crate::text::{millis, printable};
use crate::threads::{Runner, Threads};
use crate::{buffer, classes, diagnostics, models, output};

/// Widest column of classes: longer names of classes, such as ImageNet's lists of synonyms, move what follows them.
const MAX_CLASS_WIDTH: usize = 40;

#[derive(Debug, Args)]
#[command(after_help = "\
An image is a PNG, JPEG or WebP file, a folder of such files, or - for standard input. The images of a folder are taken \
in the order of their names; other files in it are skipped and counted on standard error. An image that cannot be used \
is reported there, the others are classified, and the exit code is 1. A line appears as soon as its image is done. The \
milliseconds are those of the model, without reading and preparing the image.

Examples:
  shuffle-vit classify samples/sneaker.png
  shuffle-vit classify --top 3 --json samples/*.png
  shuffle-vit classify -r samples --json-lines
  shuffle-vit classify - < samples/bag.png
  shuffle-vit classify --model deit_tiny.safetensors --arch deit_tiny samples
  shuffle-vit classify --model vit.safetensors --mean 0.5,0.5,0.5 --std 0.5,0.5,0.5 samples
  shuffle-vit classify --dump-input input.safetensors samples/bag.png

JSON: [{\"image\", \"top\": [{\"index\", \"label\", \"probability\"}], \"ms\"}]; a class without a name has the label null. \
With --json-lines each of these objects is a line of its own.")]
pub(crate) struct ClassifyArgs {
    /// PNG, JPEG or WebP files, folders of them, or - for standard input
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,

    /// Checkpoint (safetensors), folder of the Hugging Face hub, or packed file [default: the model inside the program,
    /// trained on Fashion-MNIST]
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,

    /// Most probable classes to print for each image
    #[arg(long, value_name = "K", default_value = "1", value_parser = values::positive, allow_negative_numbers = true)]
    pub top: u32,

    /// Also take the images of folders inside folders
    #[arg(short, long)]
    pub recursive: bool,

    /// Also write the normalised pixels as F32 tensor `image` [images, channels, size, size], which `run` reads
    #[arg(long, value_name = "FILE")]
    pub dump_input: Option<PathBuf>,

    #[command(flatten)]
    pub compute: ComputeArgs,

    #[command(flatten)]
    pub output: OutputArgs,

    /// Print a JSON object on a line of its own for each image, as soon as it is done
    #[arg(long, conflicts_with = "json")]
    pub json_lines: bool,

    #[command(flatten)]
    pub loading: LoadingArgs,

    #[command(flatten)]
    pub preparation: PreparationArgs,
}

#[derive(Debug, Serialize)]
struct Answer {
    image: String,
    top: Vec<Class>,
    ms: f64,
}

#[derive(Debug, Serialize)]
struct Class {
    index: usize,
    label: Option<String>,
    probability: f64,
}

pub(crate) fn execute(args: &ClassifyArgs) -> Result<Outcome> {
    let pictures = Pictures::find(&args.images, args.recursive)?;
    let dump = create_dump(args, &pictures)?;
    let named = models::load_or_trained(args.model.as_deref(), &args.loading, &args.preparation)?;
    models::check_classifies(&named)?;
    models::say_assumed(&named);
    let threads = Threads::from_args(&args.compute)?;
    let mut classifier = Classifier::new(&named, &threads, args)?;
    let stream = dump.as_ref().map_or(Stream::Output, Stream::beside);
    let mut answers = Answers::new(stream, Form::of(args, &pictures, named.model.description()));
    let size = named.model.description().config.image_size();
    let shape = [named.model.description().config.in_channels(), size, size];
    let mut dump = dump.map(|output| RowWriter::new(output, "image", &shape)).transpose()?;

    let mut failed = pictures.failed;
    let progress = diagnostics::progress(pictures.list.len(), "images");
    for picture in &pictures.list {
        match classifier.classify(picture) {
            Ok(answer) => {
                dump.as_mut().map(|rows| rows.push(&classifier.input)).transpose()?;
                progress.suspend(|| answers.take(answer))?;
            }
            Err(error) => {
                failed += 1;
                progress.suspend(|| diagnostics::error(&error));
            }
        }
        if answers.reader_left && dump.is_none() {
            break;
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    if answers.count == 0 {
        bail!("none of the {failed} image(s) could be classified");
    }
    dump.map(RowWriter::finish).transpose()?;
    answers.finish()?;
    Ok(Outcome::of(failed))
}

/// The file for what the model is given. It is none of those that are read.
fn create_dump(args: &ClassifyArgs, pictures: &Pictures) -> Result<Option<weights::Output>> {
    let Some(path) = &args.dump_input else { return Ok(None) };
    let model = args.model.as_deref().map(models::files_of).unwrap_or_default();
    let inputs = model.iter().chain(&args.preparation.labels).map(PathBuf::as_path);
    output::create(path, inputs.chain(pictures.list.iter().map(Picture::source))).map(Some)
}

struct Classifier<'a> {
    description: &'a Description,
    runner: Runner<'a>,
    top: usize,
    input: Aligned,
    logits: Vec<f32>,
}

impl<'a> Classifier<'a> {
    fn new(named: &'a Named, threads: &'a Threads, args: &ClassifyArgs) -> Result<Self> {
        let description = named.model.description();
        let runner = Runner::new(named.model.model(), args.compute.level.level, threads)?;
        let input = buffer::zeroed(description.config.image_len(), "an image")?;
        let logits = vec![0.0; description.config.outputs()];
        Ok(Self { description, runner, top: args.top as usize, input, logits })
    }

    fn classify(&mut self, picture: &Picture) -> Result<Answer> {
        picture.load(&self.description.preparation, &mut self.input)?;
        let start = Instant::now();
        self.runner.run(&self.input, &mut self.logits)?;
        let ms = millis_since(start);
        let ranked = classes::ranked(&self.logits).with_context(|| printable(&picture.name()))?;
        let class =
            |(index, probability)| Class { index, label: self.description.label(index).map(String::from), probability };
        let top = ranked.into_iter().take(self.top).map(class).collect();
        Ok(Answer { image: picture.name(), top, ms })
    }
}

/// What answers look like.
enum Form {
    /// Rows below titles, in columns whose widths are known before the first answer is.
    Rows([Column; 4]),
    /// One document, which is complete at the end.
    Document(Vec<Answer>),
    Lines,
}

impl Form {
    fn of(args: &ClassifyArgs, pictures: &Pictures, description: &Description) -> Self {
        if args.json_lines {
            return Self::Lines;
        }
        if args.output.json {
            return Self::Document(Vec::new());
        }
        let images = pictures.list.iter().map(|picture| printable(&picture.name()).width()).max();
        let class = |class| printable(&classes::name(description.label(class), class)).width();
        let classes = (0..description.config.num_classes()).map(class).max();
        Self::Rows([
            Column::new("image", Align::Left, images.unwrap_or(0)),
            Column::new("class", Align::Left, classes.unwrap_or(0).min(MAX_CLASS_WIDTH)),
            Column::new("probability", Align::Right, "100.00 %".len()),
            Column::new("ms", Align::Right, "12345.6".len()),
        ])
    }
}

/// Prints answers in the chosen form.
struct Answers {
    stream: Stream,
    form: Form,
    count: usize,
    /// Nobody reads what is written any more.
    reader_left: bool,
}

impl Answers {
    fn new(stream: Stream, form: Form) -> Self {
        Self { stream, form, count: 0, reader_left: false }
    }

    fn take(&mut self, answer: Answer) -> Result<()> {
        let first = self.count == 0;
        self.count += 1;
        match &mut self.form {
            Form::Document(answers) => answers.push(answer),
            Form::Lines => self.write(&to_json(&answer)?)?,
            Form::Rows(columns) => {
                let titles = first.then(|| line(columns, &["image", "class", "probability", "ms"].map(String::from)));
                let lines: Vec<String> =
                    titles.into_iter().chain(rows(&answer).map(|row| line(columns, &row))).collect();
                self.write(&lines.join("\n"))?;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        if let Form::Document(answers) = &self.form {
            self.write(&to_json(answers)?)?;
        }
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<()> {
        if !self.reader_left {
            self.reader_left = !self.stream.write(text)?;
        }
        Ok(())
    }
}

/// A row for each of the most probable classes, of which the first names the image.
fn rows(answer: &Answer) -> impl Iterator<Item = [String; 4]> {
    answer.top.iter().enumerate().map(|(place, class)| {
        let first = |text: String| if place == 0 { text } else { String::new() };
        let name = printable(&classes::name(class.label.as_deref(), class.index));
        let probability = format!("{:.2} %", 100.0 * class.probability);
        [first(printable(&answer.image)), name, probability, first(millis(answer.ms))]
    })
}
