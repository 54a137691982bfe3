//! The configuration of a hierarchical model: Swin.

use core::ops::Deref;

use super::error::{ConfigError, MAX_DEPTH, MAX_SIZE};
use super::error::{check_counts, check_macs, check_positive, check_product, check_sizes};
use super::switches::Rescale;
use super::tensor::TensorName;

/// The most stages a hierarchical model has.
///
/// ```
/// assert!(vit::Stages::new(&[2; vit::MAX_STAGES]).is_some() && vit::Stages::new(&[2; vit::MAX_STAGES + 1]).is_none());
/// ```
pub const MAX_STAGES: usize = 8;

/// One number for each stage: blocks, heads, or windows.
///
/// ```
/// let depths = vit::Stages::new(&[2, 2, 5, 2]).unwrap();
/// assert_eq!(depths[2], 5);
/// assert!(vit::Stages::new(&[]).is_none(), "at least one stage, at most 8");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stages {
    values: [usize; MAX_STAGES],
    len: usize,
}

impl Stages {
    /// The numbers of 1 to [`MAX_STAGES`] stages.
    ///
    /// ```
    /// let depths = vit::Stages::new(&[2, 2, 6, 2]).unwrap();
    /// assert_eq!(depths[2], 6);
    /// ```
    pub fn new(values: &[usize]) -> Option<Self> {
        let len = values.len();
        if len == 0 || len > MAX_STAGES {
            return None;
        }
        let mut stages = Stages { len, ..Stages::default() };
        stages.values[..len].copy_from_slice(values);
        Some(stages)
    }

    /// One number, which [`SwinConfig::window`] takes to be that of every stage.
    ///
    /// ```
    /// assert_eq!(vit::SwinConfig::default().window, vit::Stages::single(7));
    /// ```
    pub const fn single(value: usize) -> Self {
        let mut values = [0; MAX_STAGES];
        values[0] = value;
        Stages { values, len: 1 }
    }
}

impl Deref for Stages {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.values[..self.len]
    }
}

/// A Swin transformer (Liu et al. 2021), with or without the channel-shuffle module (arXiv 2310.05642).
///
/// [`SwinConfig::default`] holds the defaults of a checkpoint's `config` entry; `dim`, `depths` and `heads` have none, and
/// [`Config::new`](super::Config::new) refuses them empty.
///
/// ```
/// let vit::Family::Swin(tiny) = *vit::Config::named("swin_tiny").unwrap().family() else { panic!() };
/// let smaller = vit::SwinConfig { num_classes: 10, ..tiny };
/// assert_eq!(vit::Config::new(smaller)?.outputs(), 10);
/// # Ok::<(), vit::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SwinConfig {
    /// Height and width of the square input, in pixels.
    pub image_size: usize,
    /// Height and width of a patch, in pixels; divides `image_size`.
    pub patch_size: usize,
    /// Planes of the input: 3 for RGB, 1 for grey.
    pub in_channels: usize,
    /// Logits per image. With 0 there is no head: a run gives the mean of the normed tokens.
    pub num_classes: usize,
    /// Channels that the first stage's layers attend on; doubling from stage to stage. With the module the stream is twice
    /// as wide.
    pub dim: usize,
    /// Transformer blocks of each stage.
    pub depths: Stages,
    /// Attention heads of each stage; each divides the stage's channels.
    pub heads: Stages,
    /// Height and width of the attention windows, in tokens: one number for each stage, or a single one for all. Where a
    /// stage's map is no larger, its window is the map.
    pub window: Stages,
    /// Hidden channels of the MLP are `floor(channels * mlp_ratio)`.
    pub mlp_ratio: f64,
    /// Whether the query, key and value projection has a bias.
    pub qkv_bias: bool,
    /// Added to the variance by every layer norm.
    pub layer_norm_eps: f64,
    /// Whether the channel-shuffle module is plugged in.
    pub shuffle: bool,
    /// How residual branches are rescaled.
    pub rescale: Rescale,
}

impl Default for SwinConfig {
    fn default() -> Self {
        SwinConfig {
            image_size: 224,
            patch_size: 4,
            in_channels: 3,
            num_classes: 1000,
            dim: 0,
            depths: Stages::default(),
            heads: Stages::default(),
            window: Stages::single(7),
            mlp_ratio: 4.0,
            qkv_bias: true,
            layer_norm_eps: 1e-5,
            shuffle: false,
            rescale: Rescale::None,
        }
    }
}

/// The sizes of one stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stage {
    /// Channels that layers attend on.
    pub dim: usize,
    /// Channels of the stream.
    pub channels: usize,
    pub heads: usize,
    pub hidden: usize,
    pub depth: usize,
    /// Height and width of the map, in tokens.
    pub side: usize,
    /// Height and width of a window: the configured one, or the map's where that is no larger.
    pub window: usize,
}

impl Stage {
    /// Tokens of the map.
    pub(crate) fn tokens(&self) -> usize {
        self.side * self.side
    }

