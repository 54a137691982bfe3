//! The command line: every command's flags, what they accept, and the examples of `--help`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};
use vit::Level;

/// Most threads that `--threads` accepts: beyond any machine, and below what would exhaust one.
const MAX_THREADS: u32 = 1024;

/// Most images of a call of `bench`.
const MAX_BATCH: u32 = 1 << 16;

/// Classify images with tiny vision transformers that have the channel-shuffle module.
///
/// A model trained on Fashion-MNIST is inside the program; other models are safetensors files as PyTorch and timm
/// export them, packed or not.
#[derive(Debug, Parser)]
#[command(
    name = "shuffle-vit",
    version,
    after_help = "\
Examples:
  shuffle-vit classify samples/sneaker.png
  shuffle-vit bench --arch deit_tiny --threads 1
  shuffle-vit COMMAND --help    flags and examples of a command

Exit codes: 0 done, 1 something failed (stderr says what), 2 wrong usage."
)]
pub(crate) struct Program {
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Name what images show: class, probability and milliseconds for each
    Classify(ClassifyArgs),
    /// Run a model on raw tensors and write its logits, for comparing it with PyTorch
    Run(RunArgs),
    /// Time a model
    Bench(BenchArgs),
    /// Show where a model's time goes, and how near each operation comes to the processor's limit
    Profile(ProfileArgs),
    /// Show a model's configuration, and parameters and multiply-accumulates of each layer
    Inspect(InspectArgs),
    /// Compare every built-in model with its shuffled version, with theory and with the paper
    Table(TableArgs),
    /// Write a checkpoint with seeded random weights
    ExportRandom(ExportRandomArgs),
    /// Write a checkpoint as a packed file, which starts at once: it is mapped and runs where it lies
    Pack(PackArgs),
    /// Measure a model's accuracy on labelled images: top-1, top-5 and a confusion matrix
    Eval(EvalArgs),
}

/// How a command computes.
#[derive(Debug, Args)]
pub(crate) struct ComputeArgs {
    /// Threads to compute on; results do not depend on it [default: all cores]
    #[arg(long, value_name = "N", value_parser = threads, allow_negative_numbers = true)]
    pub threads: Option<usize>,

    /// Type of the numbers computed with; this version has f32
    #[arg(long, default_value = "f32", value_parser = dtype)]
    pub dtype: Dtype,

    #[command(flatten)]
    pub level: LevelArgs,
}

/// Which instructions a command uses.
#[derive(Debug, Args)]
pub(crate) struct LevelArgs {
    /// Instruction set: auto (the best of this CPU), portable, avx2 or avx512
    #[arg(long, env = "SHUFFLE_VIT_LEVEL", default_value = "auto", value_parser = level)]
    pub level: Level,
}

/// How a command answers.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Print one JSON document instead of text
    #[arg(long)]
    pub json: bool,
}

/// A checkpoint, or the model inside the program.
#[derive(Debug, Args)]
pub(crate) struct OptionalModelArgs {
    /// Checkpoint (safetensors) or packed file [default: the model inside the program, trained on Fashion-MNIST]
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,

    /// Name of the checkpoint's model, if the file does not describe it (as files exported from timm)
    #[arg(long, value_name = "NAME", value_parser = arch, requires = "model")]
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
    #[arg(long, value_name = "NAME", value_parser = arch)]
    pub arch: Option<String>,

    #[command(flatten)]
    pub settings: SettingArgs,
}

/// Changes to a built-in model.
#[derive(Debug, Default, Args)]
pub(crate) struct SettingArgs {
    /// Set a key of the built-in model's description to a value, JSON or else a string: depth=6; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    pub settings: Vec<(String, String)>,
}

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
    #[arg(long, value_name = "K", default_value = "1", value_parser = positive, allow_negative_numbers = true)]
    pub top: u32,

    /// Also write the normalised pixels as F32 tensor `image` [images, channels, size, size], which `run` reads
    #[arg(long, value_name = "FILE")]
    pub dump_input: Option<PathBuf>,

    #[command(flatten)]
    pub compute: ComputeArgs,

    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
