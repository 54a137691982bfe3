//! What a model is: sizes and switches, checked once, and everything that follows from them by arithmetic.
//!
//! A [`Config`] is the generic description that a checkpoint carries (the `config` entry of its metadata) or that a
//! public model's name stands for ([`Config::named`]). Tensor names and shapes ([`Config::visit_tensors`]),
//! parameters and multiply-accumulates ([`Config::visit_layers`]) all derive from it.

mod swin;

use core::fmt;

pub use swin::{MAX_STAGES, Stages, SwinConfig};
pub(crate) use swin::{Merging, Stage};

use crate::{embed, t2t};

/// The description of one model of any supported family.
///
/// ```
/// use vit::Config;
/// let config = Config::named("shuffle_deit_tiny").unwrap();
/// assert_eq!(config.params(), 6_095_488);
/// assert_eq!(config.macs(), 1_282_776_576);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Config {
    /// A plain vision transformer: DeiT and its relatives (`"arch": "vit"`).
    Vit(VitConfig),
    /// A Swin transformer (`"arch": "swin"`).
    Swin(SwinConfig),
}

/// A plain vision transformer (Touvron et al. 2021), with or without the channel-shuffle module (arXiv 2310.05642).
///
/// [`VitConfig::default`] holds the defaults of a checkpoint's `config` entry; `dim`, `depth` and `heads` have none and
/// are zero, which [`Config::validate`] refuses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VitConfig {
    /// Height and width of the square input, in pixels.
    pub image_size: usize,
    /// Height and width of a patch, in pixels; divides `image_size`.
    pub patch_size: usize,
    /// Planes of the input: 3 for RGB, 1 for grey.
    pub in_channels: usize,
    /// Logits per image.
    pub num_classes: usize,
    /// Channels that a layer attends on: C. With the module the stream is 2C wide.
    pub dim: usize,
    /// Transformer blocks.
    pub depth: usize,
    /// Attention heads; divides `dim`.
    pub heads: usize,
    /// Hidden channels of the MLP are `floor(dim * mlp_ratio)`.
    pub mlp_ratio: f64,
    /// Whether the query, key and value projection has a bias.
    pub qkv_bias: bool,
    /// Added to the variance by every layer norm.
    pub layer_norm_eps: f64,
    /// How pixels become tokens.
    pub tokens: Tokens,
    /// Whether a distillation token and a second head exist (distilled DeiT).
    pub distilled: bool,
    /// What the head sees.
    pub pool: Pool,
    /// With [`Pool::Avg`]: whether the norm comes after the mean (timm's `fc_norm`).
    pub norm_after_pool: bool,
    /// Whether the channel-shuffle module is plugged in.
    pub shuffle: bool,
    /// How residual branches are rescaled.
    pub rescale: Rescale,
}

/// How pixels become tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tokens {
    /// A projection of square patches.
    #[default]
    Patch,
    /// Tokens-to-token with the performer's linear attention (T2T-ViT); patches are 16 pixels.
    T2tPerformer,
    /// Tokens-to-token with softmax attention (T2T-ViT_t); patches are 16 pixels.
    T2tTransformer,
}

/// Channels of tokens inside tokens-to-token.
pub(crate) const T2T_WIDTH: usize = 64;
/// Pixels that tokens-to-token's three strides, 4, 2 and 2, make one token of in either direction.
const T2T_PATCH: usize = 16;

/// What the classification head sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pool {
    /// The class token.
    #[default]
    Cls,
    /// The mean of the patch tokens.
    Avg,
}

/// Channel rescaling (paper section II-C): the factor on the attended channels where a residual branch joins them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rescale {
    /// Both factors are 1.
    #[default]
    None,
    /// Both factors are 0.5, as in the authors' published Swin code.
    Half,
    /// `blocks.{i}.alpha` and `blocks.{i}.beta`, one learned scalar each.
    Learned,
}