    /// Whether windows are fewer than the whole map, so that odd blocks shift them.
    pub(crate) fn shift(&self, block: usize) -> usize {
        if self.window < self.side && block % 2 == 1 { self.window / 2 } else { 0 }
    }
}

impl SwinConfig {
    /// The sizes of stage `s`.
    pub(crate) fn stage(&self, s: usize) -> Stage {
        let dim = self.dim << s;
        let side = (self.image_size / self.patch_size) >> s;
        Stage {
            dim,
            channels: if self.shuffle { 2 * dim } else { dim },
            heads: self.heads[s],
            hidden: libm::floor(dim as f64 * self.mlp_ratio) as usize,
            depth: self.depths[s],
            side,
            window: self.window_at(s).min(side),
        }
    }

    /// The configured window of stage `s`, from 0.
    ///
    /// # Panics
    /// If there is no such stage.
    ///
    /// ```
    /// let vit::Family::Swin(tiny) = *vit::Config::named("swin_tiny").unwrap().family() else { panic!() };
    /// assert_eq!(tiny.window_at(3), 7);
    /// ```
    pub fn window_at(&self, s: usize) -> usize {
        if self.window.len() == 1 { self.window[0] } else { self.window[s] }
    }

    /// The sizes of all stages.
    pub(crate) fn stages(&self) -> impl DoubleEndedIterator<Item = Stage> + ExactSizeIterator + '_ {
        (0..self.depths.len()).map(|s| self.stage(s))
    }

    /// The last stage.
    pub(crate) fn last(&self) -> Stage {
        self.stage(self.depths.len() - 1)
    }

    /// Values of one patch.
    pub(crate) fn patch_values(&self) -> usize {
        self.in_channels * self.patch_size * self.patch_size
    }

    /// Whether windows cover the maps of all stages that an image of `side` patches goes through.
    fn fits(&self, side: usize) -> bool {
        self.first_misfit(side).is_none()
    }

    /// The first stage whose map windows do not cover, for an image of `side` patches.
    fn first_misfit(&self, side: usize) -> Option<usize> {
        (0..self.depths.len()).find(|&s| {
            let (map, window) = (side >> s, self.window_at(s));
            let whole = map << s == side;
            map == 0 || !whole || (map > window && !map.is_multiple_of(window))
        })
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        if self.depths.is_empty() || self.depths.len() != self.heads.len() {
            return Err(ConfigError::Stages { depths: self.depths.len(), heads: self.heads.len(), max: MAX_STAGES });
        }
        if self.window.len() != 1 && self.window.len() != self.depths.len() {
            return Err(ConfigError::StageWindows { depths: self.depths.len(), windows: self.window.len() });
        }
        check_sizes(&[
            ("image_size", self.image_size, MAX_SIZE),
            ("patch_size", self.patch_size, MAX_SIZE),
            ("in_channels", self.in_channels, MAX_SIZE),
            ("dim", self.dim, MAX_SIZE >> self.depths.len()),
        ])?;
        check_counts(&[("num_classes", self.num_classes)])?;
        for &window in &*self.window {
            check_sizes(&[("window", window, MAX_SIZE)])?;
        }
        for (&depth, &heads) in self.depths.iter().zip(&*self.heads) {
            check_sizes(&[("depths", depth, MAX_DEPTH), ("heads", heads, MAX_SIZE)])?;
        }
        check_positive(self.mlp_ratio, self.layer_norm_eps)?;
        let not_divisible =
            |key, value, divisor_key, divisor| ConfigError::NotDivisible { key, value, divisor_key, divisor };
        if !self.image_size.is_multiple_of(self.patch_size) {
            return Err(not_divisible("image_size", self.image_size, "patch_size", self.patch_size));
        }
        for stage in self.stages() {
            if !stage.dim.is_multiple_of(stage.heads) {
                return Err(not_divisible("a stage's dim", stage.dim, "heads", stage.heads));
            }
            check_sizes(&[("dim * mlp_ratio", stage.hidden, MAX_SIZE)])?;
        }
        self.check_windows()?;
        self.check_products()
    }

    fn check_windows(&self) -> Result<(), ConfigError> {
        let side = self.image_size / self.patch_size;
        let Some(misfit) = self.first_misfit(side) else { return Ok(()) };
        let size = |side: usize| side * self.patch_size;
        let largest = MAX_SIZE / self.patch_size;
        Err(ConfigError::Windows {
            image_size: self.image_size,
            window: self.window_at(misfit),
            below: (1..side).rev().find(|&side| self.fits(side)).map_or(0, size),
            above: (side + 1..=largest).find(|&side| self.fits(side)).map_or(0, size),
        })
    }

    fn check_products(&self) -> Result<(), ConfigError> {
        let wide = |x: usize| x as u128;
        let (mut weights, mut activations) = (0, wide(self.in_channels) * wide(self.image_size).pow(2));
        weights += wide(self.stage(0).channels) * wide(self.in_channels) * wide(self.patch_size).pow(2);
        weights += wide(self.num_classes) * wide(self.last().channels);
        for stage in self.stages() {
            let (dim, hidden, channels) = (wide(stage.dim), wide(stage.hidden), wide(stage.channels));
            let bias = wide(stage.heads) * wide(stage.window).pow(4);
            weights += wide(stage.depth) * (dim * (4 * dim + 2 * hidden) + bias) + 8 * channels * channels;
            activations += wide(stage.side).pow(2) * (5 * channels + 4 * dim + hidden) + wide(stage.window).pow(4);
        }
        check_product("the number of weights", weights)?;
        check_product("the number of activations", activations)?;
        let tokens = wide(self.stage(0).side).pow(2);
        let attention =
            self.stages().map(|stage| 2 * wide(stage.depth) * tokens * wide(stage.window).pow(2) * wide(stage.dim));
        check_macs(weights, tokens, attention.sum())
    }

    pub(super) fn visit_tensors(&self, visit: &mut dyn FnMut(TensorName, &[usize])) {
        use TensorName::{Stage as At, Top};
        let (first, p) = (self.stage(0), self.patch_size);
        visit(Top("patch_embed.proj.weight"), &[first.channels, self.in_channels, p, p]);
        visit(Top("patch_embed.proj.bias"), &[first.channels]);
        visit(Top("patch_embed.norm.weight"), &[first.channels]);
        visit(Top("patch_embed.norm.bias"), &[first.channels]);
        for (s, stage) in self.stages().enumerate() {
            for i in 0..stage.depth {
                self.visit_block(s, i, &stage, visit);
            }
            if s + 1 < self.depths.len() {
                let merged = 4 * stage.dim;
                for [norm, norm_bias, reduction] in Merging::names(self.shuffle) {
                    visit(At(s, norm), &[merged]);
                    visit(At(s, norm_bias), &[merged]);
                    visit(At(s, reduction), &[merged / 2, merged]);
                }
            }
        }
        let channels = self.last().channels;
        visit(Top("norm.weight"), &[channels]);
        visit(Top("norm.bias"), &[channels]);
        if self.num_classes > 0 {
            visit(Top("head.weight"), &[self.num_classes, channels]);
            visit(Top("head.bias"), &[self.num_classes]);
        }
    }

    fn visit_block(&self, s: usize, i: usize, stage: &Stage, visit: &mut dyn FnMut(TensorName, &[usize])) {
        let &Stage { dim, hidden, heads, window, .. } = stage;
        let mut visit = |suffix, shape: &[usize]| visit(TensorName::StageBlock(s, i, suffix), shape);
        if self.rescale == Rescale::Learned {
            visit("alpha", &[1]);
            visit("beta", &[1]);
        }
        visit("norm1.weight", &[dim]);
        visit("norm1.bias", &[dim]);
        visit("attn.relative_position_bias_table", &[(2 * window - 1) * (2 * window - 1), heads]);
        visit("attn.qkv.weight", &[3 * dim, dim]);
        if self.qkv_bias {
            visit("attn.qkv.bias", &[3 * dim]);
        }
        visit("attn.proj.weight", &[dim, dim]);
        visit("attn.proj.bias", &[dim]);
        visit("norm2.weight", &[dim]);
        visit("norm2.bias", &[dim]);
        visit("mlp.fc1.weight", &[hidden, dim]);
        visit("mlp.fc1.bias", &[hidden]);
        visit("mlp.fc2.weight", &[dim, hidden]);
        visit("mlp.fc2.bias", &[dim]);
    }

    /// Multiply-accumulates of the matrix products that a weight takes part in, for one image.
    pub(super) fn macs_of(&self, name: TensorName, shape: &[usize]) -> u64 {
        let values: u64 = shape.iter().map(|&x| x as u64).product();
        match name {
            TensorName::Top("patch_embed.proj.weight") => values * self.stage(0).tokens() as u64,
            TensorName::Top("head.weight") => values,
            TensorName::Stage(s, _) if shape.len() == 2 => values * self.stage(s + 1).tokens() as u64,
            TensorName::StageBlock(s, _, suffix) => {
                let stage = self.stage(s);
                let tokens = stage.tokens() as u64;
                let attention = 2 * tokens * (stage.window * stage.window * stage.dim) as u64;
                match suffix {
                    "attn.qkv.weight" => values * tokens + attention,
                    "attn.proj.weight" | "mlp.fc1.weight" | "mlp.fc2.weight" => values * tokens,
                    _ => 0,
                }
            }
            _ => 0,
        }
    }
}

/// The names of a patch merging's tensors.
pub(crate) struct Merging;

impl Merging {
    /// Norm's gain and offset and the reduction: once for all channels, or once for each half.
    pub(crate) fn names(shuffle: bool) -> &'static [[&'static str; 3]] {
        const WHOLE: [[&str; 3]; 1] =
            [["downsample.norm.weight", "downsample.norm.bias", "downsample.reduction.weight"]];
        const HALVES: [[&str; 3]; 2] = [
            ["downsample.norm_1.weight", "downsample.norm_1.bias", "downsample.reduction_1.weight"],
            ["downsample.norm_2.weight", "downsample.norm_2.bias", "downsample.reduction_2.weight"],
        ];
        if shuffle { &HALVES } else { &WHOLE }
    }
}
