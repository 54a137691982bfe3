//! The configuration of a plain model: DeiT, and T2T-ViT behind its own embedding.

use super::error::{ConfigError, MAX_DEPTH, MAX_SIZE};
use super::error::{check_counts, check_macs, check_positive, check_product, check_sizes};
use super::switches::{Pool, Rescale, Tokens};
use super::t2t::{Rounds, T2T_PATCH, T2T_WIDTH};
use super::tensor::TensorName;
use super::windows::Windows;

/// A plain vision transformer (Touvron et al. 2021), with or without the channel-shuffle module (arXiv 2310.05642).
///
/// [`VitConfig::default`] holds the defaults of a checkpoint's `config` entry; `dim`, `depth` and `heads` have none and
/// are zero, which [`Config::new`](super::Config::new) refuses.
///
/// ```
/// let small = vit::VitConfig { image_size: 96, dim: 192, depth: 6, heads: 3, shuffle: true, ..vit::VitConfig::default() };
/// assert_eq!(vit::Config::new(small)?.image_len(), 3 * 96 * 96);
/// # Ok::<(), vit::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VitConfig {
    /// Height and width of the square input, in pixels.
    pub image_size: usize,
    /// Height and width of a patch, in pixels; divides `image_size`.
    pub patch_size: usize,
    /// Planes of the input: 3 for RGB, 1 for grey.
    pub in_channels: usize,
    /// Logits per image. With 0 there is no head: a run gives the pooled and normed features.
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
    /// Whether a class token stands in front of the patches' tokens.
    pub class_token: bool,
    /// Whether a distillation token follows the class token, and a second head reads it (distilled DeiT).
    pub distilled: bool,
    /// Register tokens between the class tokens and the patches' (Darcet et al. 2024): learned tokens that no head reads.
    pub register_tokens: usize,
    /// Whether the position embedding has rows for the class tokens.
    pub embed_class_token: bool,
    /// Whether the position embedding has rows for the register tokens, behind those of the class tokens.
    pub embed_registers: bool,
    /// Whether a layer norm, `norm_pre`, comes between the embedding and the first block. The patch convolution then has no
    /// bias, as in timm.
    pub pre_norm: bool,
    /// Whether each head's queries and keys are normed over the head's channels before their product (`attn.q_norm` and
    /// `attn.k_norm`, the same weights for all heads of a block).
    pub qk_norm: bool,
    /// What the head sees.
    pub pool: Pool,
    /// With [`Pool::Avg`]: whether the norm comes after the mean (timm's `fc_norm`).
    pub norm_after_pool: bool,
    /// Whether the channel-shuffle module is plugged in.
    pub shuffle: bool,
    /// How residual branches are rescaled.
    pub rescale: Rescale,
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
            class_token: true,
            distilled: false,
            register_tokens: 0,
            embed_class_token: true,
            embed_registers: false,
            pre_norm: false,
            qk_norm: false,
            pool: Pool::Cls,
            norm_after_pool: false,
            shuffle: false,
            rescale: Rescale::None,
        }
    }
}

impl VitConfig {
    /// Channels of the residual stream: 2C with the module, else C.
    ///
    /// ```
    /// let vit::Family::Vit(c) = *vit::Config::named("shuffle_deit_tiny").unwrap().family() else { panic!() };
    /// assert_eq!((c.dim, c.channels()), (192, 384));
    /// ```
    pub fn channels(&self) -> usize {
        if self.shuffle { self.dim.saturating_mul(2) } else { self.dim }
    }

    /// Tokens that a head can read, the first of all: 1, or 2 when distilled, or none.
    ///
    /// ```
    /// let vit::Family::Vit(c) = *vit::Config::named("shuffle_deit_tiny").unwrap().family() else { panic!() };
    /// assert_eq!(c.class_tokens(), 1);
    /// ```
    pub fn class_tokens(&self) -> usize {
        usize::from(self.class_token) + usize::from(self.distilled)
    }

    /// Tokens in front of the patch tokens: class tokens, then registers.
    ///
    /// ```
    /// let vit::Family::Vit(c) = *vit::Config::named("shuffle_deit_tiny").unwrap().family() else { panic!() };
    /// assert_eq!(vit::VitConfig { register_tokens: 4, ..c }.prefix_tokens(), 5);
    /// ```
    pub fn prefix_tokens(&self) -> usize {
        self.class_tokens().saturating_add(self.register_tokens)
    }

    /// Rows of the position embedding in front of the patches'.
    ///
    /// ```
    /// let vit::Family::Vit(c) = *vit::Config::named("shuffle_deit_tiny").unwrap().family() else { panic!() };
    /// assert_eq!(vit::VitConfig { register_tokens: 4, ..c }.prefix_positions(), 1);
    /// ```
    pub fn prefix_positions(&self) -> usize {
        let class_tokens = if self.embed_class_token { self.class_tokens() } else { 0 };
        class_tokens.saturating_add(if self.embed_registers { self.register_tokens } else { 0 })
    }

