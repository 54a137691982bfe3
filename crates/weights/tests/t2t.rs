//! T2T-ViT's files: yitu's names, descriptions, positions, and what damaged ones say.

mod common;

use common::{check, check_config, checkpoint, complaint, open, small_t2t};
use vit::{Config, Tokens};
use weights::{Description, Random, TensorFile, save};

#[test]
fn descriptions_go_there_and_back() {
    common::round_trip(Config::new(small_t2t(Tokens::T2tPerformer)).unwrap());
    common::round_trip(Config::new(small_t2t(Tokens::T2tTransformer)).unwrap());
}

#[test]
fn the_patch_may_be_absent() {
    let mut builder = checkpoint(small_t2t(Tokens::T2tPerformer));
    builder.edit_config(r#""patch_size":16,"#, "");
    assert_eq!(complaint(&builder.bytes(), None), None);
}

#[test]
fn tensors_and_configurations() {
    let performer = || checkpoint(small_t2t(Tokens::T2tPerformer));
    check(
        performer(),
        |b| b.remove("tokens_to_token.attention2.w"),
        &["1 problem\n", "`tokens_to_token.attention2.w` is missing: expected F32, F16, BF16 or F64 [32, 64]"],
    );
    check(
        performer(),
        |b| {
            b.tensor("tokens_to_token.attention1.mlp.0.weight").name =
                "tokens_to_token.attention1.mlp.fc1.weight".into()
        },
        &[
            "2 problems",
            "`tokens_to_token.attention1.mlp.0.weight` is missing",
            "`tokens_to_token.attention1.mlp.fc1.weight` is extra",
        ],
    );
    check(
        performer(),
        |b| b.tensor("tokens_to_token.project.weight").reshape(&[8, 64]),
        &["`tokens_to_token.project.weight` is misshapen: expected [8, 576], found [8, 64]"],
    );
    check_config(
        performer(),
        "t2t_performer",
        "t2t_transformer",
        &["`tokens_to_token.attention1.attn.qkv.weight` is missing", "`tokens_to_token.attention1.kqv.bias` is extra"],
    );
    check_config(
        performer(),
        r#""image_size":16"#,
        r#""image_size":40"#,
        &["1 problem\n", "a multiple of the 16", "found 40"],
    );
    check_config(
        performer(),
        r#""patch_size":16"#,
        r#""patch_size":8"#,
        &["1 problem\n", "expected 16 pixels", "found 8"],
    );
    check_config(
        checkpoint(small_t2t(Tokens::T2tTransformer)),
        r#""pool":"cls""#,
        r#""pool":"cls","norm_after_pool":true"#,
        &["1 problem\n", "set pool to avg"],
    );
}

#[test]
fn channels_that_windows_do_not_tell() {
    let mut builder = checkpoint(small_t2t(Tokens::T2tPerformer));
    builder.config = None;
    builder.tensor("tokens_to_token.attention1.norm1.weight").reshape(&[50]);
    let message = open(&builder.bytes(), Some("t2t_vit_7")).unwrap_err().to_string();
    assert!(message.contains("expected [49 x channels], such as [147] for 3 channels, found [50]"), "{message}");
}

#[test]
fn random_positions_are_sinusoids() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let config = Config::new(small_t2t(Tokens::T2tTransformer)).unwrap();
    save(&path, &Description::new(config), &mut Random::new(3).for_model(&config)).unwrap();
    let file = TensorFile::from_file(&path).unwrap();
    let positions = file.tensor("pos_embed").unwrap();
    assert_eq!(positions[..8], [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
    assert_eq!(positions[8..10], [1f32.sin(), 1f32.cos()]);
}
