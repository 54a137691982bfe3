//! A model known by its name only: what the name leaves open is read from the shapes of the file's tensors.

use vit::{Config, Family, Pool, TensorName, VitConfig};

use crate::config::problem_of;
use crate::contents::Contents;
use crate::text::{alternatives, nearest, printable};
use crate::{Error, Problem, ProblemKind, Report};

/// The built-in model of that name.
///
/// ```
/// assert!(weights::named("deit_tiny").is_ok());
/// let error = weights::named("deit_tny").unwrap_err().to_string();
/// assert!(error.contains("nearest: deit_tiny"), "{error}");
/// ```
pub fn named(name: &str) -> Result<Config, Error> {
    Config::named(name).ok_or_else(|| {
        let near = nearest(name, Config::names().iter().copied()).map(|near| format!("; nearest: {near}"));
        let found = format!("no built-in model{}", near.unwrap_or_default());
        Error::UnknownArch { name: printable(name), found, known: known() }
    })
}

/// The built-in names, for messages.
pub(crate) fn known() -> String {
    alternatives(Config::names().iter().copied())
}

/// The named model with the class count, channels and image size of the file's tensors.
pub(crate) fn configure(name: &str, contents: &Contents) -> Result<Config, Error> {
    let mut tensors = Shapes { contents, report: Report::new(contents.label()) };
    let mut family = *named(name)?.family();
    match &mut family {
        Family::Vit(vit) => configure_vit(vit, &mut tensors),
        Family::Swin(swin) => {
            set_embedding(&mut swin.in_channels, &tensors);
            set_classes(&mut swin.num_classes, &tensors);
        }
        _ => {}
    }
    let label = tensors.contents.label();
    tensors.report.into_result()?;
    Config::new(family).map_err(|error| Error::one(label, problem_of(&error)))
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

fn set_classes(num_classes: &mut usize, tensors: &Shapes) {
    if let Some(&[classes, _]) = tensors.of("head.weight").as_deref() {
        *num_classes = classes;
    }
}

fn configure_vit(config: &mut VitConfig, tensors: &mut Shapes) {
    set_embedding(&mut config.in_channels, tensors);
    set_classes(&mut config.num_classes, tensors);
    if let Some(&[values]) = tensors.of(FIRST_NORM).as_deref() {
        set_window_channels(config, values, tensors);
    }
    if tensors.of("fc_norm.weight").is_some() && tensors.of("norm.weight").is_none() {
        (config.pool, config.norm_after_pool) = (Pool::Avg, true);
    }
    if let Some(&[_, tokens, _]) = tensors.of("pos_embed").as_deref() {
        set_image_size(config, tokens, tensors);
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

/// As many patches as there are positions without a class token; they must form a square.
fn set_image_size(config: &mut VitConfig, tokens: usize, tensors: &mut Shapes) {
    let class = config.prefix_positions();
    let patches = tokens.saturating_sub(class);
    let side = patches.isqrt();
    config.image_size = side.saturating_mul(config.patch_size);
    if side == 0 || side * side != patches {
        let expected = format!("{class} class token(s) and a square number of patches, such as {class} + 14 x 14");
        let found = format!("{tokens} positions, {patches} without the class token(s)");
        tensors.problem("pos_embed", expected, found);
    }
}
