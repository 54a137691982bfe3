//! What must hold for anything that loads, and for every message about what does not.

use vit::{Config, Family, Intermediate, Level, RunOptions};
use weights::{Error, LoadedModel};

/// Multiply-accumulates beyond which a model is not run, so that one input does not take the time of a thousand.
const MAX_MACS: u64 = 1_000_000;

/// A message is one that a terminal can be trusted with, and does not grow with the file.
pub fn check_message(error: &Error) {
    let message = error.to_string();
    assert!(!message.is_empty() && message.len() < 64 << 10, "a message of {} bytes", message.len());
    assert!(message.chars().all(|c| c == '\n' || !c.is_control()), "{message:?}");
}

/// A loaded model keeps no more than its file's values, padded, and gives the same bits at every fused level and in any
/// batch.
pub fn check_model(loaded: &LoadedModel, file_len: usize) {
    let model = loaded.model();
    let config = *model.config();
    for warning in loaded.warnings() {
        assert!(warning.chars().all(|c| !c.is_control()), "{warning:?}");
    }
    if matches!(config.family(), Family::Vit(_)) {
        // A vector of one half-precision value is padded to 16 f32, a row of positions likewise: 32-fold at the worst, and
        // the factors and zero biases that a block has without a tensor. Swin lays out its relative positions.
        let most = 32 * file_len + config.intermediate_outputs() * 4096;
        assert!(loaded.weight_bytes() <= most, "{} bytes of weights from a file of {file_len}", loaded.weight_bytes());
    }
    if is_large(&config) {
        return;
    }
    let image = image(&config);
    let batch = [&image[..], &image[..]].concat();
    let classes = config.outputs();
    let mut fused: Option<Vec<f32>> = None;
    for level in Level::available() {
        let mut scratch = vec![f32::NAN; model.scratch_len(level)];
        let mut logits = vec![f32::NAN; 2 * classes];
        model.run(level, &batch, &mut logits, &mut scratch).expect("the buffers have the lengths that were asked for");
        assert!(same(&logits[..classes], &logits[classes..]), "an image's logits depend on the batch at {level}");
        if level != Level::PORTABLE {
            let first = fused.get_or_insert_with(|| logits.clone());
            assert!(same(first, &logits), "{level} gives other logits");
        }
    }
    check_intermediate(loaded, &image);
}

/// A packed model takes what its file takes and runs, whatever its weights are: their values were not looked at.
pub fn check_packed(loaded: &LoadedModel, file_len: usize) {
    let model = loaded.model();
    assert!(loaded.weight_bytes() < file_len, "{} bytes of weights from {file_len}", loaded.weight_bytes());
    if let Err(error) = loaded.verify() {
        check_message(&error);
    }
    if is_large(model.config()) {
        return;
    }
    let image = image(model.config());
    for level in Level::available() {
        let mut scratch = vec![f32::NAN; model.scratch_len(level)];
        let mut logits = vec![f32::NAN; model.config().outputs()];
        model.run(level, &image, &mut logits, &mut scratch).expect("the buffers have the lengths that were asked for");
    }
}

fn is_large(config: &Config) -> bool {
    config.macs() > MAX_MACS || config.image_len() > 1 << 16
}

fn image(config: &Config) -> Vec<f32> {
    (0..config.image_len()).map(|i| (i % 251) as f32 / 125.0 - 1.0).collect()
}

/// Asking for intermediate outputs, which computes the tokens that a run may skip, changes no logit.
fn check_intermediate(loaded: &LoadedModel, image: &[f32]) {
    let (model, level) = (loaded.model(), Level::detect());
    let classes = model.config().outputs();
    let mut scratch = vec![0.0; model.scratch_len(level)];
    let (mut plain, mut observed) = (vec![0.0; classes], vec![0.0; classes]);
    model.run(level, image, &mut plain, &mut scratch).expect("as above");
    let mut count = 0;
    let mut check = |_, output: Intermediate| {
        let [tokens, channels] = output.shape();
        output.write(&mut vec![0.0; tokens * channels]).expect("the output's own shape");
        count += 1;
    };
    let options = RunOptions::new(level).intermediate_outputs(&mut check);
    model.run(options, image, &mut observed, &mut scratch).expect("as above");
    assert_eq!(count, model.config().intermediate_outputs());
    assert!(same(&plain, &observed), "intermediate outputs change the logits");
}

/// Equal bits, any NaN being equal to any other: an instruction set may choose its payload.
pub fn same(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan())
}
