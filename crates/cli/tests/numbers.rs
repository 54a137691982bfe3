//! What the program computes: the stored results of PyTorch, and the same bits for any thread count and level.

mod common;

use std::fs;
use std::path::Path;

use common::*;
use safetensors::SafeTensors;
use serde_json::json;

/// 500 test images with what PyTorch says they show.
struct Subset {
    images: Vec<u8>,
    labels: Vec<u8>,
    predictions: Vec<u8>,
}

impl Subset {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fashion_mnist_500.safetensors");
        let bytes = fs::read(path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensor = |name| file.tensor(name).unwrap().data().to_vec();
        let subset = Self { images: tensor("images"), labels: tensor("labels"), predictions: tensor("predictions") };
        assert_eq!((subset.images.len(), subset.labels.len(), subset.predictions.len()), (500 * 784, 500, 500));
        subset
    }

    fn confusion(&self) -> Vec<Vec<u64>> {
        let mut confusion = vec![vec![0; 10]; 10];
        let pairs = self.labels.iter().zip(&self.predictions);
        pairs.for_each(|(&label, &prediction)| confusion[usize::from(label)][usize::from(prediction)] += 1);
        confusion
    }
}

#[test]
fn five_hundred_images_are_classified_as_by_pytorch() {
    let (program, subset) = (Program::new(), Subset::read());
    let names: Vec<String> = (0..500).map(|i| format!("{i:03}.png")).collect();
    for (name, pixels) in names.iter().zip(subset.images.chunks(784)) {
        program.write(name, &grey_png(28, 28, pixels));
    }
    let args = [&["classify"], &names.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat();
    let answers = program.json(&args);
    let index = |i: usize| answers[i]["top"][0]["index"].as_u64().unwrap() as u8;
    let differing: Vec<usize> = (0..500).filter(|&i| index(i) != subset.predictions[i]).collect();
    assert_eq!(differing, [0; 0], "images whose class differs from PyTorch's");
}

#[test]
fn five_hundred_images_are_counted_as_by_pytorch() {
    let (program, subset) = (Program::new(), Subset::read());
    program.write("t10k-images-idx3-ubyte", &idx_file(&[500, 28, 28], &subset.images));
    program.write("t10k-labels-idx1-ubyte", &idx_file(&[500], &subset.labels));
    let right = subset.labels.iter().zip(&subset.predictions).filter(|(a, b)| a == b).count();
    for threads in ["1", "3"] {
        let evaluation = program.json(&["eval", "t10k-images-idx3-ubyte", "--threads", threads]);
        assert_eq!(evaluation["confusion"], json!(subset.confusion()));
        assert_eq!((&evaluation["images"], &evaluation["failed"]), (&json!(500), &json!(0)));
        assert_eq!(evaluation["top1"], json!(right as f64 / 500.0));
    }
}

/// Every golden of every family: logits and taps within 1e-5 of the largest value that PyTorch computed in f64.
#[test]
fn goldens_agree() {
    let program = Program::new();
    let folder = repository().join("crates/weights/tests/goldens");
    let mut count = 0;
    let entries = [".", "t2t", "swin"].into_iter().flat_map(|family| fs::read_dir(folder.join(family)).unwrap());
    for entry in entries {
        let golden = entry.unwrap().path();
        let Some(model) = golden.to_str().unwrap().strip_suffix(".golden.safetensors") else { continue };
        let (model, input, output) = (format!("{model}.safetensors"), text(&golden), program.path("out.safetensors"));
        let summary =
            program.json(&["run", "--model", &model, "--input", &input, "--output", &text(&output), "--taps"]);
        let names = (0..summary["taps"].as_u64().unwrap()).map(|i| format!("tap.{i}")).chain(["logits".into()]);
        for name in names {
            let (found, expected) = (tensor(&output, &name), tensor(&golden, &name));
            assert_eq!(found.len(), expected.len(), "{model}: {name}");
            let largest = expected.iter().fold(0f32, |max, x| max.max(x.abs()));
            for (i, (a, b)) in found.iter().zip(&expected).enumerate() {
                assert!(
                    (a - b).abs() <= 1e-5 * largest,
                    "{model}: {name}[{i}]: {a}, not {b}; the largest is {largest}"
                );
            }
        }
        count += 1;
    }
    assert!(count >= 28, "{count} goldens");
}

#[test]
fn logits_are_the_same_bits_for_any_level_batch_and_thread_count() {
    let program = Program::new();
    let model = text(&repository().join("crates/cli/model/fashion_mnist.safetensors"));
    let values: Vec<f32> = (0..7 * 784).map(|i| (i * 89 % 251) as f32 / 80.0 - 1.0).collect();
    weights::write_tensors(program.path("in"), &[("image", &[7, 1, 28, 28], &values)]).unwrap();
    weights::write_tensors(program.path("one"), &[("image", &[1, 1, 28, 28], &values[..784])]).unwrap();
    let logits = |level: &str, threads: &str, input: &str| {
        let flags = ["--level", level, "--threads", threads, "--input", input, "--output", "out"];
        program.stdout(&[&["run", "--model", &model], &flags[..]].concat());
        bits(&program.path("out"), "logits")
    };
    let mut fused: Option<Vec<u32>> = None;
    for level in levels().iter().map(|level| level.name()) {
        let one_thread = logits(level, "1", "in");
        for threads in ["2", "3", "5"] {
            assert!(logits(level, threads, "in") == one_thread, "{level}, {threads} threads");
        }
        assert!(logits(level, "2", "one") == one_thread[..10], "{level}, batch 1");
        if level != "portable" {
            assert!(*fused.get_or_insert_with(|| one_thread.clone()) == one_thread, "{level} and the level before");
        }
    }
}
