//! `inspect`: what a model is, and what each of its layers costs.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{ArgGroup, Args};
use serde::Serialize;
use vit::{Config, Family, Level, Rescale, SwinConfig, Tokens, VitConfig};
use weights::{CropMode, Description, TensorFile};

use crate::flags::{LevelArgs, LoadingArgs, OutputArgs, PreparationArgs, SettingArgs};
use crate::models;
use crate::outcome::Outcome;
use crate::report::{Align, Report, Table, print};
use crate::text::{bytes, grouped, printable, shown};

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("subject").required(true).multiple(true).args(["file", "arch"]), after_help = "\
A file is loaded as the other commands load it, so one that passes here runs there. Every value of a checkpoint is \
checked then. Of a packed file only the header is checked, unless --verify is given.

Examples:
  shuffle-vit inspect tiny.safetensors
  shuffle-vit inspect --verify tiny.packed
  shuffle-vit inspect --arch shuffle_deit_tiny --json
  shuffle-vit inspect --arch swin_tiny --set depths=[2,2,4,2] --set shuffle=true
  shuffle-vit inspect timm.safetensors --arch deit_tiny

JSON: {\"name\", \"params\", \"gmacs\", \"layers\": [{\"name\", \"params\", \"macs\"}]}; with --verify also \"checksum\", which a \
checkpoint shares with the packed file made of it.")]
pub(crate) struct InspectArgs {
    /// Checkpoint (safetensors), folder of the Hugging Face hub, or packed file
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Check every value of the file, and a packed file's checksum
    #[arg(long, requires = "file")]
    pub verify: bool,

    #[command(flatten)]
    pub settings: SettingArgs,

    #[command(flatten)]
    pub level: LevelArgs,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub loading: LoadingArgs,
}