IN holds the F32 tensor `image` [batch, channels, size, size], already normalised. OUT gets `logits` [batch, classes] \
and, with --taps, `tap.0`, `tap.1`, ...: the tokens after each block, or after each stage of Swin before they are merged, \
[batch, tokens, channels], class tokens first, channels in logical order. With --taps one thread computes.

Examples:
  shuffle-vit run --model tiny.safetensors --input in.safetensors --output out.safetensors --taps
  shuffle-vit run --model timm.safetensors --arch deit_tiny --input in.safetensors --output out.safetensors --json

JSON: {\"output\", \"batch\", \"taps\", \"ms\"}; `taps` says how many were written, `ms` is for the whole batch.")]
pub(crate) struct RunArgs {
    /// Checkpoint (safetensors) or packed file
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,

    /// Tensors to read
    #[arg(long, value_name = "IN")]
    pub input: PathBuf,

    /// File to write; it appears when it is complete
    #[arg(long, value_name = "OUT")]
    pub output: PathBuf,

    /// Also write what every block (Swin: every stage) puts out
    #[arg(long)]
    pub taps: bool,

    /// Name of the checkpoint's model, if the file does not describe it (as files exported from timm)
    #[arg(long, value_name = "NAME", value_parser = arch)]
    pub arch: Option<String>,

    #[command(flatten)]
    pub compute: ComputeArgs,

    #[command(flatten)]
    pub format: OutputArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Times are per call, a call being a batch; loading is not counted, nor are at least 3 calls in advance. \
Multiply-accumulates are per image and counted on all tokens, whatever clever execution saves.

Examples:
  shuffle-vit bench --arch deit_tiny --threads 1
  shuffle-vit bench --arch shuffle_deit_tiny --batch 8 --iters 20 --json
  shuffle-vit bench --arch deit_tiny --set image_size=96 --set depth=6
  shuffle-vit bench --model tiny.safetensors --level portable

JSON: {\"name\", \"dtype\", \"threads\", \"batch\", \"iters\", \"median_ms\", \"min_ms\", \"p90_ms\", \"images_per_s\", \"gmacs\", \
\"gmacs_per_s\", \"params\", \"weight_bytes\", \"scratch_bytes\", \"peak_rss_bytes\", \"level\"}; peak_rss_bytes is the whole \
process's, and null where the system does not tell (it is read from /proc/self/status).")]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub subject: SubjectArgs,

    /// Images a call
    #[arg(long, value_name = "B", default_value = "1", value_parser = batch, allow_negative_numbers = true)]
    pub batch: usize,

    /// Calls that are timed
    #[arg(long, value_name = "N", default_value = "50", value_parser = positive, allow_negative_numbers = true)]
    pub iters: u32,

    #[command(flatten)]
    pub compute: ComputeArgs,

    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
An image with made-up pixels goes through the model again and again, watched and not, in alternation with multiply-adds that \
touch no memory: the peak. Times are medians; with several threads, a thread's mean, and `wait` is where threads waited for \
each other. Multiply-accumulates are those executed: what no logit depends on is left out.

Examples:
  shuffle-vit profile --arch shuffle_deit_tiny --threads 1
  shuffle-vit profile --model tiny.safetensors --level avx2 --json

JSON: {\"name\", \"dtype\", \"level\", \"threads\", \"iters\", \"total_ms\", \"gmacs\", \"gmacs_per_s\", \"peak_gmacs_per_s\", \
\"peak_share\", \"operations\": [{\"operation\", \"ms\", \"share\", \"gmacs\", \"gmacs_per_s\", \"peak_share\"}]}; shares are parts of 1, \
and the last two are null where nothing is multiplied.")]
pub(crate) struct ProfileArgs {
    #[command(flatten)]
    pub subject: SubjectArgs,

    /// Calls that are watched, and as many that are not
    #[arg(long, value_name = "N", default_value = "30", value_parser = positive, allow_negative_numbers = true)]
    pub iters: u32,

