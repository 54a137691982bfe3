//! The keys of a plain vision transformer: DeiT and T2T-ViT.

use vit::{Config, ConfigError, MAX_DEPTH, MAX_SIZE, Tokens, VitConfig};

use super::family::{Family, check_possible, shared};
use super::values::{Value, set};
use crate::{Problem, ProblemKind, Report, words};

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
        match value.key {
            "depth" => set(&mut self.depth, value.size(MAX_DEPTH)),
            "heads" => set(&mut self.heads, value.size(MAX_SIZE)),
            "tokens" => set(&mut self.tokens, value.word(words::TOKENS.map(|tokens| (words::tokens(tokens), tokens)))),
            "class_token" => set(&mut self.class_token, value.switch()),
            "distilled" => set(&mut self.distilled, value.switch()),
            "register_tokens" => set(&mut self.register_tokens, value.count(MAX_SIZE)),
            "embed_class_token" => set(&mut self.embed_class_token, value.switch()),
            "embed_registers" => set(&mut self.embed_registers, value.switch()),
            "pre_norm" => set(&mut self.pre_norm, value.switch()),
            "qk_norm" => set(&mut self.qk_norm, value.switch()),
            "pool" => set(&mut self.pool, value.word(words::POOLS.map(|pool| (words::pool(pool), pool)))),
            "norm_after_pool" => set(&mut self.norm_after_pool, value.switch()),
            _ => shared!(self).set(value),
        }
    }

    fn config(&self) -> Config {
        Config::Vit(*self)
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
        check_possible(config, Config::Vit, make_possible, report);
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
        _ => return shared!(config).make_possible(error),
    }
    true
}