/// A configuration that no model can be built from.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A size is zero or beyond its bound.
    #[error("config: {key} is {value}, expected 1 to {max}")]
    OutOfRange {
        /// The key as the checkpoint's `config` spells it.
        key: &'static str,
        /// What was found.
        value: usize,
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
    /// The whole would not fit any memory.
    #[error("config: {what} overflows: choose smaller sizes")]
    TooLarge {
        /// The product that overflows.
        what: &'static str,
    },
}

/// The largest accepted value of every size but the depth.
pub const MAX_SIZE: usize = 1 << 20;
/// The largest accepted depth.
pub const MAX_DEPTH: usize = 1024;
/// The largest accepted number of values in all weights or in one image's activations: what 32-bit offsets reach.
const MAX_VALUES: u64 = 1 << 40;

/// Fails unless each `(key, value, max)` is from 1 to its maximum.
fn check_sizes(sizes: &[(&'static str, usize, usize)]) -> Result<(), ConfigError> {
    match sizes.iter().find(|&&(_, value, max)| value == 0 || value > max) {
        Some(&(key, value, max)) => Err(ConfigError::OutOfRange { key, value, max }),
        None => Ok(()),
    }
}

/// Fails unless both numbers are finite and positive; an eps that underflows in f32 would be no eps at all.
fn check_positive(mlp_ratio: f64, layer_norm_eps: f64) -> Result<(), ConfigError> {
    for (key, value, max) in [("mlp_ratio", mlp_ratio, MAX_SIZE as f64), ("layer_norm_eps", layer_norm_eps, 1.0)] {
        if !(value.is_finite() && value as f32 > 0.0 && value <= max) {
            return Err(ConfigError::NotPositive { key, value, max });
        }
    }
    Ok(())
}

/// Fails if a buffer of so many values cannot be.
fn check_product(what: &'static str, values: u128) -> Result<(), ConfigError> {
    if values > u128::from(MAX_VALUES.min((isize::MAX / 8) as u64)) {
        return Err(ConfigError::TooLarge { what });
    }
    Ok(())
}

impl Default for VitConfig {
    fn default() -> Self {
        VitConfig {
            image_size: 224,
            patch_size: 16,
            in_channels: 3,
            num_classes: 1000,
            dim: 0,
            depth: 0,
            heads: 0,
            mlp_ratio: 4.0,
            qkv_bias: true,
            layer_norm_eps: 1e-6,
            tokens: Tokens::Patch,
            distilled: false,
            pool: Pool::Cls,
            norm_after_pool: false,
            shuffle: false,
            rescale: Rescale::None,
        }
    }
}

impl VitConfig {
    /// Channels of the residual stream: 2C with the module, else C.
    pub fn channels(&self) -> usize {
        if self.shuffle { 2 * self.dim } else { self.dim }
    }

    /// Class tokens in front of the patch tokens: 1, or 2 when distilled.
    pub fn class_tokens(&self) -> usize {
        1 + usize::from(self.distilled)
    }

    /// Patch tokens: `(image_size / patch_size)^2`.
    pub fn patches(&self) -> usize {
        let side = self.image_size / self.patch_size;
        side * side
    }

    /// All tokens of an image.
    pub fn tokens(&self) -> usize {
        self.class_tokens() + self.patches()
    }

    /// Hidden channels of the MLP: `floor(dim * mlp_ratio)`.
    pub fn hidden(&self) -> usize {
        libm::floor(self.dim as f64 * self.mlp_ratio) as usize
    }

    /// Values of one patch: `in_channels * patch_size^2`.
    pub fn patch_values(&self) -> usize {
        self.in_channels * self.patch_size * self.patch_size
    }

    fn validate(&self) -> Result<(), ConfigError> {
        check_sizes(&[
            ("image_size", self.image_size, MAX_SIZE),
            ("patch_size", self.patch_size, MAX_SIZE),
            ("in_channels", self.in_channels, MAX_SIZE),
            ("num_classes", self.num_classes, MAX_SIZE),
            ("dim", self.dim, MAX_SIZE),
            ("depth", self.depth, MAX_DEPTH),
            ("heads", self.heads, MAX_SIZE),
        ])?;
        check_positive(self.mlp_ratio, self.layer_norm_eps)?;
        for (key, value, divisor_key, divisor) in
            [("image_size", self.image_size, "patch_size", self.patch_size), ("dim", self.dim, "heads", self.heads)]
        {
            if value % divisor != 0 {
                return Err(ConfigError::NotDivisible { key, value, divisor_key, divisor });
            }
        }
        check_sizes(&[("dim * mlp_ratio", self.hidden(), MAX_SIZE)])?;
        if self.tokens != Tokens::Patch && self.patch_size != T2T_PATCH {
            return Err(ConfigError::Conflict {
                first: "patch_size",
                second: "tokens t2t",
                why: "tokens-to-token makes one token of 16x16 pixels; set patch_size to 16 or leave it out",
            });
        }
        if self.norm_after_pool && self.pool == Pool::Cls {
            return Err(ConfigError::Conflict {
                first: "norm_after_pool true",
                second: "pool cls",
                why: "there is no mean to norm; set pool to avg",
            });
        }
        if self.distilled && self.pool == Pool::Avg {
            return Err(ConfigError::Conflict {
                first: "distilled true",
                second: "pool avg",
                why: "the distillation head reads its own token; set pool to cls",
            });
        }
        self.check_products()
    }

    /// Every product that a buffer's length is made of, checked in 128 bits before anything is built.
    fn check_products(&self) -> Result<(), ConfigError> {
        let wide = |x: usize| x as u128;
        let (dim, channels) = (wide(self.dim), wide(self.channels()));
        let patch = wide(self.in_channels) * wide(self.patch_size) * wide(self.patch_size) + 1024;
        let side = wide(self.image_size / self.patch_size);
        let tokens = side * side + wide(self.class_tokens());
        let hidden = wide(self.hidden());
        let weights =
            wide(self.depth) * dim * (4 * dim + 2 * hidden) + channels * (patch + tokens + 2 * wide(self.num_classes));
        let activations =
            tokens * (channels + 4 * dim + hidden + patch) + wide(self.in_channels) * wide(self.image_size).pow(2);
        check_product("the number of weights", weights)?;
        check_product("the number of activations", activations)
    }

    fn visit_tensors(&self, visit: &mut dyn FnMut(TensorName, &[usize])) {
        use TensorName::{Block, Top};
        let (e, c, hidden, p) = (self.channels(), self.dim, self.hidden(), self.patch_size);
        visit(Top("cls_token"), &[1, 1, e]);
        if self.distilled {
            visit(Top("dist_token"), &[1, 1, e]);
        }
        visit(Top("pos_embed"), &[1, self.tokens(), e]);
        if self.tokens == Tokens::Patch {
            visit(Top("patch_embed.proj.weight"), &[e, self.in_channels, p, p]);
            visit(Top("patch_embed.proj.bias"), &[e]);
        } else {
            t2t::visit_tensors(self, visit);
            visit(Top("tokens_to_token.project.weight"), &[e, embed::inputs(self)]);
            visit(Top("tokens_to_token.project.bias"), &[e]);
        }
        for i in 0..self.depth {
            if self.rescale == Rescale::Learned {
                visit(Block(i, "alpha"), &[1]);
                visit(Block(i, "beta"), &[1]);
            }
            visit(Block(i, "norm1.weight"), &[c]);
            visit(Block(i, "norm1.bias"), &[c]);
            visit(Block(i, "attn.qkv.weight"), &[3 * c, c]);
            if self.qkv_bias {
                visit(Block(i, "attn.qkv.bias"), &[3 * c]);
            }
            visit(Block(i, "attn.proj.weight"), &[c, c]);
            visit(Block(i, "attn.proj.bias"), &[c]);
            visit(Block(i, "norm2.weight"), &[c]);
            visit(Block(i, "norm2.bias"), &[c]);
            visit(Block(i, "mlp.fc1.weight"), &[hidden, c]);
            visit(Block(i, "mlp.fc1.bias"), &[hidden]);
            visit(Block(i, "mlp.fc2.weight"), &[c, hidden]);
            visit(Block(i, "mlp.fc2.bias"), &[c]);
        }
        // timm calls a norm that follows the pooling `fc_norm`.
        let norm = if self.norm_after_pool { ["fc_norm.weight", "fc_norm.bias"] } else { ["norm.weight", "norm.bias"] };
        visit(Top(norm[0]), &[e]);
        visit(Top(norm[1]), &[e]);
        visit(Top("head.weight"), &[self.num_classes, e]);
        visit(Top("head.bias"), &[self.num_classes]);
        if self.distilled {
            visit(Top("head_dist.weight"), &[self.num_classes, e]);
            visit(Top("head_dist.bias"), &[self.num_classes]);
        }
    }

    /// Multiply-accumulates of the matrix products that a weight takes part in, for one image.
    ///
    /// A weight matrix multiplies every token; the head multiplies one.
    fn macs_of(&self, name: TensorName, shape: &[usize]) -> u64 {
        let tokens = self.tokens() as u64;
        let values: u64 = shape.iter().map(|&x| x as u64).product();
        match name {
            TensorName::Top("patch_embed.proj.weight" | "tokens_to_token.project.weight") => {
                values * self.patches() as u64
            }
            TensorName::Top("head.weight" | "head_dist.weight") => values,
            TensorName::Block(_, "attn.qkv.weight") => values * tokens + 2 * tokens * tokens * self.dim as u64,
            TensorName::Block(_, "attn.proj.weight" | "mlp.fc1.weight" | "mlp.fc2.weight") => values * tokens,
            _ if self.tokens != Tokens::Patch => t2t::macs_of(self, name, shape),
            _ => 0,
        }
    }
}

/// The public name of a checkpoint's tensor, as PyTorch's state dict spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TensorName {
    /// A tensor outside the blocks, such as `cls_token`.
    Top(&'static str),
    /// A tensor of one block: `Block(3, "attn.qkv.weight")` is `blocks.3.attn.qkv.weight`.
    Block(usize, &'static str),
    /// A tensor of one stage: `Stage(0, "downsample.norm.bias")` is `layers.0.downsample.norm.bias`.
    Stage(usize, &'static str),
    /// A tensor of one block of a stage: `StageBlock(0, 1, "alpha")` is `layers.0.blocks.1.alpha`.
    StageBlock(usize, usize, &'static str),
}

impl TensorName {
    /// The module that owns the tensor, without `.weight` or `.bias`: the name of a row in a table of layers.
    pub fn layer(&self) -> LayerName {
        let trim =
            |name: &'static str| name.strip_suffix(".weight").or_else(|| name.strip_suffix(".bias")).unwrap_or(name);
        LayerName(match *self {
            TensorName::Top(name) => TensorName::Top(trim(name)),
            TensorName::Block(i, name) => TensorName::Block(i, trim(name)),
            TensorName::Stage(s, name) => TensorName::Stage(s, trim(name)),
            TensorName::StageBlock(s, i, name) => TensorName::StageBlock(s, i, trim(name)),
        })
    }
}

impl fmt::Display for TensorName {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            TensorName::Top(name) => f.write_str(name),
            TensorName::Block(i, name) => write!(f, "blocks.{i}.{name}"),
            TensorName::Stage(s, name) => write!(f, "layers.{s}.{name}"),
            TensorName::StageBlock(s, i, name) => write!(f, "layers.{s}.blocks.{i}.{name}"),
        }
    }
}

/// The public name of a layer: a [`TensorName`] without its last part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerName(TensorName);

impl fmt::Display for LayerName {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One row of a model's table of layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// The layer, as the checkpoint names it.
    pub name: LayerName,
    /// Values in its tensors.
    pub params: u64,
    /// Multiply-accumulates of its matrix products for one image; attention's products count with `attn.qkv`.
    pub macs: u64,
}

/// A built-in model: its name, dim, depth, heads, MLP ratio and tokens.
type Named = (&'static str, usize, usize, usize, f64, Tokens);

#[rustfmt::skip]
const NAMED: [Named; 7] = [
    ("deit_tiny", 192, 12, 3, 4.0, Tokens::Patch),
    ("deit_small", 384, 12, 6, 4.0, Tokens::Patch),
    ("t2t_vit_7", 256, 7, 4, 2.0, Tokens::T2tPerformer),
    ("t2t_vit_10", 256, 10, 4, 2.0, Tokens::T2tPerformer),
    ("t2t_vit_12", 256, 12, 4, 2.0, Tokens::T2tPerformer),
    ("t2t_vit_14", 384, 14, 6, 3.0, Tokens::T2tPerformer),
    ("t2t_vit_t_14", 384, 14, 6, 3.0, Tokens::T2tTransformer),
];

/// Names that [`Config::named`] knows, vanilla next to shuffled.
const NAMES: [&str; 22] = [
    "deit_tiny",
    "shuffle_deit_tiny",
    "deit_tiny_distilled",
    "shuffle_deit_tiny_distilled",
    "deit_small",
    "shuffle_deit_small",
    "deit_small_distilled",
    "shuffle_deit_small_distilled",
    "t2t_vit_7",
    "shuffle_t2t_vit_7",
    "t2t_vit_10",
    "shuffle_t2t_vit_10",
    "t2t_vit_12",
    "shuffle_t2t_vit_12",
    "t2t_vit_14",
    "shuffle_t2t_vit_14",
    "t2t_vit_t_14",
    "shuffle_t2t_vit_t_14",
    "swin_extra_tiny",
    "shuffle_swin_extra_tiny",
    "swin_tiny",
    "shuffle_swin_tiny",
];

impl Config {
    /// The names of the built-in models, vanilla next to shuffled.
    pub fn names() -> &'static [&'static str] {
        &NAMES
    }

    /// The built-in model of that name: 224x224x3 pixels, 1000 classes; `shuffle_` in front plugs the module in, with
    /// learned rescaling.
    pub fn named(name: &str) -> Option<Config> {
        if !NAMES.contains(&name) {
            return None;
        }
        let (base, shuffle) = match name.strip_prefix("shuffle_") {
            Some(base) => (base, true),
            None => (name, false),
        };
        let rescale = if shuffle { Rescale::Learned } else { Rescale::None };
        // The module's Swin has one block fewer in stage 3, as in the paper.
        let swin = match base {
            "swin_extra_tiny" => Some((48, 5 - usize::from(shuffle))),
            "swin_tiny" => Some((96, 6 - usize::from(shuffle))),
            _ => None,
        };
        if let Some((dim, depth)) = swin {
            let (depths, heads) = (Stages::new(&[2, 2, depth, 2])?, Stages::new(&[3, 6, 12, 24])?);
            return Some(Config::Swin(SwinConfig { dim, depths, heads, shuffle, rescale, ..SwinConfig::default() }));
        }
        let (plain, distilled) = match base.strip_suffix("_distilled") {
            Some(plain) => (plain, true),
            None => (base, false),
        };
        let &(_, dim, depth, heads, mlp_ratio, tokens) = NAMED.iter().find(|named| named.0 == plain)?;
        let deit = tokens == Tokens::Patch;
        Some(Config::Vit(VitConfig {
            dim,
            depth,
            heads,
            mlp_ratio,
            qkv_bias: deit,
            layer_norm_eps: if deit { 1e-6 } else { 1e-5 },
            tokens,
            distilled,
            shuffle,
            rescale,
            ..VitConfig::default()
        }))
    }

    /// Checks every bound that a model's construction relies on.
    pub fn validate(&self) -> Result<(), ConfigError> {
        match self {
            Config::Vit(c) => c.validate(),
            Config::Swin(c) => c.validate(),
        }
    }

    /// Calls `visit` with the name and shape of every tensor of the checkpoint, in its order.
    ///
    /// ```
    /// let config = vit::Config::named("deit_tiny").unwrap();
    /// let mut count = 0;
    /// config.visit_tensors(&mut |name, shape| {
    ///     if name.to_string() == "blocks.3.attn.qkv.weight" {
    ///         assert_eq!(shape, [576, 192]);
    ///     }
    ///     count += 1;
    /// });
    /// assert_eq!(count, 152);
    /// ```
    pub fn visit_tensors(&self, visit: &mut dyn FnMut(TensorName, &[usize])) {
        match self {
            Config::Vit(c) => c.visit_tensors(visit),
            Config::Swin(c) => c.visit_tensors(visit),
        }
    }

    /// Calls `visit` with every layer in the checkpoint's order.
    pub fn visit_layers(&self, visit: &mut dyn FnMut(Layer)) {
        let mut current: Option<Layer> = None;
        self.visit_tensors(&mut |name, shape| {
            let params = shape.iter().map(|&x| x as u64).product();
            let macs = match self {
                Config::Vit(c) => c.macs_of(name, shape),
                Config::Swin(c) => c.macs_of(name, shape),
            };
            match &mut current {
                Some(layer) if layer.name == name.layer() => {
                    layer.params += params;
                    layer.macs += macs;
                }
                _ => {
                    if let Some(done) = current.replace(Layer { name: name.layer(), params, macs }) {
                        visit(done);
                    }
                }
            }
        });
        if let Some(done) = current {
            visit(done);
        }
    }

    /// Parameters: the values of all tensors of the checkpoint.
    pub fn params(&self) -> u64 {
        let mut sum = 0;
        self.visit_layers(&mut |layer| sum += layer.params);
        sum
    }

    /// Multiply-accumulates of all matrix products for one image, on all tokens, whatever clever execution saves.
    pub fn macs(&self) -> u64 {
        let mut sum = 0;
        self.visit_layers(&mut |layer| sum += layer.macs);
        sum
    }

    /// Planes of an input image.
    pub fn in_channels(&self) -> usize {
        match self {
            Config::Vit(c) => c.in_channels,
            Config::Swin(c) => c.in_channels,
        }
    }

    /// Height and width of an input image.
    pub fn image_size(&self) -> usize {
        match self {
            Config::Vit(c) => c.image_size,
            Config::Swin(c) => c.image_size,
        }
    }

    /// Values of one input image: `in_channels * image_size^2`.
    pub fn image_len(&self) -> usize {
        self.in_channels() * self.image_size() * self.image_size()
    }

    /// Logits per image.
    pub fn num_classes(&self) -> usize {
        match self {
            Config::Vit(c) => c.num_classes,
            Config::Swin(c) => c.num_classes,
        }
    }

    /// How many taps a run offers: one after each block, or after each stage.
    pub fn taps(&self) -> usize {
        match self {
            Config::Vit(c) => c.depth,
            Config::Swin(c) => c.depths.len(),
        }
    }

    /// Tokens and channels of tap `i`.
    ///
    /// # Panics
    /// If there is no such tap.
    pub fn tap_shape(&self, i: usize) -> [usize; 2] {
        match self {
            Config::Vit(c) => [c.tokens(), c.channels()],
            Config::Swin(c) => [c.stage(i).tokens(), c.stage(i).channels],
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;
    use std::vec::Vec;

    #[test]
    fn counts_equal_the_published_table() {
        let table = [
            ("deit_tiny", 5717416, 1253683200),
            ("shuffle_deit_tiny", 6095488, 1282776576),
            ("deit_tiny_distilled", 5910800, 1261003776),
            ("shuffle_deit_tiny_distilled", 6481256, 1290289152),
            ("deit_small", 22050664, 4598882304),
            ("shuffle_deit_small", 22806784, 4657069056),
            ("deit_small_distilled", 22436432, 4624140288),
            ("shuffle_deit_small_distilled", 23577320, 4682711040),
            ("t2t_vit_7", 4310222, 1146738176),
            ("shuffle_t2t_vit_7", 4765148, 1175895552),
            ("t2t_vit_10", 5889230, 1516203008),
            ("shuffle_t2t_vit_10", 6344162, 1545360384),
            ("t2t_vit_12", 6941902, 1762512896),
            ("shuffle_t2t_vit_12", 7396838, 1791670272),
            ("t2t_vit_14", 21545550, 4783343104),
            ("shuffle_t2t_vit_14", 22227946, 4827079168),
            ("t2t_vit_t_14", 21541070, 6088721920),
            ("shuffle_t2t_vit_t_14", 22223466, 6132457984),
            ("swin_extra_tiny", 6852742, 1071089664),
            ("shuffle_swin_extra_tiny", 7182846, 1031659008),
            ("swin_tiny", 28288354, 4490566656),
            ("shuffle_swin_tiny", 28839980, 4325001216),
        ];
        for (name, params, macs) in table {
            let config = Config::named(name).unwrap();
            assert_eq!((config.params(), config.macs()), (params, macs), "{name}");
        }
        assert_eq!(table.map(|row| row.0), *Config::names());
    }

    #[test]
    fn layers_are_grouped_and_cover_all_parameters() {
        let config = Config::named("shuffle_deit_tiny").unwrap();
        let mut names = Vec::new();
        config.visit_layers(&mut |layer| names.push(layer.name.to_string()));
        assert_eq!(names[..5], ["cls_token", "pos_embed", "patch_embed.proj", "blocks.0.alpha", "blocks.0.beta"]);
        assert_eq!(names.last().unwrap(), "head");
        let unique: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(unique.len(), names.len());
    }

    #[test]
    fn windows_that_do_not_cover_a_map_name_sizes_that_work() {
        let Some(Config::Swin(swin)) = Config::named("swin_tiny") else { panic!("a Swin") };
        let message = Config::Swin(SwinConfig { image_size: 256, ..swin }).validate().unwrap_err().to_string();
        assert!(message.contains("224") && message.contains("448"), "{message}");
        let small = SwinConfig { image_size: 32, ..swin };
        assert!(Config::Swin(small).validate().is_err(), "a map of 8 tokens and windows of 7");
        let stages = SwinConfig { heads: Stages::new(&[3, 6]).unwrap(), ..swin };
        assert!(Config::Swin(stages).validate().unwrap_err().to_string().contains("depths has 4"));
        assert!(Config::Swin(SwinConfig::default()).validate().is_err());
    }

    #[test]
    fn impossible_configurations_are_named() {
        let good = VitConfig { dim: 24, depth: 2, heads: 3, ..VitConfig::default() };
        assert_eq!(Config::Vit(good).validate(), Ok(()));
        let bad: [(VitConfig, &str); 10] = [
            (VitConfig { depth: 1025, ..good }, "depth"),
            (VitConfig { dim: 0, ..good }, "dim"),
            (VitConfig { heads: 5, ..good }, "heads 5 does not divide dim 24"),
            (VitConfig { patch_size: 15, ..good }, "patch_size 15 does not divide image_size 224"),
            (VitConfig { mlp_ratio: f64::NAN, ..good }, "mlp_ratio"),
            (VitConfig { mlp_ratio: -1.0, ..good }, "mlp_ratio"),
            (VitConfig { mlp_ratio: 0.01, ..good }, "dim * mlp_ratio"),
            (VitConfig { layer_norm_eps: 0.0, ..good }, "layer_norm_eps"),
            (VitConfig { norm_after_pool: true, ..good }, "norm_after_pool"),
            (VitConfig { image_size: MAX_SIZE, patch_size: 1, in_channels: MAX_SIZE, ..good }, "overflows"),
        ];
        for (config, expected) in bad {
            let message = Config::Vit(config).validate().unwrap_err().to_string();
            assert!(message.contains(expected), "{message:?} lacks {expected:?}");
        }
    }
}
