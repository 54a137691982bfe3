//! Small models with seeded weights, shared by the integration tests.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod reference;

use std::convert::Infallible;

use vit::{
    Config, Level, Model, Pool, Rescale, Stages, SwinConfig, TensorName, Tensors, Tokens, VitConfig, pack, packed_len,
};

/// Seeded values of a size that keeps activations realistic, different for every tensor.
pub struct Seeded(Vec<f32>);

impl Seeded {
    pub fn new() -> Self {
        Seeded(Vec::new())
    }

    /// Multiplies the last tensor's values.
    pub fn scale(&mut self, factor: f32) -> &[f32] {
        self.0.iter_mut().for_each(|x| *x *= factor);
        &self.0
    }
}

impl Tensors for Seeded {
    type Error = Infallible;

    fn tensor(&mut self, name: TensorName, shape: &[usize]) -> Result<&[f32], Infallible> {
        let name = name.to_string();
        let mut state = name.bytes().fold(7_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        let fan_in = shape[1..].iter().product::<usize>().max(1) as f32;
        let (center, spread) =
            if name.contains("norm") || shape == [1] { (1.0, 0.3) } else { (0.0, 2.0 / fan_in.sqrt()) };
        self.0.clear();
        self.0.extend((0..shape.iter().product()).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            center + spread * ((state >> 8) as f32 / (1 << 23) as f32 - 1.0)
        }));
        Ok(&self.0)
    }
}

/// Models that cross every panel border: 26, 65 and 197 tokens, all switches.
pub fn configs() -> Vec<Config> {
    let base = VitConfig {
        image_size: 40,
        patch_size: 8,
        num_classes: 7,
        in_channels: 1,
        dim: 24,
        depth: 3,
        heads: 3,
        ..VitConfig::default()
    };
    let shuffled = VitConfig { shuffle: true, rescale: Rescale::Learned, ..base };
    let configs = [
        base,
        shuffled,
        VitConfig { rescale: Rescale::Half, distilled: true, ..shuffled },
        VitConfig { image_size: 32, patch_size: 4, in_channels: 3, mlp_ratio: 2.5, qkv_bias: false, ..shuffled },
        VitConfig { image_size: 42, patch_size: 3, pool: Pool::Avg, depth: 2, ..shuffled },
        VitConfig { image_size: 42, patch_size: 3, pool: Pool::Avg, norm_after_pool: true, depth: 2, ..base },
        VitConfig { image_size: 4, patch_size: 4, dim: 1, heads: 1, depth: 1, num_classes: 1, ..shuffled },
        VitConfig { register_tokens: 4, pre_norm: true, qk_norm: true, ..shuffled },
        VitConfig { register_tokens: 1, embed_registers: true, pool: Pool::ClsAvg, num_classes: 0, ..shuffled },
        VitConfig { class_token: false, pool: Pool::Avg, qk_norm: true, num_classes: 0, ..base },
        VitConfig { distilled: true, embed_class_token: false, register_tokens: 5, num_classes: 0, ..shuffled },
    ];
    let t2t = VitConfig {
        image_size: 64,
        patch_size: 16,
        in_channels: 3,
        mlp_ratio: 2.0,
        tokens: Tokens::T2tPerformer,
        qkv_bias: false,
        depth: 2,
        ..shuffled
    };
    let t2ts = [t2t, VitConfig { tokens: Tokens::T2tTransformer, shuffle: false, image_size: 32, ..t2t }];
    let swin = SwinConfig {
        image_size: 56,
        in_channels: 1,
        num_classes: 5,
        dim: 8,
        depths: Stages::new(&[2, 2]).unwrap(),
        heads: Stages::new(&[2, 4]).unwrap(),
        ..SwinConfig::default()
    };
    let shuffled = SwinConfig { shuffle: true, rescale: Rescale::Learned, ..swin };
    let three = Stages::new(&[1, 3, 2]).unwrap();
    let swins = [
        swin,
        shuffled,
        SwinConfig { image_size: 96, window: Stages::single(3), in_channels: 3, rescale: Rescale::Half, ..shuffled },
        SwinConfig { image_size: 48, window: Stages::new(&[4, 3]).unwrap(), num_classes: 0, ..shuffled },
        SwinConfig {
            image_size: 32,
            window: Stages::single(4),
            depths: three,
            heads: Stages::new(&[1, 2, 1]).unwrap(),
            ..shuffled
        },
    ];
    let plain = configs.into_iter().chain(t2ts).map(|config| Config::new(config).unwrap());
    plain.chain(swins.map(|config| Config::new(config).unwrap())).collect()
}

/// The packed weights of a model.
pub fn packed(config: &Config) -> Vec<f32> {
    packed_from(config, &mut Seeded::new())
}

/// The packed weights of a model with a source's values.
pub fn packed_from(config: &Config, source: &mut impl Tensors<Error = Infallible>) -> Vec<f32> {
    let mut buffer = vec![f32::NAN; packed_len(config)];
    pack(config, source, &mut buffer).unwrap();
    buffer
}

/// A batch of images that differ from each other.
pub fn images(config: &Config, batch: usize) -> Vec<f32> {
    (0..batch * config.image_len()).map(|i| (i % 251) as f32 / 125.0 - 1.0 + (i / config.image_len()) as f32).collect()
}

/// The logits of a batch, with scratch full of NaN so that a read before a write shows.
pub fn logits(model: &Model, level: Level, images: &[f32]) -> Vec<f32> {
    let batch = images.len() / model.config().image_len();
    let mut logits = vec![f32::NAN; batch * model.config().outputs()];
    model.run(level, images, &mut logits, &mut vec![f32::NAN; model.scratch_len(level)]).unwrap();
    logits
}

pub fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// The levels of this CPU with fused multiply-add. `KERNELS_REQUIRE=avx2,avx512` makes a missing one fail.
pub fn fused_levels() -> Vec<Level> {
    for name in std::env::var("KERNELS_REQUIRE").unwrap_or_default().split(',').filter(|name| !name.is_empty()) {
        assert!(name.parse::<Level>().is_ok(), "KERNELS_REQUIRE: this CPU lacks {name}");
    }
    Level::available().filter(|&level| level != Level::PORTABLE).collect()
}
