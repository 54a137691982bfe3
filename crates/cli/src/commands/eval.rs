//! `eval`: top-1, top-5 and the confusion matrix of a model on labelled images.

use std::fmt::Write;
use std::time::Instant;

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::Serialize;
use weights::Description;

use crate::classes::{check_finite, name, predicted, rank};
use crate::confusion::Confusion;
use crate::dataset::Dataset;
use crate::flags::{ComputeArgs, LoadingArgs, OutputArgs, PreparationArgs};
use crate::outcome::Outcome;
use crate::report::{Align, Report, Table, print};
use crate::stats::millis_since;
use crate::text::{grouped, millis, printable, shown};
use crate::threads::{Runner, Threads};
use crate::{buffer, diagnostics, models};

#[derive(Debug, Args)]
#[command(after_help = "\
DATA is a folder with a folder of images for each class, or an IDX images file.

Class folders are matched with the model's labels. Case and punctuation do not matter, nor how letters with marks are \
encoded. If no folder is called like a label, folders called 0, 1, 2 and so on are the classes of these numbers, and \
others are the classes in sorted order; a warning says so. Images are also taken from folders inside a class folder. \
Files that are no images are skipped and counted on standard error. An image that cannot be used is reported there, the \
others are evaluated, and the exit code is 1.

The labels of an IDX images file are in the file beside it, which has labels-idx1 in place of images-idx3 in its name \
(labels.idx1 in place of images.idx3). Either may be compressed, as .gz.

Examples:
  shuffle-vit eval t10k-images-idx3-ubyte.gz
  shuffle-vit eval --model tiny.safetensors photos/validation --json
  shuffle-vit eval --model vit.safetensors --mean 0.5,0.5,0.5 --std 0.5,0.5,0.5 photos/validation

JSON: {\"name\", \"images\", \"failed\", \"top1\", \"top5\", \"labels\", \"confusion\", \"ms_per_image\"}; top1 and top5 are fractions \
of `images`, those that could be read; confusion[i][j] counts images of class i taken for class j.")]
pub(crate) struct EvalArgs {
    /// Folder of class folders, or IDX images file
    #[arg(value_name = "DATA")]
    pub data: PathBuf,

    /// Checkpoint (safetensors), folder of the Hugging Face hub, or packed file [default: the model inside the program,
    /// trained on Fashion-MNIST]
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,

    #[command(flatten)]
    pub compute: ComputeArgs,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub loading: LoadingArgs,

    #[command(flatten)]
    pub preparation: PreparationArgs,
}

/// Images a thread has at hand at once: enough to share out evenly, few enough for the memory.
const IMAGES_PER_THREAD: usize = 16;

/// Most classes whose confusion matrix is printed as JSON, which then has half a gigabyte.
const MAX_CLASSES: usize = 1 << 14;

#[derive(Serialize)]
struct Evaluation {
    name: String,
    images: u64,
    failed: usize,
    top1: f64,
    top5: f64,
    labels: Vec<Option<String>>,
    confusion: Confusion,
    ms_per_image: f64,
    #[serde(skip)]
    run: String,
}

pub(crate) fn execute(args: &EvalArgs) -> Result<Outcome> {
    let named = models::load_or_trained(args.model.as_deref(), &args.loading, &args.preparation)?;
    models::check_classifies(&named)?;
    models::say_assumed(&named);
    let description = named.model.description();
    let classes = description.config.num_classes();
    ensure!(
        classes <= MAX_CLASSES || !args.output.json,
        "the confusion matrix of {classes} classes is too large for --json, which prints up to {MAX_CLASSES} classes; \
         without --json the most frequent confusions are printed"
    );
    let data = Dataset::open(&args.data, description)?;
    if data.skipped.total() > 0 {
        diagnostics::note(format_args!("skipped {}", data.skipped));
    }
    data.failures.iter().for_each(diagnostics::error);
    let (threads, level) = (Threads::from_args(&args.compute)?, args.compute.level.level);
    let runner = Runner::new(named.model.model(), level, &threads)?;
    let tally = tally(&data, description, &threads, runner)?;
    if tally.confusion.images() == 0 {
        bail!("none of the {} image(s) of {} could be evaluated", tally.failed, shown(&args.data));
    }
    let failed = tally.failed;
    let run = format!("{} on {level}, {} thread(s)", args.compute.dtype.name(), threads.count());
    print(&tally.evaluation(named.name, data.labels, run), args.output.json)?;
    Ok(Outcome::of(failed))
}

