//! Outputs and intermediate outputs against a plain f64 reference, for every switch of a configuration.

mod common;

use std::convert::Infallible;

use common::reference::{self, Weights};
use common::{Seeded, configs, images, packed_from};
use vit::{
    Config, Intermediate, Level, Model, Pool, Rescale, RunOptions, Stages, SwinConfig, TensorName, Tensors, Tokens,
    VitConfig,
};

/// The crate's outputs of one image and its intermediate outputs.
fn found(config: &Config, packed: &[f32], level: Level, image: &[f32]) -> (Vec<f32>, Vec<Vec<f32>>) {
    let model = Model::new(config, packed).unwrap();
    let mut scratch = vec![f32::NAN; model.scratch_len(level)];
    let (mut outputs, mut intermediate) = (vec![f32::NAN; config.outputs()], Vec::new());
    let mut keep = |_, output: Intermediate| {
        let [tokens, channels] = output.shape();
        let mut values = vec![f32::NAN; tokens * channels];
        output.write(&mut values).unwrap();
        intermediate.push(values);
    };
    let options = RunOptions::new(level).intermediate_outputs(&mut keep);
    model.run(options, image, &mut outputs, &mut scratch).unwrap();
    (outputs, intermediate)
}

/// f32 keeps 7 digits, and a few hundred roundings may add up: a hundred-thousandth of the largest value, where a wrong
/// switch changes the first digits.
fn assert_close(found: &[f32], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1e-3, |max: f64, x| max.max(x.abs()));
    for (i, (x, y)) in found.iter().zip(expected).enumerate() {
        assert!((f64::from(*x) - y).abs() <= 1e-5 * largest, "{what}: value {i} is {x}, expected {y}");
    }
}

fn check(config: &Config) {
    check_with(config, &mut Seeded::new(), &images(config, 1));
}

fn check_with(config: &Config, source: &mut impl Tensors<Error = Infallible>, image: &[f32]) {
    let (weights, packed) = (Weights::new(config, source), packed_from(config, source));
    let (outputs, streams) = reference::run(config, &weights, image);
    for level in Level::available() {
        let (found, found_streams) = found(config, &packed, level, image);
        assert_close(&found, &outputs, &format!("{level}, outputs of {config:?}"));
        assert_eq!(found_streams.len(), streams.len());
        for (i, (found, expected)) in found_streams.iter().zip(&streams).enumerate() {
            assert_close(found, &expected.concat(), &format!("{level}, intermediate output {i} of {config:?}"));
        }
    }
}

/// Vanilla, and with the module and every rescaling.
const MODULES: [(bool, Rescale); 4] =
    [(false, Rescale::None), (true, Rescale::Half), (true, Rescale::Learned), (false, Rescale::Learned)];

#[test]
fn every_switch_of_a_plain_model() {
    let base = VitConfig {
        image_size: 12,
        patch_size: 3,
        in_channels: 2,
        num_classes: 5,
        dim: 12,
        depth: 3,
        heads: 3,
        mlp_ratio: 2.5,
        layer_norm_eps: 1e-3,
        ..VitConfig::default()
    };
    let registers = VitConfig { register_tokens: 3, ..base };
    let bare = VitConfig { class_token: false, pool: Pool::Avg, ..base };
    let switched = [
        base,
        VitConfig { qkv_bias: false, num_classes: 0, ..base },
        VitConfig { distilled: true, ..base },
        VitConfig { distilled: true, num_classes: 0, embed_class_token: false, ..registers },
        VitConfig { pool: Pool::Avg, ..base },
        VitConfig { pool: Pool::Avg, norm_after_pool: true, num_classes: 0, ..registers },
        VitConfig { pool: Pool::ClsAvg, ..registers },
        VitConfig { pool: Pool::ClsAvg, num_classes: 0, ..base },
        bare,
        VitConfig { register_tokens: 2, embed_registers: true, norm_after_pool: true, ..bare },
        registers,
        VitConfig { embed_registers: true, ..registers },
        VitConfig { embed_class_token: false, ..registers },
        VitConfig { embed_class_token: false, embed_registers: true, ..registers },
        VitConfig { pre_norm: true, ..base },
        VitConfig { qk_norm: true, ..base },
        VitConfig { qk_norm: true, pre_norm: true, qkv_bias: false, pool: Pool::ClsAvg, ..registers },
    ];
    for config in switched {
        for (shuffle, rescale) in MODULES {
            check(&Config::new(VitConfig { shuffle, rescale, ..config }).unwrap());
        }
    }
}

#[test]
fn windows_of_their_own_in_every_stage() {
    let stages = |values: &[usize]| Stages::new(values).unwrap();
    let base = SwinConfig {
        image_size: 24,
        patch_size: 2,
        in_channels: 1,
        num_classes: 4,
        dim: 6,
        depths: stages(&[2, 2, 1]),
        heads: stages(&[2, 3, 1]),
        mlp_ratio: 1.5,
        layer_norm_eps: 1e-3,
        ..SwinConfig::default()
    };
    // Maps of 12, 6 and 3: windows of the whole map, beyond it, and a shift of 1, 2 or 3.
    for window in [stages(&[3]), stages(&[3, 2, 3]), stages(&[4, 6, 1]), stages(&[12, 3, 7]), stages(&[6, 9, 3])] {
        for (shuffle, rescale) in MODULES {
            for num_classes in [0, 4] {
                check(&Config::new(SwinConfig { window, num_classes, shuffle, rescale, ..base }).unwrap());
            }
        }
    }
}

/// Values so small that the eps in the norms of tokens-to-token, which is not the blocks', decides what the norms give.
struct Faint(Seeded);

impl Tensors for Faint {
    type Error = Infallible;

    fn tensor(&mut self, name: TensorName, shape: &[usize]) -> Result<&[f32], Infallible> {
        let name_text = name.to_string();
        let faint = ["kqv", "attn.qkv", "proj."].iter().any(|layer| name_text.contains(layer));
        let factor = if name_text.starts_with("tokens_to_token.attention") && faint { 0.003 } else { 1.0 };
        self.0.tensor(name, shape)?;
        Ok(self.0.scale(factor))
    }
}

#[test]
fn both_kinds_of_tokens_to_token() {
    let base = VitConfig {
        image_size: 32,
        patch_size: 16,
        in_channels: 2,
        num_classes: 3,
        dim: 8,
        depth: 1,
        heads: 2,
        layer_norm_eps: 1e-3,
        ..VitConfig::default()
    };
    for tokens in [Tokens::T2tPerformer, Tokens::T2tTransformer] {
        for (shuffle, rescale) in MODULES {
            let config = Config::new(VitConfig { tokens, shuffle, rescale, ..base }).unwrap();
            check(&config);
            let faint: Vec<f32> = images(&config, 1).iter().map(|x| 0.003 * x).collect();
            check_with(&config, &mut Faint(Seeded::new()), &faint);
        }
    }
}

/// The models of the other tests: more tokens than a panel has, and panels of all kinds.
#[test]
fn models_of_several_panels() {
    configs().iter().for_each(check);
}
