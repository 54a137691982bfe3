//! What a model is: sizes and switches, checked once, and everything that follows from them by arithmetic.
//!
//! A [`Config`] is the generic description that a checkpoint carries (the `config` entry of its metadata) or that a
//! public model's name stands for ([`Config::named`]). Tensor names and shapes ([`Config::visit_tensors`]),
//! parameters and multiply-accumulates ([`Config::visit_layers`]) all derive from it.

mod error;
mod named;
mod swin;
mod switches;
mod t2t;
mod tensor;
mod vit;
mod windows;

pub use error::{ConfigError, MAX_DEPTH, MAX_SIZE};
pub use swin::{MAX_STAGES, Stages, SwinConfig};
#[cfg(feature = "swin")]
pub(crate) use swin::{Merging, Stage};
pub use switches::{Pool, Rescale, Tokens};
#[cfg(feature = "t2t")]
pub(crate) use t2t::{FEATURES, Rounds, T2T_WIDTH};
pub use tensor::{Layer, LayerName, TensorName};
pub use vit::VitConfig;
pub(crate) use windows::Windows;

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

impl Config {
    /// Checks every bound that a model's construction relies on.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let built_in = match self {
            Config::Vit(c) if c.tokens != Tokens::Patch => cfg!(feature = "t2t"),
            Config::Vit(_) => cfg!(feature = "plain"),
            Config::Swin(_) => cfg!(feature = "swin"),
        };
        if !built_in {
            return Err(self.not_built_in());
        }
        match self {
            Config::Vit(c) => c.validate(),
            Config::Swin(c) => c.validate(),
        }
    }

    /// What is wrong with a model whose family this build does not have.
    pub(crate) fn not_built_in(&self) -> ConfigError {
        let feature = match self {
            Config::Vit(c) if c.tokens != Tokens::Patch => "t2t",
            Config::Vit(_) => "plain",
            Config::Swin(_) => "swin",
        };
        ConfigError::NotBuiltIn { feature }
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
    ///
    /// ```
    /// let mut rows = 0;
    /// vit::Config::named("swin_tiny").unwrap().visit_layers(&mut |layer| {
    ///     if layer.name.to_string() == "layers.0.downsample.reduction" {
    ///         assert_eq!((layer.params, layer.macs), (4 * 96 * 2 * 96, 784 * 4 * 96 * 2 * 96));
    ///     }
    ///     rows += 1;
    /// });
    /// assert!(rows > 90);
    /// ```
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
    ///
    /// As everything that is computed from the sizes, only meaningful (and sure not to overflow) if [`Config::validate`]
    /// finds no fault.
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

    /// Classes, or 0 for a model without a head.
    pub fn num_classes(&self) -> usize {
        match self {
            Config::Vit(c) => c.num_classes,
            Config::Swin(c) => c.num_classes,
        }
    }

    /// Values that a run gives for each image: the logits, or without a head the pooled and normed features.
    ///
    /// ```
    /// use vit::{Config, VitConfig};
    /// let vit = VitConfig { dim: 384, depth: 12, heads: 6, ..VitConfig::default() };
    /// assert_eq!(Config::Vit(vit).outputs(), 1000);
    /// assert_eq!(Config::Vit(VitConfig { num_classes: 0, ..vit }).outputs(), 384);
    /// ```
    pub fn outputs(&self) -> usize {
        match self.num_classes() {
            0 => self.features(),
            classes => classes,
        }
    }

    /// Pooled features of an image, which the head reads.
    fn features(&self) -> usize {
        match self {
            Config::Vit(c) => c.features(),
            Config::Swin(c) => c.last().channels,
        }
    }

    /// How many intermediate outputs a run offers: one after each block, or after each stage.
    pub fn intermediate_outputs(&self) -> usize {
        match self {
            Config::Vit(c) => c.depth,
            Config::Swin(c) => c.depths.len(),
        }
    }

    /// Tokens and channels of intermediate output `i`.
    ///
    /// # Panics
    /// If there is no such output.
    pub fn intermediate_shape(&self, i: usize) -> [usize; 2] {
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
        let windows = SwinConfig { window: Stages::new(&[7, 7]).unwrap(), ..swin };
        assert!(Config::Swin(windows).validate().unwrap_err().to_string().contains("one for each stage"));
        assert!(Config::Swin(SwinConfig::default()).validate().is_err());
    }

    #[test]
    fn impossible_configurations_are_named() {
        let good = VitConfig { dim: 24, depth: 2, heads: 3, ..VitConfig::default() };
        assert_eq!(Config::Vit(good).validate(), Ok(()));
        let over = MAX_SIZE + 1;
        #[rustfmt::skip]
        let bad: [(VitConfig, &str); 30] = [
            (VitConfig { image_size: 0, ..good }, "image_size is 0"),
            (VitConfig { image_size: over, ..good }, "image_size is 1048577"),
            (VitConfig { patch_size: 0, ..good }, "patch_size is 0"),
            (VitConfig { patch_size: over, ..good }, "patch_size is"),
            (VitConfig { in_channels: 0, ..good }, "in_channels is 0"),
            (VitConfig { in_channels: over, ..good }, "in_channels is"),
            (VitConfig { register_tokens: over, ..good }, "register_tokens is 1048577, expected 0 to"),
            (VitConfig { num_classes: over, ..good }, "num_classes is"),
            (VitConfig { dim: 0, ..good }, "dim is 0"),
            (VitConfig { dim: over, heads: 1, ..good }, "dim is"),
            (VitConfig { depth: 0, ..good }, "depth is 0"),
            (VitConfig { depth: 1025, ..good }, "depth is 1025"),
            (VitConfig { heads: 0, ..good }, "heads is 0"),
            (VitConfig { heads: usize::MAX, ..good }, "heads is"),
            (VitConfig { heads: 5, ..good }, "heads 5 does not divide dim 24"),
            (VitConfig { patch_size: 15, ..good }, "patch_size 15 does not divide image_size 224"),
            (VitConfig { mlp_ratio: f64::NAN, ..good }, "mlp_ratio"),
            (VitConfig { mlp_ratio: f64::INFINITY, ..good }, "mlp_ratio"),
            (VitConfig { mlp_ratio: -1.0, ..good }, "mlp_ratio"),
            (VitConfig { mlp_ratio: 0.01, ..good }, "dim * mlp_ratio"),
            (VitConfig { layer_norm_eps: 0.0, ..good }, "layer_norm_eps"),
            (VitConfig { layer_norm_eps: 1e-60, ..good }, "layer_norm_eps"),
            (VitConfig { norm_after_pool: true, ..good }, "norm_after_pool"),
            (VitConfig { norm_after_pool: true, pool: Pool::ClsAvg, ..good }, "norm_after_pool"),
            (VitConfig { distilled: true, pool: Pool::Avg, ..good }, "distilled"),
            (VitConfig { distilled: true, pool: Pool::ClsAvg, ..good }, "distilled"),
            (VitConfig { class_token: false, ..good }, "set pool to avg"),
            (VitConfig { class_token: false, pool: Pool::ClsAvg, ..good }, "set pool to avg"),
            (VitConfig { patch_size: 8, tokens: Tokens::T2tPerformer, ..good }, "patch_size to 16"),
            (VitConfig { image_size: MAX_SIZE, patch_size: 1, in_channels: MAX_SIZE, ..good }, "overflows"),
        ];
        for (config, expected) in bad {
            let message = Config::Vit(config).validate().unwrap_err().to_string();
            assert!(message.contains(expected), "{message:?} lacks {expected:?}");
        }
    }

    /// A little less than 2^40 values are accepted, a little more are not: every factor of a product counts.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn more_values_than_the_bound_are_refused() {
        let large = |what| Err(ConfigError::TooLarge { what });
        let wide = VitConfig { dim: 1 << 18, depth: 1, heads: 1, ..VitConfig::default() };
        assert_eq!(Config::Vit(wide).validate(), Ok(()));
        assert_eq!(Config::Vit(VitConfig { depth: 2, ..wide }).validate(), large("the number of weights"));
        let long = VitConfig { image_size: 1024, patch_size: 1, dim: 1 << 16, ..wide };
        assert_eq!(Config::Vit(long).validate(), Ok(()));
        assert_eq!(Config::Vit(VitConfig { dim: 1 << 17, ..long }).validate(), large("the number of activations"));

        let attentive = VitConfig { image_size: 1 << 14, patch_size: 1, dim: 8, depth: 14, ..wide };
        assert_eq!(Config::Vit(attentive).validate(), Ok(()));
        let deep = VitConfig { depth: 15, ..attentive };
        assert_eq!(Config::Vit(deep).validate(), large("the number of multiply-accumulates"));

        let one = Stages::single(1);
        let wide = SwinConfig { dim: 1 << 17, depths: Stages::single(4), heads: one, ..SwinConfig::default() };
        assert_eq!(Config::Swin(wide).validate(), Ok(()));
        let deep = SwinConfig { depths: Stages::single(5), ..wide };
        assert_eq!(Config::Swin(deep).validate(), large("the number of weights"));
        let long = SwinConfig { image_size: 1 << 10, patch_size: 1, dim: 1 << 16, window: one, ..wide };
        assert_eq!(Config::Swin(long).validate(), Ok(()));
        let longer = SwinConfig { dim: 1 << 17, ..long };
        assert_eq!(Config::Swin(longer).validate(), large("the number of activations"));
        let attentive =
            SwinConfig { image_size: 1 << 10, patch_size: 1, window: Stages::single(1 << 10), dim: 1, ..wide };
        assert_eq!(Config::Swin(attentive).validate(), large("the number of weights"), "biases count");
    }

    #[test]
    fn the_nearest_sizes_that_windows_cover_are_named() {
        let nearest = |image_size, patch_size, depths: &[usize], window: &[usize]| {
            let ones = Stages::new(&depths.iter().map(|_| 1).collect::<Vec<_>>()).unwrap();
            let (depths, window) = (Stages::new(depths).unwrap(), Stages::new(window).unwrap());
            let config =
                SwinConfig { image_size, patch_size, dim: 1, depths, heads: ones, window, ..SwinConfig::default() };
            match Config::Swin(config).validate() {
                Err(ConfigError::Windows { window, below, above, .. }) => Some((window, below, above)),
                result => result.map(|()| None).unwrap(),
            }
        };
        assert_eq!(nearest(256, 4, &[2, 2, 6, 2], &[7]), Some((7, 224, 448)));
        assert_eq!(nearest(224, 4, &[2, 2, 6, 2], &[7]), None);
        // Up to its window a map is one window.
        assert_eq!([1, 2, 3, 6].map(|size| nearest(size, 1, &[1], &[3])), [None; 4]);
        assert_eq!(nearest(4, 1, &[1], &[3]), Some((3, 3, 6)));
        assert_eq!(nearest(5, 1, &[1], &[3]), Some((3, 3, 6)));
        assert_eq!(nearest(7, 1, &[1], &[3]), Some((3, 6, 9)));
        // The first stage that does not fit is named, and sizes that fit all.
        assert_eq!(nearest(20, 1, &[1, 1], &[5, 4]), Some((4, 4, 40)));
        assert_eq!(nearest(1, 1, &[1, 1], &[1]), Some((1, 0, 2)));
        let half = MAX_SIZE / 2;
        assert_eq!(nearest(MAX_SIZE, 1, &[1], &[half + 1]), Some((half + 1, half + 1, 0)));
    }

    /// What validation lets through can be counted: in debug builds an overflow would panic here.
    #[test]
    fn the_largest_configurations_can_be_counted() {
        let vit = VitConfig {
            patch_size: 1,
            in_channels: 1,
            dim: 1,
            depth: 1,
            heads: 1,
            mlp_ratio: 1.0,
            num_classes: 1,
            ..VitConfig::default()
        };
        let swin = SwinConfig {
            patch_size: 1,
            in_channels: 1,
            dim: 1,
            num_classes: 1,
            window: Stages::single(1),
            depths: Stages::new(&[1]).unwrap(),
            heads: Stages::new(&[1]).unwrap(),
            ..SwinConfig::default()
        };
        let mut counted = 0;
        for size in (4..=20).map(|bits| 1 << bits) {
            let t2t = |tokens| VitConfig { image_size: size, patch_size: 16, tokens, ..vit };
            for config in [
                Config::Vit(VitConfig { image_size: size, ..vit }),
                Config::Vit(t2t(Tokens::T2tPerformer)),
                Config::Vit(t2t(Tokens::T2tTransformer)),
                Config::Swin(SwinConfig { image_size: size, ..swin }),
                Config::Swin(SwinConfig { image_size: size, window: Stages::single(size), ..swin }),
            ] {
                if config.validate().is_ok() {
                    counted += usize::from(config.macs() > 0 && config.params() > 0);
                }
            }
        }
        assert!(counted > 30, "{counted} configurations were accepted");
    }
}
