//! A model known by its name only: what the name leaves open is read from the shapes of the file's tensors.

use vit::{Config, Pool, VitConfig};

use crate::config::problem_of;
use crate::text::{alternatives, nearest, printable};
use crate::{Error, Problem, ProblemKind, Report, TensorFile};

/// The built-in model of that name.
///
/// ```
/// assert!(weights::named("deit_tiny").is_ok());
/// let error = weights::named("deit_tny").unwrap_err().to_string();
/// assert!(error.contains("nearest: deit_tiny"), "{error}");
/// ```
pub fn named(name: &str) -> Result<Config, Error> {
    Config::named(name).ok_or_else(|| {
        let base = name.strip_prefix("shuffle_").unwrap_or(name);
        let later = ["t2t_vit_", "swin_"].iter().any(|family| base.starts_with(family));
        let found = match nearest(name, Config::names().iter().copied()) {
            _ if later => "a family of models that this version does not have yet".into(),
            Some(near) => format!("no built-in model; nearest: {near}"),
            None => "no built-in model".into(),
        };
        Error::UnknownArch { name: printable(name), found, known: known() }
    })
}

/// The built-in names, for messages.
pub(crate) fn known() -> String {
    alternatives(Config::names().iter().copied())
}

/// The named model with the class count, channels and image size of the file's tensors.
pub(crate) fn configure(name: &str, file: &TensorFile, prefix: &str) -> Result<Config, Error> {
    let mut report = Report::new(file.label());
    let config = match named(name)? {
        Config::Vit(mut config) => {
            let shape = |name: &str| file.info(&format!("{prefix}{name}")).map(|info| &info.shape[..]);
            if let Some([_, channels, _, _]) = shape("patch_embed.proj.weight") {
                config.in_channels = *channels;
            }
            if let Some([classes, _]) = shape("head.weight") {
                config.num_classes = *classes;
            }
            if shape("fc_norm.weight").is_some() && shape("norm.weight").is_none() {
                (config.pool, config.norm_after_pool) = (Pool::Avg, true);
            }
            if let Some([_, tokens, _]) = shape("pos_embed") {
                set_image_size(&mut config, *tokens, &mut report);
            }
            Config::Vit(config)
        }
        other => other,
    };
    if report.total() == 0 {
        config.validate().unwrap_or_else(|error| report.push(problem_of(&error)));
    }
    report.into_result().map(|()| config)
}

/// As many patches as there are positions without a class token; they must form a square.
fn set_image_size(config: &mut VitConfig, tokens: usize, report: &mut Report) {
    let class = config.class_tokens();
    let patches = tokens.saturating_sub(class);
    let side = patches.isqrt();
    config.image_size = side.saturating_mul(config.patch_size);
    if side == 0 || side * side != patches {
        let expected = format!("{class} class token(s) and a square number of patches, such as {class} + 14 x 14");
        let found = format!("{tokens} positions, {patches} without the class token(s)");
        report.push(Problem::new(ProblemKind::Shape, "pos_embed", expected, found));
    }
}
