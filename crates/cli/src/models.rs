//! The model that a command works with: from a file, built in by name, or the trained one inside the program.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use weights::{Description, LoadedModel, Loader, Random, TensorFile};

use crate::diagnostics::warn;
use crate::flags::{SettingArgs, SubjectArgs};
use crate::outcome::Usage;
use crate::text;
use images::ImageError;

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
    pub model: LoadedModel<'static>,
}

/// The model of a file; without one, the trained model inside the program.
pub(crate) fn load_or_trained(file: Option<&Path>, arch: Option<&str>) -> Result<Named> {
    match file {
        Some(file) => load(file, arch),
        None => named(Loader::new().from_bytes(&TRAINED.0)?, "trained"),
    }
}

/// The model of a file, which `arch` names if the file does not.
pub(crate) fn load(file: &Path, arch: Option<&str>) -> Result<Named> {
    let stem = file.file_stem().unwrap_or(file.as_os_str()).to_string_lossy();
    named(loader(arch).load(file)?, &stem)
}

fn loader(arch: Option<&str>) -> Loader {
    arch.map_or_else(Loader::new, |name| Loader::new().arch(name))
}

/// The model of a checkpoint, its values checked and brought into their packed order.
pub(crate) fn pack(file: &Path, arch: Option<&str>) -> Result<LoadedModel<'static>> {
    let model = LoadedModel::new(loader(arch).checkpoint(TensorFile::from_file(file)?)?)?;
    model.warnings().iter().for_each(warn);
    Ok(model)
}

/// A file's model, or a built-in one with fixed random weights.
pub(crate) fn subject(args: &SubjectArgs) -> Result<Named> {
    match (&args.model, &args.arch) {
        (Some(file), arch) => {
            check_unset(file, &args.settings)?;
            load(file, arch.as_deref())
        }
        (None, arch) => {
            let arch = arch.as_deref().context("name a model with --model or --arch")?;
            random(describe(arch, &args.settings)?)
        }
    }
}

/// Refuses settings of a model whose tensors are there already.
pub(crate) fn check_unset(file: &Path, settings: &SettingArgs) -> Result<()> {
    let why = "a file's tensors have the sizes that it describes; --set changes models that --arch alone names";
    ensure!(settings.settings.is_empty(), Usage(format!("--set cannot be used with {}: {why}", file.display())));
    Ok(())
}

/// A model with fixed random weights.
pub(crate) fn random(description: Description) -> Result<Named> {
    check_size(&description)?;
    let mut weights = Random::new(BENCH_SEED).for_model(&description.config);
    named(LoadedModel::from_tensors(description, &mut weights)?, "random")
}

/// What a checkpoint of a built-in model says about itself.
pub(crate) fn describe(arch: &str, settings: &SettingArgs) -> Result<Description> {
    let settings: Vec<_> = settings.settings.iter().map(|(key, value)| (&**key, &**value)).collect();
    Ok(weights::named_with(arch, &settings).map_err(|error| Usage(format!("--set: {error}")))?)
}

/// Refuses a model that memory has no room for, as settings make one with a digit too many.
pub(crate) fn check_size(description: &Description) -> Result<()> {
    let bytes = description.config.params().saturating_mul(size_of::<f32>() as u64);
    let room = usize::try_from(bytes).is_ok_and(|bytes| Vec::<u8>::new().try_reserve_exact(bytes).is_ok());
    let name = description.name.as_deref().unwrap_or_default();
    ensure!(room, "{name}: its weights would take {}, more than there is; set smaller sizes", text::bytes(bytes));
    Ok(())
}

/// Refuses a model that no image can be the input of, once and not for each image.
pub(crate) fn check_takes_images(description: &Description) -> Result<()> {
    let channels = description.config.in_channels();
    ensure!(matches!(channels, 1 | 3), ImageError::Channels { channels });
    Ok(())
}

fn named(model: LoadedModel<'static>, otherwise: &str) -> Result<Named> {
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
