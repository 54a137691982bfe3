//! A model known by its name only: what the name leaves open is read from the shapes of the file's tensors.

use vit::{Config, Family, Pool, SwinConfig, TensorName, VitConfig};

use crate::config::{Said, problem_of};
use crate::contents::Contents;
use crate::infer;
use crate::metadata::table;
use crate::text::{alternatives, nearest, printable};
use crate::told::Told;
use crate::{Error, Problem, ProblemKind, Report};

/// The model of a name: a built-in one, or one of timm's.
///
/// timm's names may have `timm:` in front and the tag of the weights behind: `timm:vit_small_patch32_224.augreg_in21k`.
///
/// ```
/// assert!(weights::named("deit_tiny").is_ok());
/// assert!(weights::named("timm:vit_small_patch32_224").is_ok());
/// let error = weights::named("deit_tny").unwrap_err().to_string();
/// assert!(error.contains("nearest: deit_tiny"), "{error}");
/// ```
pub fn named(name: &str) -> Result<Config, Error> {
    look_up(name).map(|model| model.config)
}

/// A model by its name, and how images are prepared for it if the name says so.
pub(crate) fn look_up(name: &str) -> Result<table::Model, Error> {
    if let Some(config) = Config::named(name) {
        let said = Said { name: Some(name.into()), ..Said::default() };
        return Ok(table::Model { config, said, layer_scale: false, tagged: true });
    }
    if let Some(model) = table::find(name)? {
        return Ok(model);
    }
    let near = match nearest(name, Config::names().iter().copied()) {
        Some(near) => Some(near.into()),
        None => table::nearest_name(name).map(|near| format!("timm:{near}")),
    };
    let found = format!("no built-in model{}", near.map_or(String::new(), |near: String| format!("; nearest: {near}")));
    Err(Error::UnknownArch { name: printable(name), found, known: known() })
}

/// The built-in names, for messages.
pub(crate) fn known() -> String {
    let timm = "a name of timm's, such as timm:vit_small_patch32_224";
    alternatives(Config::names().iter().copied().chain([timm]))
}

/// The named model with the class count, channels and image size of the file's tensors.
pub(crate) fn tell(name: &str, heads: Option<usize>, contents: &Contents) -> Result<Told, Error> {
    let model = look_up(name)?;
    let mut tensors = Shapes { contents, report: Report::new(contents.label()) };
    let mut family = *model.config.family();
    match &mut family {
        Family::Vit(vit) => configure_vit(vit, heads, &mut tensors),
        Family::Swin(swin) => configure_swin(swin, &tensors),
        _ => {}
    }
    let label = tensors.contents.label();
    tensors.report.into_result()?;
    let config = Config::new(family).map_err(|error| Error::of_flags(label, problem_of(&error)))?;
    let mut said = model.said;
    let mut warnings = Vec::new();
    let mut assumed = Vec::new();
    if !model.tagged {
        let weights = said.name.clone().unwrap_or_default();
        assumed
            .push(format!("images are prepared as for timm's default weights, {weights}, since the name has no tag"));
    }
    // What the file has been trained to is not what timm's weights were.
    said.name = Some(name.into());
    said.labels = None;
    if config.num_classes() == 0 && model.config.num_classes() > 0 {
        warnings.push("the file has no head: what comes out are features".into());
    }
    Ok(Told {
        config,
        said,
        layer_scale: model.layer_scale,
        warnings,
        assumed,
        image_size: Some(model.config.image_size()),
    })
}

/// The shapes of a file's tensors, by the public code's names; and what is wrong with them.
struct Shapes<'c, 'a> {
    contents: &'c Contents<'a>,
    report: Report,
}

impl Shapes<'_, '_> {
    fn of(&self, name: &'static str) -> Option<Vec<usize>> {
        self.contents.shape(name)
    }

    fn problem(&mut self, name: &'static str, expected: String, found: String) {
        let name = self.contents.names.one(TensorName::Top(name));
        self.report.push(Problem::new(ProblemKind::Shape, &name, expected, found));
    }
}

fn set_embedding(in_channels: &mut usize, tensors: &Shapes) {
    if let Some(&[_, channels, _, _]) = tensors.of("patch_embed.proj.weight").as_deref() {
        *in_channels = channels;
    }
}

/// As many classes as the head has rows, or none where there is no head.
fn set_classes(num_classes: &mut usize, tensors: &Shapes) {
    match tensors.of("head.weight").as_deref() {
        Some(&[classes, _]) => *num_classes = classes,
        Some(_) => {}
        // An empty file lacks everything, its head as well.
        None if tensors.contents.has("head.bias") || tensors.contents.names.entries().is_empty() => {}
        None => *num_classes = 0,
    }
}

fn configure_swin(config: &mut SwinConfig, tensors: &Shapes) {
    set_embedding(&mut config.in_channels, tensors);
    set_classes(&mut config.num_classes, tensors);
}

fn configure_vit(config: &mut VitConfig, heads: Option<usize>, tensors: &mut Shapes) {
    set_embedding(&mut config.in_channels, tensors);
    set_classes(&mut config.num_classes, tensors);
    config.heads = heads.unwrap_or(config.heads);
    if let Some(&[values]) = tensors.of(FIRST_NORM).as_deref() {
        set_window_channels(config, values, tensors);
    }
    if tensors.of("fc_norm.weight").is_some() && tensors.of("norm.weight").is_none() {
        (config.pool, config.norm_after_pool) = (Pool::Avg, true);
    }
    if let Some(&[_, classes]) = tensors.of("head.weight").as_deref()
        && classes == 2 * config.channels()
        && config.class_token
    {
        config.pool = Pool::ClsAvg;
    }
    if let Some(&[_, positions, _]) = tensors.of("pos_embed").as_deref() {
        set_image_size(config, positions, tensors);
    }
}

/// The norm of T2T-ViT's first windows.
const FIRST_NORM: &str = "tokens_to_token.attention1.norm1.weight";

fn set_window_channels(config: &mut VitConfig, values: usize, tensors: &mut Shapes) {
    const WINDOW: usize = 7 * 7;
    config.in_channels = values / WINDOW;
    if values == 0 || !values.is_multiple_of(WINDOW) {
        let expected = format!("[{WINDOW} x channels], such as [{}] for 3 channels", 3 * WINDOW);
        tensors.problem(FIRST_NORM, expected, format!("[{values}]"));
    }
}

/// As many patches as there are positions without those of the tokens in front; they must form a square.
fn set_image_size(config: &mut VitConfig, positions: usize, tensors: &mut Shapes) {
    let class = config.prefix_positions();
    let patches = positions.saturating_sub(class);
    let side = patches.isqrt();
    config.image_size = side.saturating_mul(config.patch_size);
    if side == 0 || side * side != patches {
        let expected = format!("{class} class token(s) and a square number of patches, such as {class} + 14 x 14");
        let found = format!("{positions} positions, {patches} without the class token(s)");
        tensors.problem("pos_embed", expected, found);
    }
}

/// The name of a model with tensors like those that were seen.
pub(crate) fn name_of(seen: &Family) -> Option<String> {
    let built_in = Config::names()
        .iter()
        .find(|name| Config::named(name).is_some_and(|config| infer::same_tensors(config.family(), seen)));
    let timm = || table::like(|family| infer::same_tensors(family, seen)).map(|name| format!("timm:{name}"));
    built_in.map(|name| (*name).into()).or_else(timm)
}
