//! Says what a picture shows: all that it takes with the libraries.
//!
//! `cargo run --release -p shuffle-vit-image --example classify -- crates/cli/model/fashion_mnist.safetensors samples/bag.png`

use std::env::args;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (Some(model), Some(picture)) = (args().nth(1), args().nth(2)) else {
        return Err("expected a checkpoint and a picture".into());
    };
    let loaded = weights::load(model)?;
    let (model, description, level) = (loaded.model(), loaded.description(), vit::Level::detect());
    let mut image = vec![0.0; model.config().image_len()];
    images::load(picture, &description.preparation, &mut image)?;
    let mut logits = vec![0.0; model.config().outputs()];
    model.run(level, &image, &mut logits, &mut vec![0.0; model.scratch_len(level)])?;
    let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).ok_or("the model has no classes")?;
    println!("{}", description.label(best).unwrap_or("a class without a name"));
    Ok(())
}