#[derive(Serialize)]
struct Inspection {
    name: String,
    params: u64,
    gmacs: f64,
    layers: Vec<Layer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checksum: Option<String>,
    #[serde(skip)]
    about: Vec<(&'static str, String)>,
}

#[derive(Serialize)]
struct Layer {
    name: String,
    params: u64,
    macs: u64,
}

pub(crate) fn execute(args: &InspectArgs) -> Result<Outcome> {
    let level = args.level.level;
    let inspection = match &args.file {
        Some(file) => {
            models::check_unset(file, &args.settings)?;
            // Loading checks every value of a checkpoint, so that a file which passes here runs.
            let named = models::load(file, &args.loading, &PreparationArgs::default())?;
            let checksum = args.verify.then(|| named.model.verify()).transpose()?;
            let mut about = vec![("file", tensors(file)?), ("packed", bytes(named.model.weight_bytes() as u64))];
            about.extend(checksum.iter().map(|checksum| ("verified", format!("every value is finite; {checksum}"))));
            let inspection = Inspection::new(named.name, named.model.description(), about, level);
            Inspection { checksum, ..inspection }
        }
        None => {
            let description = models::built_in(&args.loading, &args.settings, "FILE")?;
            let name = description.name.clone().unwrap_or_default();
            Inspection::new(name, &description, Vec::new(), level)
        }
    };
    print(&inspection, args.output.json)?;
    Ok(Outcome::Complete)
}

/// The length of the model's files, and how many tensors of which type they have.
fn tensors(path: &Path) -> Result<String> {
    let (mut types, mut length) = (BTreeMap::new(), 0);
    let is_weights = |file: &&PathBuf| file.is_file() && file.extension().is_none_or(|extension| extension != "json");
    for file in models::files_of(path).iter().filter(is_weights) {
        let tensors = TensorFile::from_file(file)?;
        tensors.tensors().iter().for_each(|tensor| *types.entry(tensor.dtype.to_string()).or_insert(0) += 1);
        length += std::fs::metadata(file).with_context(|| shown(file))?.len();
    }
    let mut text = format!("{}, {}", shown(path), bytes(length));
    for (dtype, count) in types {
        let _ = write!(text, ", {count} tensor{} {dtype}", if count == 1 { "" } else { "s" });
    }
    Ok(text)
}

impl Inspection {
    fn new(name: String, description: &Description, file: Vec<(&'static str, String)>, level: Level) -> Self {
        let config = &description.config;
        let mut layers = Vec::new();
        config.visit_layers(&mut |layer| {
            layers.push(Layer { name: layer.name.to_string(), params: layer.params, macs: layer.macs });
        });
        let mut about = file;
        about.extend(configuration(config));
        about.extend([("preparation", preparation(description)), ("labels", labels(description))]);
        let available: Vec<_> = Level::available().map(Level::name).collect();
        about.push(("level", format!("every operation runs on {level} (this CPU has {})", available.join(", "))));
        Self { name, params: config.params(), gmacs: config.macs() as f64 / 1e9, layers, checksum: None, about }
    }
}

fn configuration(config: &Config) -> Vec<(&'static str, String)> {
    let size = config.image_size();
    let (patch, mut about) = match config.family() {
        Family::Vit(c) => (c.patch_size, plain(c)),
        Family::Swin(c) => (c.patch_size, swin(c)),
        _ => return Vec::new(),
    };
    about.insert(0, ("input", format!("{} x {size} x {size}, patches of {patch}", config.in_channels())));
    about.push(match config.num_classes() {
        0 => ("output", format!("{} features, without a head", config.outputs())),
        classes => ("output", format!("{classes} classes")),
    });
    about
}

fn plain(c: &VitConfig) -> Vec<(&'static str, String)> {
    let mut tokens = vec![];
    if c.class_token {
        tokens.push("class token".to_string());
    }
    if c.distilled {
        tokens.push("distillation token".into());
    }
    if c.register_tokens > 0 {
        tokens.push(format!("{} register token(s)", c.register_tokens));
    }
    let patches = match c.tokens {
        Tokens::Patch => "patches",
        Tokens::T2tPerformer => "patches by tokens-to-token (performer)",
        _ => "patches by tokens-to-token (transformer)",
    };
    tokens.push(format!("{} {patches}", c.patches()));
    let norm = if c.norm_after_pool { ", norm after pooling" } else { "" };
    let pre_norm = if c.pre_norm { ", norm before the blocks" } else { "" };
    let qk_norm = if c.qk_norm { ", norms of queries and keys" } else { "" };
    let pool = format!("{}{norm}{pre_norm}{qk_norm}", c.pool.name());
    vec![
        ("tokens", tokens.join(", ")),
        (
            "blocks",
            format!("{}, {}; {} heads, {} hidden channels", c.depth, stream(c.dim, c.shuffle), c.heads, c.hidden()),
        ),
        ("details", details(c.rescale, &pool, c.qkv_bias, c.layer_norm_eps)),
    ]
}

fn swin(c: &SwinConfig) -> Vec<(&'static str, String)> {
    let mut about = Vec::new();
    for (s, (depth, heads)) in c.depths.iter().zip(&*c.heads).enumerate() {
        let (side, dim) = ((c.image_size / c.patch_size) >> s, c.dim << s);
        let window = side.min(c.window_at(s));
        let shift = if side > window && *depth > 1 {
            format!(", shifted by {} in odd blocks", window / 2)
        } else {
            String::new()
        };
        let stream = stream(dim, c.shuffle);
        let sizes =
            format!("{depth} block(s), {stream}; {heads} heads; {side} x {side} tokens in windows of {window}{shift}");
        about.push(("stage", format!("{}: {sizes}", s + 1)));
    }
    let pool = format!("avg, MLP ratio {}", c.mlp_ratio);
    about.push(("details", details(c.rescale, &pool, c.qkv_bias, c.layer_norm_eps)));
    about
}

fn stream(dim: usize, shuffle: bool) -> String {
    if shuffle { format!("{dim} of {} channels attended, then shuffled", 2 * dim) } else { format!("{dim} channels") }
}

fn details(rescale: Rescale, pool: &str, qkv_bias: bool, eps: f64) -> String {
    let bias = if qkv_bias { "qkv bias" } else { "no qkv bias" };
    format!("rescale {}, pool {pool}, {bias}, layer norm eps {eps:e}", rescale.name())
}

fn preparation(description: &Description) -> String {
    let p = &description.preparation;
    let (mean, std) = (list(&p.mean), list(&p.std));
    let sides = match p.crop_mode {
        CropMode::Squash => "both sides",
        _ => "short side",
    };
    format!("{sides} to {} ({}), centre {}, mean {mean}, std {std}", p.resize, p.interpolation, p.image_size)
}

fn list(values: &[f32]) -> String {
    let shown: Vec<String> = values.iter().take(4).map(f32::to_string).collect();
    format!("{}{}", shown.join(" "), if values.len() > 4 { " ..." } else { "" })
}

fn labels(description: &Description) -> String {
    let shown: Vec<&str> =
        description.labels.iter().take(10).map(|label| label.as_deref().unwrap_or("(none)")).collect();
    match description.labels.len() {
        0 => "none".into(),
        count if count > shown.len() => format!("{}, ... ({count})", shown.join(", ")),
        _ => shown.join(", "),
    }
}

impl Report for Inspection {
    fn text(&self) -> String {
        let mut text = format!(
            "{}: {} parameters, {:.4} GMAC an image\n\n",
            printable(&self.name),
            grouped(self.params),
            self.gmacs
        );
        let mut about = Table::bare(vec![Align::Left, Align::Left]);
        self.about.iter().for_each(|(key, value)| about.row([(*key).into(), value.clone()]));
        let mut layers = Table::new([("layer", Align::Left), ("params", Align::Right), ("MACs", Align::Right)]);
        for layer in &self.layers {
            layers.row([layer.name.clone(), grouped(layer.params), grouped(layer.macs)]);
        }
        let _ = write!(text, "{about}\n{layers}");
        text
    }
}
