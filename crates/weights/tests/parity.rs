//! What PyTorch computed in f64 from small checkpoints (`tools/goldens.py`), in logits and after every block, at every
//! level of this CPU.

mod common;

use std::path::{Path, PathBuf};

use common::levels;
use vit::{Intermediate, Level, RunOptions};
use weights::{LoadedModel, TensorFile, load};

/// Of the largest value: 1e-5 leaves f32 some 80 roundings of 2^-23, for sums of up to 96 products over 5 blocks.
const TOLERANCE: f32 = 1e-5;

/// The families, each with the folder of its goldens.
const FOLDERS: [&str; 3] = [".", "t2t", "swin"];

/// The checkpoints with a golden beside them, as (name, checkpoint, golden).
fn goldens() -> Vec<(String, PathBuf, PathBuf)> {
    FOLDERS.into_iter().flat_map(goldens_in).collect()
}

fn goldens_in(folder: &str) -> Vec<(String, PathBuf, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens").join(folder);
    let golden = |entry: std::io::Result<std::fs::DirEntry>| {
        let name = entry.unwrap().file_name().into_string().unwrap().strip_suffix(".golden.safetensors")?.to_string();
        let file = |ending| folder.join(format!("{name}{ending}"));
        Some((name.clone(), file(".safetensors"), file(".golden.safetensors")))
    };
    let mut all: Vec<_> = std::fs::read_dir(&folder).unwrap().filter_map(golden).collect();
    all.sort();
    all
}

/// Fails unless all values agree to within [`TOLERANCE`] of the largest expected one; returns the worst, as a part of it.
fn compare(what: &str, found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0f32, |max, x| max.max(x.abs()));
    let worst = found
        .iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0f32, |max, x| if x > max || x.is_nan() { x } else { max });
    assert!(worst <= TOLERANCE * largest, "{what}: differs by {worst} where values reach {largest}");
    worst / largest
}

/// Logits and taps `[batch, tokens, channels]` of a run with taps.
fn run(loaded: &LoadedModel, level: Level, images: &[f32]) -> (Vec<f32>, Vec<Vec<f32>>) {
    let model = loaded.model();
    let config = model.config();
    let batch = images.len() / config.image_len();
    let mut logits = vec![0.0; batch * config.outputs()];
    let mut scratch = vec![0.0; model.scratch_len(level)];
    let len = |i| config.intermediate_shape(i).iter().product::<usize>();
    let mut taps: Vec<Vec<f32>> = (0..config.intermediate_outputs()).map(|i| vec![0.0; batch * len(i)]).collect();
    let mut keep = |image: usize, output: Intermediate| {
        let len = len(output.index());
        output.write(&mut taps[output.index()][image * len..][..len]).unwrap();
    };
    model.run(RunOptions::new(level).intermediate_outputs(&mut keep), images, &mut logits, &mut scratch).unwrap();
    (logits, taps)
}

fn check(name: &str, loaded: &LoadedModel, golden: &TensorFile, level: Level) -> f32 {
    let images = golden.tensor("image").unwrap();
    let (logits, taps) = run(loaded, level, &images);
    let mut worst = compare(&format!("{name}, {level}, logits"), &logits, &golden.tensor("logits").unwrap());
    for (i, tap) in taps.iter().enumerate() {
        let expected = golden.tensor(&format!("tap.{i}")).unwrap();
        worst = worst.max(compare(&format!("{name}, {level}, tap {i}"), tap, &expected));
    }
    worst.max(check_without_taps(name, loaded, golden, level))
}

/// Without taps the last block computes the class tokens only.
fn check_without_taps(name: &str, loaded: &LoadedModel, golden: &TensorFile, level: Level) -> f32 {
    let (images, expected) = (golden.tensor("image").unwrap(), golden.tensor("logits").unwrap());
    let model = loaded.model();
    let mut logits = vec![f32::NAN; expected.len()];
    model.run(level, &images, &mut logits, &mut vec![f32::NAN; model.scratch_len(level)]).unwrap();
    compare(&format!("{name}, {level}, logits without taps"), &logits, &expected)
}

#[test]
fn every_golden_at_every_level() {
    let goldens = goldens();
    assert!(goldens.len() >= 28, "goldens are missing: {goldens:?}");
    for level in levels().into_iter() {
        let mut worst = 0f32;
        for (name, checkpoint, golden) in &goldens {
            let (loaded, golden) = (load(checkpoint).unwrap(), TensorFile::from_file(golden).unwrap());
            assert_eq!(loaded.description().name.as_ref(), Some(name));
            worst = worst.max(check(name, &loaded, &golden, level));
        }
        println!("{level}: at most {worst:.1e} of the largest value over {} models", goldens.len());
    }
}

#[test]
fn levels_with_fused_multiply_add_give_the_same_bits_for_any_batch() {
    let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    for (name, checkpoint, golden) in goldens() {
        let (loaded, golden) = (load(checkpoint).unwrap(), TensorFile::from_file(golden).unwrap());
        let images = golden.tensor("image").unwrap();
        let mut first: Option<Vec<u32>> = None;
        for level in levels().into_iter().filter(|level| *level != Level::PORTABLE) {
            let together = bits(&run(&loaded, level, &images).0);
            let apart: Vec<u32> = images
                .chunks(loaded.model().config().image_len())
                .flat_map(|image| bits(&run(&loaded, level, image).0))
                .collect();
            assert_eq!(together, apart, "{name}, {level}: the batch matters");
            assert_eq!(&together, first.get_or_insert(apart), "{name}, {level}: the level matters");
        }
    }
}
