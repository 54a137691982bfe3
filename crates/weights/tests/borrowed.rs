//! Packed files without the standard library's help: what is lent, what is refused.
#![cfg(target_endian = "little")] // elsewhere nothing can be lent

mod common;

use common::{aligned, edited, levels, packed, small, small_swin, small_t2t};
use proptest::prelude::*;
use serde_json::{Value, json};
use vit::{Config, ConfigError, PACKED_VERSION, Pool, Rescale, Stages, SwinConfig, Tokens, VitConfig};
use weights::{Description, LoadedModel, Loader, PackedError, PackedFile, Random};

fn good() -> Vec<u8> {
    packed(Config::new(small()).unwrap())
}

/// Configurations that set every key.
fn models() -> Vec<Config> {
    let plain = VitConfig { shuffle: false, rescale: Rescale::None, ..small() };
    vec![
        Config::new(small()).unwrap(),
        Config::new(VitConfig { distilled: true, rescale: Rescale::Half, ..small() }).unwrap(),
        Config::new(VitConfig { class_token: false, pool: Pool::Avg, norm_after_pool: true, ..plain }).unwrap(),
        Config::new(VitConfig { register_tokens: 2, embed_registers: true, qk_norm: true, ..plain }).unwrap(),
        Config::new(VitConfig { embed_class_token: false, pool: Pool::ClsAvg, qkv_bias: false, ..plain }).unwrap(),
        Config::new(VitConfig { pre_norm: true, num_classes: 0, layer_norm_eps: 1e-5, mlp_ratio: 2.5, ..plain })
            .unwrap(),
        Config::new(small_t2t(Tokens::T2tPerformer)).unwrap(),
        Config::new(small_t2t(Tokens::T2tTransformer)).unwrap(),
        Config::new(small_swin()).unwrap(),
        Config::new(SwinConfig {
            window: Stages::new(&[3, 1]).unwrap(),
            shuffle: false,
            rescale: Rescale::None,
            ..small_swin()
        })
        .unwrap(),
    ]
}

#[test]
fn what_is_lent_is_what_is_loaded() {
    for config in models() {
        let bytes = aligned(&packed(config), 0);
        let file = PackedFile::new(&bytes).unwrap();
        assert_eq!(file.config(), &config);
        file.verify().unwrap();
        assert!(bytes.as_ptr_range().contains(&file.weights().as_ptr().cast()), "the weights are in the bytes");
        let loaded = Loader::new().from_bytes(&bytes).unwrap();
        let image: Vec<f32> = (0..config.image_len()).map(|i| (i % 251) as f32 / 125.0 - 1.0).collect();
        for level in levels().into_iter() {
            let [ours, theirs] = [file.model(), loaded.model()].map(|model| {
                let mut logits = vec![f32::NAN; config.outputs()];
                model.run(level, &image, &mut logits, &mut vec![f32::NAN; model.scratch_len(level)]).unwrap();
                logits
            });
            assert!(ours.iter().all(|x| x.is_finite()));
            assert_eq!(ours, theirs);
        }
    }
    for name in Config::names() {
        // Without their values, which only the number is asked of.
        let config = Config::named(name).unwrap();
        let text = Description::new(config).to_json();
        let bytes = with(&text);
        let Err(PackedError::Length { expected, found: 0 }) = PackedFile::new(&bytes).map(drop) else {
            panic!("{name}")
        };
        assert_eq!(expected, vit::packed_len(&config), "{name}");
    }
}

/// A file of no values with that description.
fn with(description: &str) -> Vec<u8> {
    edited(&good(), 0, |header, data| {
        header["__metadata__"]["config"] = description.into();
        header["packed"] = json!({"dtype": "F32", "shape": [0], "data_offsets": [0, 0]});
        data.clear();
    })
}

#[test]
fn labels_and_preparation_are_lent_too() {
    let mut description = Description::new(Config::new(VitConfig { in_channels: 3, ..small() }).unwrap());
    let labels = ["tench, Tinca tinca", "\"é\"\\\n\u{1F600}"];
    description.labels = vec![Some(labels[0].into()), None, Some(labels[1].into())];
    description.preparation.mean = vec![0.485, 0.456, 0.1];
    description.preparation.std = vec![1e-7, 2.0, 3.0];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let random = &mut Random::new(1);
    weights::save_packed(&path, &LoadedModel::from_tensors(description, random).unwrap()).unwrap();
    let bytes = aligned(&std::fs::read(path).unwrap(), 0);
    let file = PackedFile::new(&bytes).unwrap();
    file.verify().unwrap();
    let label = |class| file.label(class).map(|label| label.to_string());
    assert_eq!([label(0), label(1), label(2), label(3)], [Some(labels[0].into()), None, Some(labels[1].into()), None]);
    assert_eq!([0, 1, 2, 3].map(|channel| file.mean(channel)), [Some(0.485), Some(0.456), Some(0.1), None]);
    assert_eq!([0, 1, 2, 3].map(|channel| file.std(channel)), [Some(1e-7), Some(2.0), Some(3.0), None]);
    let unlabelled = aligned(&good(), 0);
    assert!(PackedFile::new(&unlabelled).unwrap().label(0).is_none());
}

