//! What the entry says about the model itself: the keys of every family, and what a family adds to them.

use vit::{Config, ConfigError};

use super::values::Value;
use crate::keys::{Shared, Value as _};
use crate::{Problem, ProblemKind, Report};

/// Keys that every family has.
#[rustfmt::skip]
pub(super) const SHARED_KEYS: [&str; 12] = [
    "arch", "image_size", "patch_size", "in_channels", "num_classes", "dim", "heads", "mlp_ratio", "qkv_bias",
    "layer_norm_eps", "shuffle", "rescale",
];

/// A family's configuration while it is read: everything that differs from one to the other.
pub(super) trait Family {
    /// Keys of this family alone.
    fn keys(&self) -> &'static [&'static str];
    /// The key that says how many blocks there are; no model has a default for it.
    fn depth_key(&self) -> &'static str;
    /// Sets a key of this family, or one whose values are this family's own.
    fn set(&mut self, value: Value);
    /// What was read so far.
    fn family(&self) -> vit::Family;
    /// Reports every impossibility.
    fn check(&self, report: &mut Report);
}

/// The words of `arch`.
pub(super) const PLAIN: &str = "vit";
pub(super) const SWIN: &str = "swin";

/// Takes the impossible part out of what every family has; false if no single key is to blame.
pub(super) fn make_possible(shared: Shared, error: &ConfigError) -> bool {
    match *error {
        ConfigError::NotDivisible { divisor_key: "patch_size", .. } => *shared.patch_size = *shared.image_size,
        ConfigError::NotPositive { key: "mlp_ratio", .. } | ConfigError::OutOfRange { key: "dim * mlp_ratio", .. } => {
            *shared.mlp_ratio = 1.0
        }
        ConfigError::NotPositive { key: "layer_norm_eps", .. } => *shared.layer_norm_eps = 1e-6,
        _ => return false,
    }
    true
}

/// Sees that `arch`, the key by which the family was found, is a word for one.
pub(super) fn check_arch(mut value: Value) {
    value.word([PLAIN, SWIN].map(|arch| (arch, ())));
}

/// More than the impossibilities that one configuration can have.
const MOST: usize = 64;

/// Reports every impossibility: each is made possible in turn, to find the next. Those that a key takes part in whose
/// value could not be read are no news: a default stands in for it.
pub(super) fn check_possible<C: Copy + Into<vit::Family>>(
    mut config: C,
    make_possible: fn(&mut C, &ConfigError) -> bool,
    report: &mut Report,
) {
    let told: Vec<String> = report.problems().iter().map(|problem| problem.name.clone()).collect();
    for _ in 0..MOST {
        let Err(error) = Config::new(config) else { break };
        let possible = make_possible(&mut config, &error);
        let news = keys_of(&error).iter().all(|key| told.iter().all(|told| told != key));
        if possible && news || report.total() == 0 {
            report.push(problem_of(&error));
        }
        if !possible {
            break;
        }
    }
}

/// The keys whose values contradict each other.
fn keys_of(error: &ConfigError) -> &'static [&'static str] {
    match error {
        ConfigError::NotDivisible { divisor_key: "heads", .. } => &["dim", "heads"],
        ConfigError::NotDivisible { .. } => &["image_size", "patch_size"],
        ConfigError::Stages { .. } => &["depths", "heads"],
        ConfigError::StageWindows { .. } => &["depths", "window"],
        ConfigError::Windows { .. } => &["image_size", "patch_size", "window", "depths"],
        _ => &[],
    }
}

/// What [`Config::new`] found, in a report's terms.
pub(crate) fn problem_of(error: &ConfigError) -> Problem {
    let new = |key: &str, expected: String, found: String| Problem::new(ProblemKind::Config, key, expected, found);
    match *error {
        ConfigError::OutOfRange { key, value, min, max } => new(key, format!("{min} to {max}"), value.to_string()),
        ConfigError::NotPositive { key, value, max } => {
            new(key, format!("a finite number above 0 and at most {max}"), value.to_string())
        }
        ConfigError::NotDivisible { key, value, divisor_key, divisor } => {
            new(divisor_key, format!("a divisor of {key} {value}"), divisor.to_string())
        }
        ConfigError::Stages { depths, heads, .. } => {
            new("heads", format!("{depths} numbers, as depths has"), heads.to_string())
        }
        ConfigError::StageWindows { depths, windows } => {
            new("window", format!("one number, or {depths}, as depths has"), format!("{windows} numbers"))
        }
        ConfigError::Windows { image_size, window, below, above } => {
            let sizes: Vec<String> = [below, above].iter().filter(|size| **size > 0).map(usize::to_string).collect();
            let such = if sizes.is_empty() { String::new() } else { format!(", such as {}", sizes.join(" or ")) };
            let expected = format!("a size of which every stage's map is covered by windows of {window} tokens{such}");
            new("image_size", expected, image_size.to_string())
        }
        ConfigError::Conflict { first, second, why } => {
            new(first.split(' ').next().unwrap_or(first), why.into(), format!("{first} with {second}"))
        }
        ConfigError::TooLarge { what } => new("config", "smaller sizes".into(), format!("an overflow of {what}")),
        ref other => new("config", "a possible configuration".into(), other.to_string()),
    }
}
