//! The model that a command works with: from a file, built in by name, or the trained one inside the program.

use std::path::Path;

use anyhow::{Result, ensure};
use weights::{Checkpoint, Description, LoadedModel, Random, TensorFile};

use crate::diagnostics::warn;
use crate::images::ImageError;

/// Bytes from a cache line on, so that a tensor of them can be read where it lies.
#[repr(C, align(64))]
struct CacheLine<T: ?Sized>(T);

/// A shuffle ViT trained on Fashion-MNIST (`tools/train.py`).
static TRAINED: &CacheLine<[u8]> = &CacheLine(*include_bytes!("../model/fashion_mnist.safetensors"));

/// Seed of a built-in model's weights where only its speed matters.
const BENCH_SEED: u64 = 0;

/// A model and what it is called.
pub(crate) struct Named {
    pub name: String,
    pub model: LoadedModel,
}

/// The model of a file; without one, the trained model inside the program.
pub(crate) fn load_or_trained(file: Option<&Path>, arch: Option<&str>) -> Result<Named> {
    match file {
        Some(file) => load(file, arch),
        None => named(weights::from_bytes(&TRAINED.0, None)?, "trained"),
    }
}

/// The model of a file, which `arch` names if the file does not.
pub(crate) fn load(file: &Path, arch: Option<&str>) -> Result<Named> {
    pack(file, open(file, arch)?)
}

/// A file's tensors and description, held against each other, before the values are read.
pub(crate) fn open(file: &Path, arch: Option<&str>) -> Result<Checkpoint<'static>> {
    Ok(Checkpoint::new(TensorFile::from_file(file)?, arch)?)
}

/// The model of an opened file.
pub(crate) fn pack(file: &Path, checkpoint: Checkpoint) -> Result<Named> {
    let stem = file.file_stem().unwrap_or(file.as_os_str()).to_string_lossy();
    named(LoadedModel::new(checkpoint)?, &stem)
}

/// A built-in model with fixed random weights.
pub(crate) fn random(arch: &str) -> Result<Named> {
    let description = describe(arch)?;
    let mut weights = Random::new(BENCH_SEED).for_model(&description.config);
    named(LoadedModel::from_tensors(description, &mut weights)?, arch)
}

/// What a checkpoint of a built-in model says about itself.
pub(crate) fn describe(arch: &str) -> Result<Description> {
    let mut description = Description::new(weights::named(arch)?);
    description.name = Some(arch.into());
    Ok(description)
}

/// Refuses a model that no image can be the input of, once and not for each image.
pub(crate) fn check_takes_images(description: &Description) -> Result<()> {
    let channels = description.config.in_channels();
    ensure!(matches!(channels, 1 | 3), ImageError::Channels { channels });
    Ok(())
}

fn named(model: LoadedModel, otherwise: &str) -> Result<Named> {
    model.warnings().iter().for_each(warn);
    let name = model.description().name.as_deref().unwrap_or(otherwise).into();
    Ok(Named { name, model })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_inside_lies_on_a_cache_line_and_loads_without_warnings() {
        assert_eq!(TRAINED.0.as_ptr().addr() % 64, 0);
        assert!(TRAINED.0.len() <= 1_000_000);
        let trained = load_or_trained(None, None).unwrap();
        assert_eq!(trained.model.warnings(), [""; 0]);
        assert_eq!(trained.model.description().config.image_size(), 28);
        assert_eq!(trained.model.description().labels.len(), 10);
    }
}
