//! The keys of a hierarchical model: Swin.

use vit::{ConfigError, MAX_SIZE, Stages, SwinConfig};

use super::family::{self, Family, check_arch, check_possible};
use super::values::Value;
use crate::Report;
use crate::keys::{set_swin, shared};

pub(super) fn new() -> Box<dyn Family> {
    Box::new(SwinConfig::default())
}

impl Family for SwinConfig {
    fn keys(&self) -> &'static [&'static str] {
        &["depths", "window"]
    }

    fn depth_key(&self) -> &'static str {
        "depths"
    }

    fn set(&mut self, mut value: Value) {
        if !set_swin(self, &mut value) {
            check_arch(value);
        }
    }

    fn family(&self) -> vit::Family {
        (*self).into()
    }

    fn check(&self, report: &mut Report) {
        let mut config = *self;
        // What is missing has been reported; any value that goes with the others will do.
        if config.depths.is_empty() {
            config.depths = ones(config.heads.len().max(1));
        }
        if config.heads.is_empty() {
            config.heads = ones(config.depths.len());
        }
        if config.dim == 0 {
            set_any_dim(&mut config);
        }
        check_possible(config, make_possible, report);
    }
}

/// That many stages of 1.
fn ones(len: usize) -> Stages {
    Stages::new(&vec![1; len]).unwrap_or_default()
}

/// Channels that nothing is wrong with.
fn set_any_dim(config: &mut SwinConfig) {
    (config.dim, config.heads, config.mlp_ratio) = (1, ones(config.heads.len()), 1.0);
}

/// Maps that nothing is wrong with: one window each, down to a single token.
fn set_any_map(config: &mut SwinConfig) {
    (config.patch_size, config.image_size, config.window) =
        (1, 1 << (config.depths.len() - 1), Stages::single(MAX_SIZE));
}

fn make_possible(config: &mut SwinConfig, error: &ConfigError) -> bool {
    match *error {
        ConfigError::Stages { depths, .. } => config.heads = ones(depths),
        ConfigError::StageWindows { .. } => set_any_map(config),
        ConfigError::OutOfRange { key: "dim", .. } => set_any_dim(config),
        ConfigError::NotDivisible { divisor_key: "heads", divisor, .. } => {
            let heads: Vec<usize> = config.heads.iter().map(|&n| if n == divisor { 1 } else { n }).collect();
            config.heads = Stages::new(&heads).unwrap_or_default();
        }
        ConfigError::NotDivisible { divisor_key: "patch_size", .. } => set_any_map(config),
        ConfigError::Windows { .. } => set_any_map(config),
        _ => return family::make_possible(shared!(config), error),
    }
    true
}
