//! Other Rust engines on this repository's models: each loads what it can load and runs on one thread.

mod candle;
mod ours;
mod rten;
mod tract;

use std::path::PathBuf;

use anyhow::{Result, ensure};

/// A loaded model.
pub trait Engine {
    /// Logits of one image, 3 x 224 x 224.
    fn run(&mut self, image: &[f32]) -> Result<Vec<f32>>;
}

/// Loads a model by its name.
pub type Load = fn(&str) -> Result<Box<dyn Engine>>;

/// Every engine by name, ours first. rten can lay weights out for its products at load: faster, and larger.
pub const ENGINES: [(&str, Load); 5] = [
    ("shuffle-vit", ours::load),
    ("rten", rten::load),
    ("rten, prepacked", rten::load_prepacked),
    ("tract", tract::load),
    ("candle", candle::load),
];

/// Ours from the file that [`pack`] writes; the model is the same.
pub const PACKED: (&str, Load) = ("shuffle-vit, packed file", ours::load_packed);

pub use ours::pack;

/// A model's file, as `tools/export_onnx.py` writes it: in `target/peers`, or where `PEERS_MODELS` says.
fn file(model: &str, extension: &str) -> Result<PathBuf> {
    let default = || concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/peers").into();
    let folder: PathBuf = std::env::var_os("PEERS_MODELS").unwrap_or_else(default).into();
    let path = folder.join(format!("{model}.{extension}"));
    ensure!(
        path.exists(),
        "{} is missing; write it with: python tools/export_onnx.py --folder {} {model}",
        path.display(),
        folder.display(),
    );
    Ok(path)
}

/// The largest difference from `expected`, as a share of its largest value.
pub fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len(), "as many logits");
    let largest = expected.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
    found.iter().zip(expected).map(|(x, y)| (x - y).abs() / largest).max_by(f32::total_cmp).unwrap_or(0.0)
}
