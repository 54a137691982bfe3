//! How a model is loaded: the options, then where from.

use std::path::Path;

use crate::metadata::folder::{self, Beside};
use crate::options::Options;
use crate::packed_file::read::{self, is_packed};
use crate::shards::Shards;
use crate::{Checkpoint, Error, LoadedModel, TensorFile};

/// Options of loading a model: what the file does not say, or says otherwise than it is wanted.
///
/// As with [`std::fs::OpenOptions`], options come first, then what to load. A file that describes itself needs none.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("tiny.safetensors");
/// # let config = vit::VitConfig { dim: 4, depth: 1, heads: 2, image_size: 8, patch_size: 4, ..Default::default() };
/// # weights::save(&path, &weights::Description::new(vit::Config::new(config)?), &mut weights::Random::new(7))?;
/// let loaded = weights::Loader::new().set("mean", "[0.5, 0.5, 0.5]").set("std", "[0.5, 0.5, 0.5]").load(&path)?;
/// assert_eq!(loaded.description().preparation.mean, [0.5; 3]);
/// assert_eq!(loaded.warnings().len(), 2); // the file says otherwise
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Loader {
    pub(crate) options: Options,
}

impl Loader {
    /// No options: the file says everything.
    ///
    /// ```
    /// assert!(weights::Loader::new().load("nowhere/model.safetensors").is_err());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the model of a file that does not describe itself: a built-in one, or one of timm's.
    ///
    /// ```
    /// let loader = weights::Loader::new().arch("timm:vit_small_patch32_224.augreg_in21k");
    /// # assert!(loader.load("nowhere/model.safetensors").is_err());
    /// ```
    ///
    /// ```
    /// let error = weights::Loader::new().arch("deit_tny").from_bytes(b"\x02\0\0\0\0\0\0\0{}").unwrap_err();
    /// assert!(error.to_string().contains("nearest: deit_tiny"), "{error}");
    /// ```
    pub fn arch(mut self, name: impl Into<String>) -> Self {
        self.options.arch = Some(name.into());
        self
    }

    /// Says how many heads a plain model has, for a file that does not describe itself: tensors do not show it.
    ///
    /// ```
    /// let loader = weights::Loader::new().heads(6);
    /// # assert!(loader.load("nowhere/model.safetensors").is_err());
    /// ```
    pub fn heads(mut self, heads: usize) -> Self {
        self.options.heads = Some(heads);
        self
    }

    /// Resamples the positions for images of `size` pixels, or of as many as the description or the name says, as timm does
    /// it: antialiased bicubic (`resample_abs_pos_embed`), the class token's and the registers' kept.
    ///
    /// Positions are never resampled without this. A Swin has none: its windows stay and its map grows or shrinks.
    ///
    /// ```
    /// // DINOv2 has positions for 518 pixels, and is mostly used at 224.
    /// let loader = weights::Loader::new().arch("timm:vit_small_patch14_dinov2").resize_positions(224);
    /// # assert!(loader.load("nowhere/model.safetensors").is_err());
    /// ```
    pub fn resize_positions(mut self, size: impl Into<Option<usize>>) -> Self {
        self.options.positions = Some(size.into());
        self
    }

