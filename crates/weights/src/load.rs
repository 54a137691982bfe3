//! From a file to a model that runs, with no more memory than the model and one tensor.

use std::fmt;
use std::path::Path;

use vit::{Model, PackError, Tensors};

use crate::aligned::Aligned;
use crate::config::problem_of;
use crate::convert::{all_finite, describe_non_finite};
use crate::packed::{self, Packed, Seal};
use crate::{Checkpoint, Description, Error, Problem, ProblemKind, TensorFile};

/// A model and its packed weights, aligned to 64 bytes: in memory of its own, or in the map of a packed file.
///
/// It is `Send` and `Sync`: threads share one, each with scratch of its own.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("tiny.safetensors");
/// let config = vit::VitConfig { dim: 4, depth: 1, heads: 2, image_size: 8, patch_size: 4, ..Default::default() };
/// let description = weights::Description::new(vit::Config::Vit(config));
/// weights::save(&path, &description, &mut weights::Random::new(7))?;
///
/// let loaded = weights::load(&path, None)?;
/// let (model, level) = (loaded.model(), vit::Level::detect());
/// let image = vec![0.5; model.config().image_len()];
/// let mut logits = vec![0.0; model.config().num_classes()];
/// model.run(level, &image, &mut logits, &mut vec![0.0; model.scratch_len(level)])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LoadedModel {
    description: Description,
    warnings: Vec<String>,
    packed: Packed,
    seal: Option<Seal>,
}

/// Loads a checkpoint or a packed file; `arch` names the model if the file does not describe it.
///
/// A checkpoint's tensors are read one by one into their packed form. A map would spare that copy no memory: packing
/// rearranges every value, and the mapped pages would count on top of the packed ones (deit_tiny as F32: 25 MB resident at
/// the peak this way, 47 MB through a map, equally fast).
///
/// A packed file that nobody has permission to write, as [`save_packed`](crate::save_packed) leaves it, is mapped; another,
/// or one of a system without such permissions, is read. Neither looks at a value: [`LoadedModel::verify`] does.
///
/// ```
/// let error = weights::load("nowhere/model.safetensors", Some("deit_tiny")).unwrap_err();
/// assert!(matches!(error, weights::Error::Io { .. }));
/// ```
pub fn load(path: impl AsRef<Path>, arch: Option<&str>) -> Result<LoadedModel, Error> {
    LoadedModel::open(TensorFile::from_file(path)?, arch)
}

/// Loads a checkpoint or a packed file that is in memory already: embedded in a program, or fetched by one.
///
/// ```
/// assert!(weights::from_bytes(b"no checkpoint", None).is_err());
/// ```
pub fn from_bytes(bytes: &[u8], arch: Option<&str>) -> Result<LoadedModel, Error> {
    LoadedModel::open(TensorFile::from_bytes(bytes)?, arch)
}

