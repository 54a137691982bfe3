//! Checkpoints as people have them, folders of the Hugging Face hub and bare files, compared with what the public code computes
//! from each in f64 (`tools/goldens_hub.py`), at every level of this CPU.

use std::path::{Path, PathBuf};

use vit::Level;
use weights::{LoadedModel, Loader, TensorFile};

/// Of the largest value, as in `parity.rs`.
const TOLERANCE: f32 = 1e-5;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/hub").join(name)
}

fn names() -> Vec<String> {
    let entries = std::fs::read_dir(folder("")).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn run(loaded: &LoadedModel, level: Level, image: &[f32]) -> Vec<f32> {
    let model = loaded.model();
    let mut outputs = vec![0.0; model.config().outputs()];
    model.run(level, image, &mut outputs, &mut vec![0.0; model.scratch_len(level)]).unwrap();
    outputs
}

#[track_caller]
fn compare(what: &str, loaded: &LoadedModel, image: &[f32], expected: &[f32]) {
    for level in Level::available() {
        let found = run(loaded, level, image);
        assert_eq!(found.len(), expected.len(), "{what}");
        let largest = expected.iter().fold(0f32, |max, x| max.max(x.abs()));
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() <= TOLERANCE * largest, "{what}, {level}: {a} instead of {b} of up to {largest}");
        }
    }
}

fn check(name: &str, loaded: &LoadedModel) {
    let golden = TensorFile::from_file(folder(name).join("expected.safetensors")).unwrap();
    let output = if golden.info("logits").is_some() { "logits" } else { "features" };
    compare(name, loaded, &golden.tensor("image").unwrap(), &golden.tensor(output).unwrap());
}

#[test]
fn every_form_computes_what_the_public_code_does() {
    let names = names();
    assert!(names.len() >= 30, "goldens are missing: {names:?}");
    for name in names {
        check(&name, &Loader::new().load(folder(&name)).unwrap_or_else(|error| panic!("{name}: {error}")));
    }
}

/// A file by its name counts what is beside it as well.
#[test]
fn a_file_in_a_folder_is_described_by_what_is_beside_it() {
    for name in ["hf_swin", "timm_vit", "hf_dinov2"] {
        check(name, &Loader::new().load(folder(name).join("model.safetensors")).unwrap());
    }
    check(
        "hf_vit_sharded",
        &Loader::new().load(folder("hf_vit_sharded").join("model.safetensors.index.json")).unwrap(),
    );
}

#[test]
fn positions_are_resampled_as_timm_does() {
    for name in ["timm_dinov2", "timm_dinov2_registers"] {
        let golden = TensorFile::from_file(folder(name).join("expected.safetensors")).unwrap();
        let loaded = Loader::new().resize_positions(12).load(folder(name)).unwrap();
        let (image, expected) = (golden.tensor("image_at").unwrap(), golden.tensor("features_at").unwrap());
        compare(name, &loaded, &image, &expected);
        assert_eq!(loaded.description().preparation.image_size, 12);
    }
}
