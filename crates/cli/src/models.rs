//! The model that a command works with: from a file, built in by name, or the trained one inside the program.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use images::ImageError;
use weights::{Description, LoadedModel, Loader, Random};

use crate::diagnostics::{note, warn};
use crate::flags::{LoadingArgs, PreparationArgs, SettingArgs, SubjectArgs};
use crate::outcome::Usage;
use crate::text::{self, shown};

/// Bytes that begin on a cache line, so that the tensors in them are aligned.
#[repr(C, align(64))]
struct CacheLine<T: ?Sized>(T);

/// A shuffle ViT trained on Fashion-MNIST (`tools/train.py`).
static TRAINED: &CacheLine<[u8]> = &CacheLine(*include_bytes!("../model/fashion_mnist.safetensors"));

/// Seed of a built-in model's weights where only its speed matters.
const BENCH_SEED: u64 = 0;

/// Most bytes that are read of a list of a checkpoint's files.
const MAX_INDEX: u64 = 64 << 20;

/// A model and what it is called.
pub(crate) struct Named {
    pub name: String,
    pub model: LoadedModel<'static>,
}

/// The model of a file; without one, the trained model inside the program.
pub(crate) fn load_or_trained(
    file: Option<&Path>,
    loading: &LoadingArgs,
    preparation: &PreparationArgs,
) -> Result<Named> {
    let Some(file) = file else {
        check_names_file(loading, "--model")?;
        let loader = loader(&LoadingArgs::default(), preparation)?;
        return named(loader.from_bytes(&TRAINED.0).map_err(usage)?, "trained");
    };
    load(file, loading, preparation)
}

/// The model of a file; flags complete what the file says.
pub(crate) fn load(file: &Path, loading: &LoadingArgs, preparation: &PreparationArgs) -> Result<Named> {
    let stem = file.file_stem().unwrap_or(file.as_os_str()).to_string_lossy();
    let loader = loader(loading, preparation)?;
    let model = if loading.map { map(&loader, file) } else { loader.load(file) };
    named(model.map_err(usage)?, &stem)
}

#[allow(unsafe_code)]
fn map(loader: &Loader, file: &Path) -> Result<LoadedModel<'static>, weights::Error> {
    // SAFETY: nothing in this program writes to a file that it reads (`output::create` refuses to). With --map the user
    // promises that nobody else changes the file while the program runs.
    unsafe { loader.load_mmap(file) }
}

fn loader(loading: &LoadingArgs, preparation: &PreparationArgs) -> Result<Loader> {
    let mut loader = Loader::new();
    if let Some(name) = &loading.arch {
        loader = loader.arch(name);
    }
    if let Some(prefix) = &loading.prefix {
        loader = loader.prefix(prefix);
    }
    if let Some(heads) = loading.heads {
        loader = loader.heads(heads as usize);
    }
    if let Some(size) = loading.resize_positions {
        loader = loader.resize_positions(size.map(|size| size as usize));
    }
    loader = loading.ignore.iter().fold(loader, |loader, pattern| loader.ignore(pattern));
    Ok(preparation.settings()?.iter().fold(loader, |loader, (key, value)| loader.set(key, value)))
}

/// What comes from a flag is wrong usage.
fn usage(error: weights::Error) -> anyhow::Error {
    match error {
        weights::Error::Setting(_) | weights::Error::AlreadyPacked { .. } => Usage(error.to_string()).into(),
        error => error.into(),
    }
}

/// The model of a checkpoint, its values checked and brought into their packed order.
pub(crate) fn pack(file: &Path, loading: &LoadingArgs, preparation: &PreparationArgs) -> Result<Named> {
    ensure!(!loading.map, Usage("--map is about packed files, of which `pack` reads none".into()));
    let checkpoint = loader(loading, preparation)?.open(file).map_err(usage)?;
    named(LoadedModel::new(checkpoint)?, "packed")
}

/// A file's model, or a built-in one with fixed random weights.
pub(crate) fn subject(args: &SubjectArgs) -> Result<Named> {
    if let Some(file) = &args.model {
        check_unset(file, &args.settings)?;
        return load(file, &args.loading, &PreparationArgs::default());
    }
    random(built_in(&args.loading, &args.settings, "--model")?)
}