impl LoadedModel {
    /// Loads an opened file, a checkpoint or a packed one; as [`load`] does, but the values of a packed file that is mapped
    /// already stay in that map.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("tiny.packed");
    /// # let description = weights::Description::new(weights::named("deit_tiny")?);
    /// # weights::save_packed(&path, &weights::LoadedModel::from_tensors(description, &mut weights::Random::new(7))?)?;
    /// // SAFETY: the file lies in a folder that only this test knows.
    /// let file = unsafe { weights::TensorFile::from_mmap(&path) }?; // whatever its permissions
    /// let loaded = weights::LoadedModel::open(file, None)?;
    /// assert_eq!(loaded.model().config().num_classes(), 1000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(file: TensorFile, arch: Option<&str>) -> Result<Self, Error> {
        if packed::is_packed(&file) { packed::open(file, arch) } else { Self::new(Checkpoint::new(file, arch)?) }
    }

    /// Packs an opened checkpoint.
    ///
    /// ```
    /// # fn example() -> Result<(), weights::Error> {
    /// let checkpoint = weights::Checkpoint::new(weights::TensorFile::from_file("tiny.safetensors")?, None)?;
    /// println!("{} parameters", checkpoint.description().config.params());
    /// let loaded = weights::LoadedModel::new(checkpoint)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(mut checkpoint: Checkpoint) -> Result<Self, Error> {
        let description = checkpoint.description().clone();
        match Self::from_tensors(description, &mut checkpoint) {
            Ok(loaded) => Ok(LoadedModel { warnings: checkpoint.into_warnings(), ..loaded }),
            // Packing stops at the first tensor that is not finite; the report names them all.
            Err(error) => Err(checkpoint.check_values().err().unwrap_or(error)),
        }
    }

    /// Packs tensors from any source, such as [`Random`](crate::Random).
    ///
    /// ```
    /// let description = weights::Description::new(weights::named("shuffle_deit_tiny")?);
    /// let loaded = weights::LoadedModel::from_tensors(description, &mut weights::Random::new(0))?;
    /// assert!(loaded.weight_bytes() >= 4 * 6_095_488);
    /// # Ok::<(), weights::Error>(())
    /// ```
    pub fn from_tensors<T: Tensors>(description: Description, tensors: &mut T) -> Result<Self, Error>
    where
        Error: From<T::Error>,
    {
        let label = description.name.clone().unwrap_or_else(|| "(model)".into());
        let wrong_config = |error| Error::one(&label, problem_of(&error));
        let len = vit::packed_len(&description.config).map_err(wrong_config)?;
        let mut packed = Aligned::zeroed(len).ok_or_else(|| Error::memory(&label, len))?;
        vit::pack(&description.config, tensors, &mut packed).map_err(|error| match error {
            PackError::Source(error) => error.into(),
            PackError::Config(error) => wrong_config(error),
            PackError::Tensor { name, expected, found } => wrong_len(&label, &name.to_string(), expected, found),
            PackError::Buffer { expected, found } => wrong_len(&label, "(packed weights)", expected, found),
            _ => wrong_len(&label, "(packed weights)", 0, 0),
        })?;
        Ok(LoadedModel { description, warnings: Vec::new(), packed: Packed::Owned(packed), seal: None })
    }

    /// A model over values whose number is that of the description.
    pub(crate) fn of_packed(description: Description, warnings: Vec<String>, packed: Packed, seal: Seal) -> Self {
        LoadedModel { description, warnings, packed, seal: Some(seal) }
    }

    /// The model over the packed weights; a small value, made anew at each call.
    ///
    /// ```
    /// # fn example(loaded: weights::LoadedModel) {
    /// let (model, level) = (loaded.model(), vit::Level::detect());
    /// let mut scratch = vec![0.0; model.scratch_len(level)];
    /// # }
    /// ```
    pub fn model(&self) -> Model<'_> {
        Model::new(&self.description.config, &self.packed)
            .expect("the configuration and the buffer are those that the weights were packed with")
    }

    /// What the model is and how images are prepared for it.
    ///
    /// ```
    /// # fn example(loaded: weights::LoadedModel) {
    /// println!("class 0 is called {:?}", loaded.description().label(0));
    /// # }
    /// ```
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// What was odd about the file but harms nothing, a line each.
    ///
    /// ```
    /// # fn example(loaded: weights::LoadedModel) {
    /// loaded.warnings().iter().for_each(|warning| eprintln!("warning: {warning}"));
    /// # }
    /// ```
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Bytes of the packed weights.
    pub fn weight_bytes(&self) -> usize {
        size_of_val(&*self.packed)
    }

    /// Checks every value: that none is NaN or infinite and, of a packed file, that its checksum is the one that it was
    /// packed with. Returns the checksum, which a checkpoint shares with the packed file made of it.
    ///
    /// ```
    /// # fn example() -> Result<(), weights::Error> {
    /// let checksum = weights::load("deit_tiny.packed", None)?.verify()?; // such as crc32:1c2d3e4f
    /// assert_eq!(weights::load("deit_tiny.safetensors", Some("deit_tiny"))?.verify()?, checksum);
    /// # Ok(())
    /// # }
    /// ```
    pub fn verify(&self) -> Result<String, Error> {
        let label = self.seal.as_ref().map(|seal| &seal.file).or(self.description.name.as_ref());
        let label = label.map_or("(model)", String::as_str);
        if let Some(seal) = &self.seal {
            seal.check(&self.packed)?;
        }
        if !all_finite(&self.packed) {
            let found = describe_non_finite(&self.packed);
            return Err(Error::one(label, Problem::new(ProblemKind::NotFinite, "packed", "finite values", found)));
        }
        let seal = || Seal::of(label, &self.description.to_json(), &self.packed).text();
        Ok(self.seal.as_ref().map_or_else(seal, Seal::text))
    }

    /// The values, for who writes them.
    pub(crate) fn packed(&self) -> &[f32] {
        &self.packed
    }
}

/// A source that does not give what it is asked for.
fn wrong_len(label: &str, name: &str, expected: usize, found: usize) -> Error {
    Error::one(label, Problem::new(ProblemKind::Shape, name, format!("{expected} values"), found.to_string()))
}

impl fmt::Debug for LoadedModel {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("LoadedModel").field("description", &self.description).finish_non_exhaustive()
    }
}