    /// Patch tokens: `(image_size / patch_size)^2`.
    ///
    /// ```
    /// let vit::Family::Vit(c) = *vit::Config::named("shuffle_deit_tiny").unwrap().family() else { panic!() };
    /// assert_eq!(c.patches(), 14 * 14);
    /// ```
    pub fn patches(&self) -> usize {
        let side = self.image_size.checked_div(self.patch_size).unwrap_or(0);
        side.saturating_mul(side)
    }

    /// Rows of the position embedding.
    pub(crate) fn positions(&self) -> usize {
        self.prefix_positions() + self.patches()
    }

    /// All tokens of an image.
    ///
    /// ```
    /// let vit::Family::Vit(c) = *vit::Config::named("shuffle_deit_tiny").unwrap().family() else { panic!() };
    /// assert_eq!(c.tokens(), 14 * 14 + 1);
    /// ```
    pub fn tokens(&self) -> usize {
        self.prefix_tokens().saturating_add(self.patches())
    }

    /// Channels of an attention head.
    ///
    /// ```
    /// let vit::Family::Vit(c) = *vit::Config::named("shuffle_deit_tiny").unwrap().family() else { panic!() };
    /// assert_eq!(c.head_dim(), 64);
    /// ```
    pub fn head_dim(&self) -> usize {
        self.dim.checked_div(self.heads).unwrap_or(0)
    }

    /// Pooled features of an image, which the classifier reads: a token's channels, or twice as many with [`Pool::ClsAvg`].
    ///
    /// ```
    /// let vit::Family::Vit(c) = *vit::Config::named("shuffle_deit_tiny").unwrap().family() else { panic!() };
    /// assert_eq!(c.features(), c.channels());
    /// ```
    pub fn features(&self) -> usize {
        self.channels().saturating_mul(self.pool.parts())
    }

    /// Hidden channels of the MLP: `floor(dim * mlp_ratio)`.
    ///
    /// ```
    /// let vit::Family::Vit(c) = *vit::Config::named("shuffle_deit_tiny").unwrap().family() else { panic!() };
    /// assert_eq!(c.hidden(), 768);
    /// ```
    pub fn hidden(&self) -> usize {
        libm::floor(self.dim as f64 * self.mlp_ratio) as usize
    }

    /// Values of one patch: `in_channels * patch_size^2`.
    ///
    /// ```
    /// let vit::Family::Vit(c) = *vit::Config::named("shuffle_deit_tiny").unwrap().family() else { panic!() };
    /// assert_eq!(c.patch_values(), 3 * 16 * 16);
    /// ```
    pub fn patch_values(&self) -> usize {
        self.in_channels.saturating_mul(self.patch_size).saturating_mul(self.patch_size)
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        check_sizes(&[
            ("image_size", self.image_size, MAX_SIZE),
            ("patch_size", self.patch_size, MAX_SIZE),
            ("in_channels", self.in_channels, MAX_SIZE),
            ("dim", self.dim, MAX_SIZE),
            ("depth", self.depth, MAX_DEPTH),
            ("heads", self.heads, MAX_SIZE),
        ])?;
        check_counts(&[("num_classes", self.num_classes), ("register_tokens", self.register_tokens)])?;
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
        self.check_pool()?;
        self.check_products()
    }

    /// Fails if the head would read a token that is not there, or not read one that is there for it.
    fn check_pool(&self) -> Result<(), ConfigError> {
        let conflict = |first, second, why| Err(ConfigError::Conflict { first, second, why });
        match (self.pool, self.class_token) {
            (Pool::Cls, false) => {
                conflict("class_token false", "pool cls", "the head would have no token to read; set pool to avg")
            }
            (Pool::ClsAvg, false) => {
                conflict("class_token false", "pool cls_avg", "the head reads the class token; set pool to avg")
            }
            (Pool::Cls, true) if self.norm_after_pool => {
                conflict("norm_after_pool true", "pool cls", "there is no mean to norm; set pool to avg")
            }
            (Pool::ClsAvg, true) if self.norm_after_pool => conflict(
                "norm_after_pool true",
                "pool cls_avg",
                "the tokens are normed before they are pooled; set it to false",
            ),
            (Pool::Avg, _) if self.distilled => {
                conflict("distilled true", "pool avg", "the distillation head reads its own token; set pool to cls")
            }
            (Pool::ClsAvg, _) if self.distilled => {
                conflict("distilled true", "pool cls_avg", "the distillation head reads its own token; set pool to cls")
            }
            _ => Ok(()),
        }
    }