    #[command(flatten)]
    pub compute: ComputeArgs,

    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("subject").required(true).multiple(true).args(["file", "arch"]), after_help = "\
A file is loaded as the other commands load it, so one that passes here runs there. That checks every value of a \
checkpoint, and only the header of a packed file; with --verify its values and their checksum as well.

Examples:
  shuffle-vit inspect tiny.safetensors
  shuffle-vit inspect --verify tiny.packed
  shuffle-vit inspect --arch shuffle_deit_tiny --json
  shuffle-vit inspect --arch swin_tiny --set depths=[2,2,4,2] --set shuffle=true
  shuffle-vit inspect timm.safetensors --arch deit_tiny

JSON: {\"name\", \"params\", \"gmacs\", \"layers\": [{\"name\", \"params\", \"macs\"}]}; with --verify also \"checksum\", which a \
checkpoint shares with the packed file made of it.")]
pub(crate) struct InspectArgs {
    /// Checkpoint (safetensors) or packed file
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Check every value of the file, and a packed file's checksum
    #[arg(long, requires = "file")]
    pub verify: bool,

    /// Built-in model; with FILE, the name of the file's model if the file does not describe it
    #[arg(long, value_name = "NAME", value_parser = arch)]
    pub arch: Option<String>,

    #[command(flatten)]
    pub settings: SettingArgs,

    #[command(flatten)]
    pub level: LevelArgs,

    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Multiply-accumulates are those of matrix products for one image, on all tokens, whatever clever execution saves. In the \
formulas of theory N is tokens, C the channels that a layer computes on, r the MLP ratio: a layer costs \
(4+2r) N C^2 + 2 N^2 C; with the module, at a total of T = 2C channels, (4+2r) N T^2 / 4 + N^2 T. Where attention sees \
windows, N^2 is N times the window's tokens (keys).

Examples:
  shuffle-vit table
  shuffle-vit table --time
  shuffle-vit table --json

JSON: [{\"name\", \"params\", \"macs\"}]; with --time also \"ms\".")]
pub(crate) struct TableArgs {
    /// Also time every model with random weights, one image on one thread: half a minute or so
    #[arg(long)]
    pub time: bool,

    #[command(flatten)]
    pub level: LevelArgs,

    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The same seed gives the same file on every machine.

Examples:
  shuffle-vit export-random --arch shuffle_deit_tiny --seed 7 random.safetensors
  shuffle-vit export-random --arch deit_small --seed 0 random.safetensors --json
  shuffle-vit export-random --arch deit_tiny --set num_classes=10 --set image_size=96 small.safetensors

JSON: {\"output\", \"params\", \"bytes\"}")]
pub(crate) struct ExportRandomArgs {
    /// Built-in model
    #[arg(long, value_name = "NAME", value_parser = arch)]
    pub arch: String,

    #[command(flatten)]
    pub settings: SettingArgs,

    /// Whole number that the weights follow from
    #[arg(long, value_name = "S", default_value = "0", allow_negative_numbers = true)]
    pub seed: u64,

    /// File to write; it appears when it is complete
    #[arg(value_name = "OUT")]
    pub output: PathBuf,

    #[command(flatten)]
    pub format: OutputArgs,
}

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

    /// File to write; it appears when it is complete
    #[arg(value_name = "OUT")]
    pub output: PathBuf,

    /// Name of the checkpoint's model, if the file does not describe it (as files exported from timm)
    #[arg(long, value_name = "NAME", value_parser = arch)]
    pub arch: Option<String>,

    #[command(flatten)]
    pub format: OutputArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
DATA is a folder with a folder of images for each class, called like the model's labels (case and punctuation do not \
matter); if the model has no labels, the sorted folders are the classes in order. Or DATA is an IDX images file, whose \
labels lie beside it under the same name with labels-idx1 in place of images-idx3; either may end in .gz.

Examples:
  shuffle-vit eval t10k-images-idx3-ubyte.gz
  shuffle-vit eval --model tiny.safetensors photos/validation --json

JSON: {\"name\", \"images\", \"failed\", \"top1\", \"top5\", \"labels\", \"confusion\", \"ms_per_image\"}; top1 and top5 are fractions \
of `images`, those that could be read; confusion[i][j] counts images of class i taken for class j.")]
pub(crate) struct EvalArgs {
    /// Folder of class folders, or IDX images file
    #[arg(value_name = "DATA")]
    pub data: PathBuf,

