//! The keys of a description that say what the model is, and what each of them sets.

use vit::{MAX_DEPTH, MAX_SIZE, Rescale, Stages, SwinConfig, VitConfig};

use crate::words::{POOLS, RESCALES, TOKENS};

/// The places in a configuration of any family.
macro_rules! shared {
    ($config:expr) => {
        $crate::keys::Shared {
            image_size: &mut $config.image_size,
            patch_size: &mut $config.patch_size,
            in_channels: &mut $config.in_channels,
            num_classes: &mut $config.num_classes,
            dim: &mut $config.dim,
            mlp_ratio: &mut $config.mlp_ratio,
            qkv_bias: &mut $config.qkv_bias,
            layer_norm_eps: &mut $config.layer_norm_eps,
            shuffle: &mut $config.shuffle,
            rescale: &mut $config.rescale,
        }
    };
}
#[cfg(feature = "std")]
pub(crate) use shared;

/// The value of a key, by what the key asks for; none if it is something else, of which the reader keeps account.
pub(crate) trait Value {
    fn key(&self) -> &str;
    /// A whole number from 1 to `max`.
    fn size(&mut self, max: usize) -> Option<usize>;
    /// A whole number that may be zero.
    fn count(&mut self, max: usize) -> Option<usize>;
    /// A number for each stage.
    fn stages(&mut self, max: usize) -> Option<Stages>;
    /// One number for all stages, or a list with one for each.
    fn stages_or_one(&mut self, max: usize) -> Option<Stages>;
    /// A finite number above 0.
    fn positive(&mut self) -> Option<f64>;
    fn switch(&mut self) -> Option<bool>;
    /// One of a few words.
    fn word<T: Copy, const N: usize>(&mut self, words: [(&str, T); N]) -> Option<T>;
}

/// Sets a key of a plain model; false if it has no such key.
pub(crate) fn set_plain(config: &mut VitConfig, value: &mut impl Value) -> bool {
    match value.key() {
        "depth" => set(&mut config.depth, value.size(MAX_DEPTH)),
        "heads" => set(&mut config.heads, value.size(MAX_SIZE)),
        "tokens" => set(&mut config.tokens, value.word(TOKENS.map(|tokens| (tokens.name(), tokens)))),
        "class_token" => set(&mut config.class_token, value.switch()),
        "distilled" => set(&mut config.distilled, value.switch()),
        "register_tokens" => set(&mut config.register_tokens, value.count(MAX_SIZE)),
        "embed_class_token" => set(&mut config.embed_class_token, value.switch()),
        "embed_registers" => set(&mut config.embed_registers, value.switch()),
        "pre_norm" => set(&mut config.pre_norm, value.switch()),
        "qk_norm" => set(&mut config.qk_norm, value.switch()),
        "pool" => set(&mut config.pool, value.word(POOLS.map(|pool| (pool.name(), pool)))),
        "norm_after_pool" => set(&mut config.norm_after_pool, value.switch()),
        _ => return shared!(config).set(value),
    }
    true
}

/// Sets a key of a Swin; false if it has no such key.
pub(crate) fn set_swin(config: &mut SwinConfig, value: &mut impl Value) -> bool {
    match value.key() {
        "depths" => set(&mut config.depths, value.stages(MAX_DEPTH)),
        "heads" => set(&mut config.heads, value.stages(MAX_SIZE)),
        "window" => set(&mut config.window, value.stages_or_one(MAX_SIZE)),
        _ => return shared!(config).set(value),
    }
    true
}

/// Places of the values that every family has.
pub(crate) struct Shared<'a> {
    pub image_size: &'a mut usize,
    pub patch_size: &'a mut usize,
    pub in_channels: &'a mut usize,
    pub num_classes: &'a mut usize,
    pub dim: &'a mut usize,
    pub mlp_ratio: &'a mut f64,
    pub qkv_bias: &'a mut bool,
    pub layer_norm_eps: &'a mut f64,
    pub shuffle: &'a mut bool,
    pub rescale: &'a mut Rescale,
}

impl Shared<'_> {
    fn set(self, value: &mut impl Value) -> bool {
        match value.key() {
            "image_size" => set(self.image_size, value.size(MAX_SIZE)),
            "patch_size" => set(self.patch_size, value.size(MAX_SIZE)),
            "in_channels" => set(self.in_channels, value.size(MAX_SIZE)),
            "num_classes" => set(self.num_classes, value.count(MAX_SIZE)),
            "dim" => set(self.dim, value.size(MAX_SIZE)),
            "mlp_ratio" => set(self.mlp_ratio, value.positive()),
            "layer_norm_eps" => set(self.layer_norm_eps, value.positive()),
            "qkv_bias" => set(self.qkv_bias, value.switch()),
            "shuffle" => set(self.shuffle, value.switch()),
            "rescale" => set(self.rescale, value.word(RESCALES.map(|rescale| (rescale.name(), rescale)))),
            _ => return false,
        }
        true
    }
}

/// Puts the value in its place, if there is one.
pub(crate) fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}
