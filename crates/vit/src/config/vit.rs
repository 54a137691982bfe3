//! The configuration of a plain model: DeiT, and T2T-ViT behind its own embedding.

use super::error::{check_macs, check_positive, check_product, check_sizes};
use super::{ConfigError, MAX_DEPTH, MAX_SIZE, Rescale, TensorName};
use crate::{embed, t2t};

/// A plain vision transformer (Touvron et al. 2021), with or without the channel-shuffle module (arXiv 2310.05642).
///
/// [`VitConfig::default`] holds the defaults of a checkpoint's `config` entry; `dim`, `depth` and `heads` have none and
/// are zero, which [`super::Config::validate`] refuses.
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

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
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
        check_product("the number of activations", activations)?;
        // Tokens-to-token's first round has 16 times as many tokens, its second 4 times.
        let (most, rounds) =
            if self.tokens == Tokens::Patch { (tokens, 0) } else { (16 * tokens, 300 * wide(T2T_WIDTH)) };
        let attention = 2 * wide(self.depth) * tokens * tokens * dim + rounds * tokens * tokens * 2;
        check_macs(weights + rounds * 1024, most, attention)
    }

    pub(super) fn visit_tensors(&self, visit: &mut dyn FnMut(TensorName, &[usize])) {
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
    pub(super) fn macs_of(&self, name: TensorName, shape: &[usize]) -> u64 {
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