/// The description of the built-in model that `--arch` names; other flags about loading need a file, named by `flag`.
pub(crate) fn built_in(loading: &LoadingArgs, settings: &SettingArgs, flag: &str) -> Result<Description> {
    check_names_file(&loading.without_arch(), flag)?;
    let arch = loading.arch.as_deref().with_context(|| format!("name a model with {flag} or --arch"))?;
    describe(arch, settings)
}

/// Refuses flags about a file that is not named.
fn check_names_file(loading: &LoadingArgs, flag: &str) -> Result<()> {
    match loading.first() {
        Some(given) => Err(Usage(format!("{given} is about a model's file; name the file with {flag}")).into()),
        None => Ok(()),
    }
}

/// The files that loading a model may read; a command must write none of them.
pub(crate) fn files_of(model: &Path) -> Vec<PathBuf> {
    const INDEX: &str = "model.safetensors.index.json";
    let folder = if model.is_dir() { model } else { model.parent().unwrap_or(Path::new("")) };
    let mut files = vec![model.to_path_buf()];
    files.extend(["config.json", "preprocessor_config.json"].map(|name| folder.join(name)));
    if model.is_dir() {
        files.extend(["model.safetensors", INDEX].map(|name| folder.join(name)));
        files.extend(shards(&folder.join(INDEX)).into_iter().map(|name| folder.join(name)));
    } else if model.extension().is_some_and(|extension| extension == "json") {
        files.extend(shards(model).into_iter().map(|name| folder.join(name)));
    }
    files
}

/// The files that an index lists. An index that cannot be read lists none here; loading it reports what is wrong.
fn shards(index: &Path) -> BTreeSet<String> {
    if !index.is_file() {
        return BTreeSet::new();
    }
    let mut text = String::new();
    let read = std::fs::File::open(index).and_then(|file| file.take(MAX_INDEX).read_to_string(&mut text));
    let index: serde_json::Value = read.ok().and_then(|_| serde_json::from_str(&text).ok()).unwrap_or_default();
    let entries = index["weight_map"].as_object().into_iter().flatten();
    entries.filter_map(|(_, file)| file.as_str().map(String::from)).collect()
}

/// Prints what was assumed about images because neither the file nor a flag says it.
pub(crate) fn say_assumed(named: &Named) {
    for assumed in named.model.assumed() {
        note(format_args!("{assumed}; --mean, --std, --crop-pct, --resize and --interpolation say otherwise"));
    }
}

/// Refuses settings for a model from a file, whose tensors have their sizes.
pub(crate) fn check_unset(file: &Path, settings: &SettingArgs) -> Result<()> {
    let why = "a file's tensors have the sizes that it describes; --set changes models that --arch alone names";
    ensure!(settings.settings.is_empty(), Usage(format!("--set cannot be used with {}: {why}", shown(file))));
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

/// Refuses a model that does not fit into memory: a setting may have a digit too many.
pub(crate) fn check_size(description: &Description) -> Result<()> {
    let bytes = description.config.params().saturating_mul(size_of::<f32>() as u64);
    let room = usize::try_from(bytes).is_ok_and(|bytes| Vec::<u8>::new().try_reserve_exact(bytes).is_ok());
    let name = description.name.as_deref().unwrap_or_default();
    ensure!(room, "{name}: its weights would take {}, more than there is; set smaller sizes", text::bytes(bytes));
    Ok(())
}

/// Refuses a model that cannot classify images, once instead of for each image.
pub(crate) fn check_classifies(named: &Named) -> Result<()> {
    let config = &named.model.description().config;
    let channels = config.in_channels();
    ensure!(matches!(channels, 1 | 3), ImageError::Channels { channels });
    if config.num_classes() == 0 {
        bail!(
            "{}: the model has no class head (num_classes 0), so it names no class; `run` writes its {} features of an \
             image, and a checkpoint with a head classifies",
            text::printable(&named.name),
            config.outputs()
        );
    }
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
        let trained = load_or_trained(None, &LoadingArgs::default(), &PreparationArgs::default()).unwrap();
        assert_eq!(trained.model.warnings(), [""; 0]);
        assert_eq!(trained.model.description().config.image_size(), 28);
        assert_eq!(trained.model.description().labels.len(), 10);
    }
}
