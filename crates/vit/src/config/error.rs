//! What no model can be built from, and the checks that the families share.

/// The largest accepted value of every size but the depth.
///
/// ```
/// let large = vit::VitConfig { num_classes: vit::MAX_SIZE + 1, dim: 192, depth: 12, heads: 3, ..vit::VitConfig::default() };
/// assert!(vit::Config::new(large).is_err());
/// ```
pub const MAX_SIZE: usize = 1 << 20;
/// The largest accepted depth.
///
/// ```
/// let deep = vit::VitConfig { depth: vit::MAX_DEPTH + 1, dim: 192, heads: 3, ..vit::VitConfig::default() };
/// assert!(vit::Config::new(deep).is_err());
/// ```
pub const MAX_DEPTH: usize = 1024;
/// The largest accepted number of values in all weights or in one image's activations: 2^40, 4 TiB of f32. Offsets in bytes
/// then fit 64 bits with room to spare; `check_product` has a lower bound where `usize` is narrower.
const MAX_VALUES: u64 = 1 << 40;

/// A configuration that no model can be built from.
///
/// ```
/// let odd = vit::VitConfig { dim: 192, depth: 12, heads: 5, ..vit::VitConfig::default() };
/// let error = vit::Config::new(odd).unwrap_err();
/// assert!(error.to_string().contains("heads 5 does not divide dim 192"), "{error}");
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A size or a count is out of its bounds.
    #[error("config: {key} is {value}, expected {min} to {max}")]
    OutOfRange {
        /// The key as the checkpoint's `config` spells it.
        key: &'static str,
        /// What was found.
        value: usize,
        /// The smallest value accepted.
        min: usize,
        /// The largest value accepted.
        max: usize,
    },
    /// A real number is not finite and positive, or out of bounds.
    #[error("config: {key} is {value}, expected a finite number above 0 and at most {max}")]
    NotPositive {
        /// The key as the checkpoint's `config` spells it.
        key: &'static str,
        /// What was found.
        value: f64,
        /// The largest value accepted.
        max: f64,
    },
    /// A size does not divide another.
    #[error("config: {divisor_key} {divisor} does not divide {key} {value}: choose one of its divisors")]
    NotDivisible {
        /// The key that must be divisible.
        key: &'static str,
        /// Its value.
        value: usize,
        /// The key that must divide it.
        divisor_key: &'static str,
        /// Its value.
        divisor: usize,
    },
    /// `window` has neither one number for all stages nor one for each.
    #[error(
        "config: window has {windows} numbers and depths {depths} stages, expected one number, or one for each stage"
    )]
    StageWindows {
        /// Entries of `depths`.
        depths: usize,
        /// Entries of `window`.
        windows: usize,
    },
    /// The stages are none, too many, or not the same in `depths` and `heads`.
    #[error("config: depths has {depths} stages and heads {heads}, expected the same number, 1 to {max}")]
    Stages {
        /// Entries of `depths`.
        depths: usize,
        /// Entries of `heads`.
        heads: usize,
        /// The most that are accepted.
        max: usize,
    },
    /// Windows do not cover the map of some stage.
    #[error(
        "config: image_size {image_size} gives a stage a map that windows of {window} tokens do not divide; the nearest sizes \
         that work are {below} and {above} (0: none)"
    )]
    Windows {
        /// The size found.
        image_size: usize,
        /// The window.
        window: usize,
        /// The largest smaller size that works, or 0.
        below: usize,
        /// The smallest larger size that works, or 0.
        above: usize,
    },
    /// Two switches exclude each other.
    #[error("config: {first} does not go with {second}: {why}")]
    Conflict {
        /// The first key and value.
        first: &'static str,
        /// The second key and value.
        second: &'static str,
        /// The reason, and what to do.
        why: &'static str,
    },
    /// The model's family was left out of this build.
    #[error(
        "config: this build cannot run such a model: build the crate shuffle-vit-models (`vit`) with its feature `{feature}`"
    )]
    NotBuiltIn {
        /// The feature that has the family.
        feature: &'static str,
    },
    /// The whole would not fit any memory.
    #[error("config: {what} overflows: choose smaller sizes")]
    TooLarge {
        /// The product that overflows.
        what: &'static str,
    },
}

/// Fails unless each `(key, value, max)` is from 1 to its maximum.
pub(super) fn check_sizes(sizes: &[(&'static str, usize, usize)]) -> Result<(), ConfigError> {
    match sizes.iter().find(|&&(_, value, max)| value == 0 || value > max) {
        Some(&(key, value, max)) => Err(ConfigError::OutOfRange { key, value, min: 1, max }),
        None => Ok(()),
    }
}

/// Fails unless each `(key, value)`, which may be 0, is within bounds.
pub(super) fn check_counts(counts: &[(&'static str, usize)]) -> Result<(), ConfigError> {
    match counts.iter().find(|&&(_, value)| value > MAX_SIZE) {
        Some(&(key, value)) => Err(ConfigError::OutOfRange { key, value, min: 0, max: MAX_SIZE }),
        None => Ok(()),
    }
}

/// Fails unless both numbers are finite and positive; an eps that underflows in f32 would be no eps at all.
pub(super) fn check_positive(mlp_ratio: f64, layer_norm_eps: f64) -> Result<(), ConfigError> {
    for (key, value, max) in [("mlp_ratio", mlp_ratio, MAX_SIZE as f64), ("layer_norm_eps", layer_norm_eps, 1.0)] {
        if !(value.is_finite() && value as f32 > 0.0 && value <= max) {
            return Err(ConfigError::NotPositive { key, value, max });
        }
    }
    Ok(())
}

/// Fails if a buffer of so many values cannot be.
pub(super) fn check_product(what: &'static str, values: u128) -> Result<(), ConfigError> {
    if values > u128::from(MAX_VALUES.min((isize::MAX / 8) as u64)) {
        return Err(ConfigError::TooLarge { what });
    }
    Ok(())
}

/// Fails if the multiply-accumulates of an image cannot be counted: those of the weights, of which each meets at most
/// `tokens` tokens, and `attention`'s.
pub(super) fn check_macs(weights: u128, tokens: u128, attention: u128) -> Result<(), ConfigError> {
    match weights.checked_mul(tokens).and_then(|macs| macs.checked_add(attention)) {
        Some(macs) if macs <= u128::from(u64::MAX) => Ok(()),
        _ => Err(ConfigError::TooLarge { what: "the number of multiply-accumulates" }),
    }
}
