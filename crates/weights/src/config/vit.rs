//! The keys of a plain vision transformer: DeiT and T2T-ViT.

use vit::{ConfigError, Tokens, VitConfig};

use super::family::{self, Family, check_arch, check_possible};
use super::values::Value;
use crate::keys::{set_plain, shared};
use crate::{Problem, ProblemKind, Report};

pub(super) fn new() -> Box<dyn Family> {
    Box::new(VitConfig::default())
}

impl Family for VitConfig {
    fn keys(&self) -> &'static [&'static str] {
        &[
            "depth",
            "tokens",
            "class_token",
            "distilled",
            "register_tokens",
            "embed_class_token",
            "embed_registers",
            "pre_norm",
            "qk_norm",
            "pool",
            "norm_after_pool",
        ]
    }

    fn depth_key(&self) -> &'static str {
        "depth"
    }

    fn set(&mut self, mut value: Value) {
        if !set_plain(self, &mut value) {
            check_arch(value);
        }
    }

    fn family(&self) -> vit::Family {
        (*self).into()
    }

    fn check(&self, report: &mut Report) {
        let mut config = *self;
        // What is missing has been reported; any value that goes with the others will do.
        config.depth = config.depth.max(1);
        config.heads = config.heads.max(1);
        if config.dim == 0 {
            (config.dim, config.mlp_ratio) = (config.heads, 1.0);
        }
        if config.tokens != Tokens::Patch {
            check_t2t(&mut config, report);
        }
        check_possible(config, make_possible, report);
    }
}

/// Tokens-to-token's strides are fixed: it makes one token of 16 x 16 pixels.
fn check_t2t(config: &mut VitConfig, report: &mut Report) {
    const PATCH: usize = 16;
    let mut expect = |right: bool, key, expected: &str, found: usize| {
        if !right {
            let expected = format!("{expected}, of which tokens-to-token makes a token");
            report.push(Problem::new(ProblemKind::Config, key, expected, found.to_string()));
        }
    };
    let (patch, image) = (config.patch_size, config.image_size);
    expect(patch == PATCH, "patch_size", "16 pixels", patch);
    expect(image.is_multiple_of(PATCH), "image_size", "a multiple of the 16 pixels", image);
    (config.patch_size, config.image_size) = (PATCH, image.next_multiple_of(PATCH));
}

fn make_possible(config: &mut VitConfig, error: &ConfigError) -> bool {
    match *error {
        ConfigError::NotDivisible { divisor_key: "heads", .. } => config.heads = 1,
        ConfigError::Conflict { first: "class_token false", .. } => config.class_token = true,
        ConfigError::Conflict { .. } => (config.norm_after_pool, config.distilled) = (false, false),
        _ => return family::make_possible(shared!(config), error),
    }
    true
}