    /// Chooses one of several models in a file: the one whose tensors' names begin so.
    ///
    /// Without it the prefix is found, whatever it is: `module.`, `_orig_mod.`, `backbone.`, any chain of them.
    ///
    /// ```
    /// let loader = weights::Loader::new().prefix("ema."); // of a file with `model.` and `ema.`
    /// # assert!(loader.load("nowhere/model.safetensors").is_err());
    /// ```
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.options.prefix = Some(prefix.into());
        self
    }

    /// Leaves out the tensors whose whole names are of the pattern, in which `*` stands for any text and `?` for one
    /// character. May be called for several patterns.
    ///
    /// A tensor that the model has no place for is an error otherwise.
    ///
    /// ```
    /// let loader = weights::Loader::new().ignore("n_averaged").ignore("criterion.*");
    /// # assert!(loader.load("nowhere/model.safetensors").is_err());
    /// ```
    pub fn ignore(mut self, pattern: impl Into<String>) -> Self {
        self.options.ignored.push(pattern.into());
        self
    }

    /// Says how images are prepared and what the classes are called; wins over what the file says, with a warning.
    ///
    /// Keys are those of a description that are not about the model itself: `mean`, `std`, `crop_pct`, `resize`,
    /// `interpolation`, `labels`, `name`. A value is JSON, or a string where JSON cannot read it.
    ///
    /// ```
    /// let loader = weights::Loader::new().set("interpolation", "bilinear").set("labels", r#"["cat", "dog"]"#);
    /// assert!(loader.load("nowhere/model.safetensors").is_err());
    /// ```
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.options.set(key, value);
        self
    }

    /// Loads a checkpoint or a packed file.
    ///
    /// The path may be a folder as the Hugging Face hub has it: with `model.safetensors`, or the files that
    /// `model.safetensors.index.json` lists, and with `config.json` of timm or transformers. A `config.json` beside a file
    /// that does not describe itself counts as well.
    ///
    /// A checkpoint's tensors are read one by one into their packed form. A map would spare that copy no memory: packing
    /// rearranges every value, and the mapped pages would count on top of the packed ones (deit_tiny as F32: 25 MB
    /// resident at the peak this way, 47 MB through a map, equally fast).
    ///
    /// A packed file is read into memory; its values are not looked at, which [`LoadedModel::verify`] does. To use them
    /// where they are, map the file (`load_mmap`, feature `mmap`) or load from memory.
    ///
    /// ```
    /// let error = weights::Loader::new().arch("deit_tiny").load("nowhere/model.safetensors").unwrap_err();
    /// assert!(matches!(error, weights::Error::Io { .. }));
    /// ```
    pub fn load(&self, path: impl AsRef<Path>) -> Result<LoadedModel<'static>, Error> {
        let (shards, beside) = folder::open(path.as_ref())?;
        match shards.into_only() {
            Ok(file) if is_packed(&file) => read::open(file, &self.options),
            Ok(file) => LoadedModel::new(Checkpoint::open(Shards::single(file), &beside, &self.options)?),
            Err(shards) => LoadedModel::new(Checkpoint::open(shards, &beside, &self.options)?),
        }
    }

    /// Loads a checkpoint or a packed file that is in memory already: embedded in a program, or fetched by one.
    ///
    /// The weights of a packed file are borrowed, without a copy, if the bytes begin on a 64-byte boundary.
    ///
    /// ```
    /// assert!(weights::Loader::new().from_bytes(b"no checkpoint").is_err());
    /// ```
    pub fn from_bytes<'a>(&self, bytes: &'a [u8]) -> Result<LoadedModel<'a>, Error> {
        self.load_file(TensorFile::from_bytes(bytes)?)
    }

    /// Loads from a file that is open, mapped or in memory.
    pub(crate) fn load_file<'a>(&self, file: TensorFile<'a>) -> Result<LoadedModel<'a>, Error> {
        if is_packed(&file) { read::open(file, &self.options) } else { LoadedModel::new(self.checkpoint(file)?) }
    }

    /// Opens a checkpoint, a file or a folder as [`Self::load`] takes them, without packing it.
    ///
    /// ```
    /// let error = weights::Loader::new().open("nowhere").err().unwrap();
    /// assert!(error.to_string().contains("cannot open"), "{error}");
    /// ```
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Checkpoint<'static>, Error> {
        let (shards, beside) = folder::open(path.as_ref())?;
        if let Some(file) = shards.only().filter(|file| is_packed(file)) {
            return Err(Error::Packed { file: file.label().into() });
        }
        Checkpoint::open(shards, &beside, &self.options)
    }

    /// Checks a checkpoint without packing it; [`LoadedModel::new`] does that.
    ///
    /// The error reports everything that is wrong with the file. Values are looked at only then; otherwise
    /// [`vit::Tensors::tensor`] checks them as it hands them out.
    ///
    /// ```
    /// let empty = [2, 0, 0, 0, 0, 0, 0, 0, b'{', b'}'];
    /// let error = weights::Loader::new().checkpoint(weights::TensorFile::from_bytes(&empty)?).err().unwrap();
    /// assert!(error.to_string().contains("no `config`"));
    /// # Ok::<(), weights::Error>(())
    /// ```
    pub fn checkpoint<'a>(&self, file: TensorFile<'a>) -> Result<Checkpoint<'a>, Error> {
        if is_packed(&file) {
            return Err(Error::Packed { file: file.label().into() });
        }
        Checkpoint::open(Shards::single(file), &Beside::default(), &self.options)
    }
}

/// Loads a file that describes itself: short for [`Loader::load`] without options.
///
/// ```
/// let error = weights::load("nowhere/model.safetensors").unwrap_err();
/// assert!(matches!(error, weights::Error::Io { .. }));
/// ```
pub fn load(path: impl AsRef<Path>) -> Result<LoadedModel<'static>, Error> {
    Loader::new().load(path)
}