#[test]
fn bytes_that_are_not_aligned_are_refused_with_how_far_they_are_off() {
    let bytes = good();
    for shift in 0..8 {
        let shifted = aligned(&bytes, shift);
        match PackedFile::new(&shifted) {
            Ok(_) => assert_eq!(shift % 4, 0),
            Err(error) => {
                assert_eq!(error, PackedError::Misaligned { beyond: shift % 4, alignment: 4 });
                assert!(error.to_string().contains(&format!("begins {} bytes beyond a multiple of 4", shift % 4)));
            }
        }
    }
}

#[test]
fn what_cannot_be_used_is_refused() {
    let bytes = good();
    let edit = |change: &dyn Fn(&mut Value, &mut Vec<u8>)| {
        let bytes = aligned(&edited(&bytes, 0, |header, data| change(header, data)), 0);
        PackedFile::new(&bytes).map(drop).unwrap_err()
    };
    let config = |from: &str, to: &str| {
        edit(&|header, _| {
            let text = header["__metadata__"]["config"].as_str().unwrap();
            assert!(text.contains(from), "{text}");
            header["__metadata__"]["config"] = text.replace(from, to).into();
        })
    };
    let malformed = |error: PackedError| matches!(error, PackedError::Malformed { .. });
    for (from, to) in [
        ("\"vit\"", "\"vit2\""),
        ("\"arch\"", "\"arc\""),
        ("\"dim\":4", "\"dim\":-4"),
        ("\"dim\":4", "\"dim\":4.5"),
        ("\"dim\":4", "\"dim\":99999999"),
        ("\"mlp_ratio\":2.0", "\"mlp_ratio\":1e999"),
        ("\"shuffle\":true", "\"shuffle\":1"),
        ("\"learned\"", "\"earned\""),
        ("}", ""),
        ("}", "}}"),
    ] {
        assert!(malformed(config(from, to)), "{to}");
    }
    assert!(matches!(config("\"heads\":2", "\"heads\":3"), PackedError::Config(ConfigError::NotDivisible { .. })));
    assert!(matches!(config("\"depth\":1,", ""), PackedError::Config(ConfigError::OutOfRange { .. })));
    assert!(matches!(config("\"dim\":4", "\"dim\":8"), PackedError::Length { .. }));
    let version = |version: &str| edit(&|header, _| header["__metadata__"]["packed"] = version.into());
    let newer = PACKED_VERSION + 1;
    assert_eq!(version(&newer.to_string()), PackedError::Version { expected: PACKED_VERSION, found: newer });
    assert!(malformed(version("one")) && malformed(version("")));
    for entry in ["config", "packed", "checksum"] {
        assert!(malformed(edit(&|header, _| drop(header["__metadata__"].as_object_mut().unwrap().remove(entry)))));
    }
    assert!(malformed(edit(&|header, _| header["packed"]["dtype"] = "F16".into())));
    assert!(malformed(edit(&|header, _| header["packed"]["shape"] = json!([]))));
    assert!(malformed(edit(&|header, _| header["packed"]["shape"] = json!([u64::MAX]))));
    assert!(malformed(edit(&|header, _| header["packed"]["data_offsets"][0] = json!(4))));
    assert!(malformed(edit(&|header, _| header["another"] = header["packed"].clone())));
    assert!(malformed(edit(&|_, data| data.push(0))));
    for len in 0..bytes.len() {
        assert!(PackedFile::new(&aligned(&bytes[..len], 0)).is_err(), "{len} of {} bytes", bytes.len());
    }
    assert!(malformed(PackedFile::new(&[255; 64]).map(drop).unwrap_err()));
}

#[test]
fn damage_is_found_when_it_is_looked_for() {
    let verify = |change: &dyn Fn(&mut Value, &mut Vec<u8>)| {
        let bytes = aligned(&edited(&good(), 0, |header, data| change(header, data)), 0);
        PackedFile::new(&bytes).unwrap().verify()
    };
    assert_eq!(verify(&|_, _| {}), Ok(()));
    assert_eq!(verify(&|_, data| data[0] ^= 1), Err(PackedError::Checksum));
    let renamed = |header: &mut Value, _: &mut Vec<u8>| {
        let text = header["__metadata__"]["config"].as_str().unwrap().replace("1e-6", "1e-5");
        header["__metadata__"]["config"] = text.into();
    };
    assert_eq!(verify(&renamed), Err(PackedError::Checksum));
    // With a checksum that is right.
    let text = Description::new(Config::new(small()).unwrap()).to_json();
    let infinite = |header: &mut Value, data: &mut Vec<u8>| {
        data[..4].copy_from_slice(&f32::INFINITY.to_le_bytes());
        header["__metadata__"]["config"] = text.as_str().into();
        let checksum = crc32fast::hash(&[text.as_bytes(), data].concat());
        header["__metadata__"]["checksum"] = format!("crc32:{checksum:08x}").into();
    };
    assert_eq!(verify(&infinite), Err(PackedError::NotFinite));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever the bytes are: no panic, and what loads with the standard library's help is lent the same.
    #[test]
    fn any_few_bytes_changed(
        model in 0..10usize,
        changes in prop::collection::vec((0..900usize, any::<u8>()), 1..4),
    ) {
        let mut bytes = packed(models()[model]);
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        let bytes = aligned(&bytes, 0);
        let lent = PackedFile::new(&bytes);
        if let Ok(loaded) = Loader::new().from_bytes(&bytes) {
            let lent = lent.unwrap();
            prop_assert_eq!(lent.config(), &loaded.description().config);
            prop_assert_eq!(lent.verify().is_ok(), loaded.verify().is_ok());
        }
    }
}