    #[command(flatten)]
    pub model: OptionalModelArgs,

    #[command(flatten)]
    pub compute: ComputeArgs,

    #[command(flatten)]
    pub output: OutputArgs,
}

/// The type of the numbers computed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dtype {
    F32,
}

impl Dtype {
    pub fn name(self) -> &'static str {
        match self {
            Dtype::F32 => "f32",
        }
    }
}

fn dtype(word: &str) -> Result<Dtype, String> {
    match word {
        "f32" => Ok(Dtype::F32),
        "bf16" | "int8" => Err(format!("this version does not compute in {word} yet; f32 works")),
        _ => Err("expected f32".into()),
    }
}

/// An empty word, as an unset variable of a script may give, is no choice.
fn level(word: &str) -> Result<Level, String> {
    match word {
        "auto" | "" => Ok(Level::detect()),
        _ => word.parse().map_err(|_| {
            let names: Vec<_> = Level::available().map(Level::name).collect();
            format!("not available on this CPU; --level or SHUFFLE_VIT_LEVEL may be auto, {}", names.join(", "))
        }),
    }
}

fn arch(name: &str) -> Result<String, String> {
    match weights::named(name) {
        Ok(_) => Ok(name.into()),
        Err(error) => Err(match built_in_like(name) {
            Some(built_in) => format!("no built-in model; nearest: {built_in}"),
            None => error.to_string(),
        }),
    }
}

fn setting(word: &str) -> Result<(String, String), String> {
    match word.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err("expected KEY=VALUE, such as depth=6".into()),
    }
}

/// The built-in model that papers (`T2T-ViT-7`) or timm (`deit_tiny_patch16_224.fb_in1k`) call so.
fn built_in_like(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase().replace('-', "_");
    let name = name.split('.').next()?;
    let name = name.split_once("_patch").map_or(name, |(model, _)| model);
    vit::Config::names().iter().copied().find(|built_in| *built_in == name)
}

fn positive(word: &str) -> Result<u32, String> {
    whole_number(word, u32::MAX)
}

fn threads(word: &str) -> Result<usize, String> {
    whole_number(word, MAX_THREADS).map(|n| n as usize)
}

fn batch(word: &str) -> Result<usize, String> {
    whole_number(word, MAX_BATCH).map(|n| n as usize)
}

fn whole_number(word: &str, max: u32) -> Result<u32, String> {
    word.parse()
        .ok()
        .filter(|n| (1..=max).contains(n))
        .ok_or_else(|| format!("expected a whole number from 1 to {max}"))
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

    #[test]
    fn names_that_others_use_lead_to_ours() {
        for (name, built_in) in [
            ("T2T-ViT_t-14", "t2t_vit_t_14"),
            ("Swin-Tiny", "swin_tiny"),
            ("deit_tiny_distilled_patch16_224.fb_in1k", "deit_tiny_distilled"),
            ("swin_tiny_patch4_window7_224", "swin_tiny"),
            ("swin_tniy", "swin_tiny"),
        ] {
            let error = arch(name).unwrap_err();
            assert!(error.contains(&format!("no built-in model; nearest: {built_in}")), "{error}");
        }
        assert!(arch("resnet50").unwrap_err().contains("expected deit_tiny, "));
        assert_eq!(arch("deit_tiny"), Ok("deit_tiny".into()));
    }

    #[test]
    fn settings_are_split_at_the_first_sign() {
        assert_eq!(setting("name=a=b"), Ok(("name".into(), "a=b".into())));
        assert_eq!(setting("name="), Ok(("name".into(), String::new())));
        assert!(setting("depth").is_err() && setting("=6").is_err() && setting("").is_err());
    }

    #[test]
    fn numbers_have_bounds() {
        assert_eq!(threads("2"), Ok(2));
        for word in ["0", "-1", "1.5", "", "two", "4294967297", "1025"] {
            assert!(threads(word).is_err(), "{word}");
        }
    }
}