    /// Every product that a buffer's length is made of, checked in 128 bits before anything is built.
    fn check_products(&self) -> Result<(), ConfigError> {
        let wide = |x: usize| x as u128;
        let (dim, channels) = (wide(self.dim), wide(self.channels()));
        let patch = wide(self.in_channels) * wide(self.patch_size) * wide(self.patch_size) + 1024;
        let side = wide(self.image_size / self.patch_size);
        let tokens = side * side + wide(self.prefix_tokens());
        let hidden = wide(self.hidden());
        let weights = wide(self.depth) * dim * (4 * dim + 2 * hidden)
            + channels * (patch + 2 * tokens + 2 * wide(self.num_classes));
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
        let (e, c, hidden) = (self.channels(), self.dim, self.hidden());
        for (name, count) in self.prefix() {
            visit(Top(name), &[1, count, e]);
        }
        visit(Top("pos_embed"), &[1, self.positions(), e]);
        if let Some(rounds) = self.rounds() {
            rounds.visit_tensors(visit);
        }
        let [weight, _] = self.embedding_names();
        visit(Top(weight), self.embedding_shape().as_slice());
        if let Some(bias) = self.embedding_bias() {
            visit(Top(bias), &[e]);
        }
        if self.pre_norm {
            visit(Top("norm_pre.weight"), &[e]);
            visit(Top("norm_pre.bias"), &[e]);
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
            if self.qk_norm {
                for name in ["attn.q_norm.weight", "attn.q_norm.bias", "attn.k_norm.weight", "attn.k_norm.bias"] {
                    visit(Block(i, name), &[self.head_dim()]);
                }
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
        if self.num_classes > 0 {
            visit(Top("head.weight"), &[self.num_classes, self.features()]);
            visit(Top("head.bias"), &[self.num_classes]);
        }
        if self.num_classes > 0 && self.distilled {
            visit(Top("head_dist.weight"), &[self.num_classes, e]);
            visit(Top("head_dist.bias"), &[self.num_classes]);
        }
    }

    /// The two rounds of tokens-to-token, if tokens are made by them.
    pub(crate) fn rounds(&self) -> Option<Rounds> {
        let Self { tokens, image_size, in_channels, .. } = *self;
        (tokens != Tokens::Patch).then_some(Rounds { tokens, image_size, in_channels })
    }

    /// The windows that become tokens: of the image, or of the map that tokens-to-token makes of it.
    pub(crate) fn embedding_windows(&self) -> Windows {
        match self.rounds() {
            Some(rounds) => rounds.windows()[2],
            None => Windows::patches(self.image_size, self.patch_size),
        }
    }

    /// Values of a window that becomes a token.
    pub(crate) fn embedding_inputs(&self) -> usize {
        self.embedding_windows().values(if self.tokens == Tokens::Patch { self.in_channels } else { T2T_WIDTH })
    }

    /// The names of the embedding's weight and bias.
    pub(crate) fn embedding_names(&self) -> [&'static str; 2] {
        match self.tokens {
            Tokens::Patch => ["patch_embed.proj.weight", "patch_embed.proj.bias"],
            _ => ["tokens_to_token.project.weight", "tokens_to_token.project.bias"],
        }
    }

    /// The name of the embedding's bias; timm leaves out one that would be added to patches just before a norm.
    pub(crate) fn embedding_bias(&self) -> Option<&'static str> {
        let [_, bias] = self.embedding_names();
        (!(self.pre_norm && self.tokens == Tokens::Patch)).then_some(bias)
    }

    /// The shape of the embedding's weight: a convolution's, or a linear layer's.
    pub(crate) fn embedding_shape(&self) -> EmbeddingShape {
        let (outputs, patch) = (self.channels(), self.patch_size);
        match self.tokens {
            Tokens::Patch => EmbeddingShape { sizes: [outputs, self.in_channels, patch, patch], len: 4 },
            _ => EmbeddingShape { sizes: [outputs, self.embedding_inputs(), 1, 1], len: 2 },
        }
    }

    /// The tensors of the tokens in front of the patches', with the number of tokens in each; in the tokens' order.
    pub(crate) fn prefix(&self) -> impl Iterator<Item = (&'static str, usize)> + use<> {
        let class = ("cls_token", usize::from(self.class_token));
        let distillation = ("dist_token", usize::from(self.distilled));
        [class, distillation, ("reg_token", self.register_tokens)].into_iter().filter(|(_, count)| *count > 0)
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
            _ => self.rounds().map_or(0, |rounds| rounds.macs_of(name, shape)),
        }
    }
}

/// The shape of a weight of two or four dimensions.
pub(crate) struct EmbeddingShape {
    sizes: [usize; 4],
    len: usize,
}

impl EmbeddingShape {
    pub(crate) fn as_slice(&self) -> &[usize] {
        &self.sizes[..self.len]
    }
}