/// Classifies every image, batch by batch, and reports those that cannot be used.
fn tally(data: &Dataset, description: &Description, threads: &Threads, mut runner: Runner) -> Result<Tally> {
    let (image_len, classes) = (description.config.image_len(), description.config.num_classes());
    let batch = (IMAGES_PER_THREAD * threads.count()).clamp(1, data.len().max(1));
    let mut images = buffer::zeroed(batch.saturating_mul(image_len), "the images")?;
    let mut logits = buffer::zeroed(batch.saturating_mul(classes), "the logits")?;
    let mut tally = Tally::new(classes);
    tally.failed = data.failures.len();
    let progress = diagnostics::progress(data.len(), "images");
    for first in (0..data.len()).step_by(batch) {
        let count = batch.min(data.len() - first);
        let (images, logits) = (&mut images[..count * image_len], &mut logits[..count * classes]);
        let places = images.chunks_exact_mut(image_len).collect();
        let loaded = threads.map(places, |i, place| data.load(first + i, &description.preparation, place));
        let start = Instant::now();
        // The model also runs on the places of images that could not be read. Their logits are not used.
        runner.run(images, logits)?;
        tally.ms += millis_since(start);
        tally.ran += count;
        for ((i, loaded), logits) in (first..).zip(loaded).zip(logits.chunks_exact(classes)) {
            if let Err(error) = loaded.and_then(|()| tally.count(logits, data.class(i)).with_context(|| data.name(i))) {
                tally.failed += 1;
                progress.suspend(|| diagnostics::error(&error));
            }
        }
        progress.inc(count as u64);
    }
    progress.finish_and_clear();
    Ok(tally)
}

/// What was right and wrong so far.
struct Tally {
    confusion: Confusion,
    among_five: u64,
    failed: usize,
    /// Images that the model ran on, among them those that could not be read.
    ran: usize,
    ms: f64,
}

impl Tally {
    fn new(classes: usize) -> Self {
        Self { confusion: Confusion::new(classes), among_five: 0, failed: 0, ran: 0, ms: 0.0 }
    }

    fn count(&mut self, logits: &[f32], class: usize) -> Result<()> {
        check_finite(logits)?;
        self.confusion.count(class, predicted(logits));
        self.among_five += u64::from(rank(logits, class) < 5);
        Ok(())
    }

    fn evaluation(self, name: String, labels: Vec<Option<String>>, run: String) -> Evaluation {
        let images = self.confusion.images();
        Evaluation {
            name,
            images,
            failed: self.failed,
            top1: self.confusion.correct() as f64 / images as f64,
            top5: self.among_five as f64 / images as f64,
            labels,
            confusion: self.confusion,
            ms_per_image: self.ms / self.ran as f64,
            run,
        }
    }
}

impl Report for Evaluation {
    fn text(&self) -> String {
        let mut text = String::new();
        let mut about = Table::bare(vec![Align::Left, Align::Left]);
        let mut row = |key: &str, value: String| about.row([key.into(), value]);
        row("model", printable(&self.name));
        row(
            "images",
            match self.failed {
                0 => grouped(self.images),
                failed => format!("{}, and {failed} that could not be used", grouped(self.images)),
            },
        );
        row("top-1", format!("{:.2} %", 100.0 * self.top1));
        row("top-5", format!("{:.2} %", 100.0 * self.top5));
        row("time", format!("{} ms an image ({})", millis(self.ms_per_image), self.run));
        let confusions = self.confusion.text(|class| name(self.labels[class].as_deref(), class));
        let _ = write!(text, "{about}\n{confusions}");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_counts_ranks_and_confusions() {
        let mut tally = Tally::new(6);
        tally.count(&[9.0, 0.0, 0.0, 0.0, 0.0, 0.0], 0).unwrap();
        tally.count(&[9.0, 8.0, 7.0, 6.0, 5.0, 4.0], 4).unwrap();
        tally.count(&[9.0, 8.0, 7.0, 6.0, 5.0, 4.0], 5).unwrap();
        let evaluation = tally.evaluation("m".into(), vec![None; 6], String::new());
        assert_eq!((evaluation.images, evaluation.top1, evaluation.top5), (3, 1.0 / 3.0, 2.0 / 3.0));
        let text = evaluation.text();
        assert!(text.contains("class 4        1        .") && text.contains("top-1   33.33 %"), "{text}");
    }
}
