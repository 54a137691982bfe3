//! From a file to a model that runs, with no more memory than the model and one tensor.

use std::fmt;

use vit::{Model, PackError, Tensors};

use crate::aligned::Aligned;
use crate::floats::all_finite;
use crate::options::Described;
use crate::packed_file::checksum::Checksum;
use crate::packed_file::values::Packed;
use crate::safetensors::convert::describe_non_finite;
use crate::{Checkpoint, Description, Error, Problem, ProblemKind};

/// A model and its packed weights, aligned to 64 bytes: in memory of its own, borrowed from a packed
/// file in memory, or in the map of one.
///
/// It is `Send` and `Sync`: threads share one, each with scratch of its own.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("tiny.safetensors");
/// let config = vit::VitConfig { dim: 4, depth: 1, heads: 2, image_size: 8, patch_size: 4, ..Default::default() };
/// let description = weights::Description::new(vit::Config::new(config)?);
/// weights::save(&path, &description, &mut weights::Random::new(7))?;
///
/// let loaded = weights::load(&path)?;
/// let (model, level) = (loaded.model(), vit::Level::detect());
/// let image = vec![0.5; model.config().image_len()];
/// let mut logits = vec![0.0; model.config().outputs()];
/// model.run(level, &image, &mut logits, &mut vec![0.0; model.scratch_len(level)])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LoadedModel<'a> {
    description: Description,
    warnings: Vec<String>,
    assumed: Vec<String>,
    packed: Packed<'a>,
    recorded: Option<Recorded>,
}

/// What a packed file says that it holds.
pub(crate) struct Recorded {
    /// The file, for messages.
    pub file: String,
    /// Of the description's text.
    pub text: Checksum,
    /// Of the text and the values after it.
    pub whole: Checksum,
}

impl LoadedModel<'static> {
    /// Packs an opened checkpoint.
    ///
    /// ```
    /// # fn example() -> Result<(), weights::Error> {
    /// let checkpoint = weights::Loader::new().checkpoint(weights::TensorFile::from_file("tiny.safetensors")?)?;
    /// println!("{} parameters", checkpoint.description().config.params());
    /// let loaded = weights::LoadedModel::new(checkpoint)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(mut checkpoint: Checkpoint) -> Result<Self, Error> {
        let description = checkpoint.description().clone();
        match Self::from_tensors(description, &mut checkpoint) {
            Ok(loaded) => {
                let Described { description, warnings, assumed } = checkpoint.into_described();
                Ok(LoadedModel { description, warnings, assumed, ..loaded })
            }
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
        let len = vit::packed_len(&description.config);
        let mut packed = Aligned::zeroed(len).ok_or_else(|| Error::memory(&label, len))?;
        vit::pack(&description.config, tensors, &mut packed).map_err(|error| match error {
            PackError::Source(error) => error.into(),
            PackError::Tensor { name, expected, found } => wrong_len(&label, &name.to_string(), expected, found),
            PackError::Buffer { expected, found } => wrong_len(&label, "(packed weights)", expected, found),
            _ => wrong_len(&label, "(packed weights)", 0, 0),
        })?;
        let (warnings, assumed) = (Vec::new(), Vec::new());
        Ok(LoadedModel { description, warnings, assumed, packed: Packed::Owned(packed), recorded: None })
    }
}

impl<'a> LoadedModel<'a> {
    /// A model over values whose number is that of the description.
    pub(crate) fn of_packed(described: Described, packed: Packed<'a>, recorded: Recorded) -> Self {
        let Described { description, warnings, assumed } = described;
        LoadedModel { description, warnings, assumed, packed, recorded: Some(recorded) }
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

    /// The model without what it borrows, which is copied.
    ///
    /// ```
    /// fn fetched(bytes: Vec<u8>) -> Result<weights::LoadedModel<'static>, weights::Error> {
    ///     weights::Loader::new().from_bytes(&bytes)?.into_owned() // outlives the bytes
    /// }
    /// assert!(fetched(b"no checkpoint".to_vec()).is_err());
    /// ```
    pub fn into_owned(self) -> Result<LoadedModel<'static>, Error> {
        let label = self.label().to_string();
        let LoadedModel { description, warnings, assumed, packed, recorded } = self;
        let packed = packed.into_owned().map_err(|len| Error::memory(&label, len))?;
        Ok(LoadedModel { description, warnings, assumed, packed, recorded })
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

    /// What was assumed because neither the file nor the [`Loader`](crate::Loader) said it, a line each: how images are
    /// prepared, if that is not known.
    ///
    /// ```
    /// # fn example(loaded: weights::LoadedModel) {
    /// loaded.assumed().iter().for_each(|line| eprintln!("{line}"));
    /// # }
    /// ```
    pub fn assumed(&self) -> &[String] {
        &self.assumed
    }

    /// Bytes of the packed weights.
    ///
    /// ```
    /// # fn example(loaded: weights::LoadedModel) {
    /// println!("{} MB of weights", loaded.weight_bytes() / 1_000_000);
    /// # }
    /// ```
    pub fn weight_bytes(&self) -> usize {
        size_of_val(&*self.packed)
    }

    /// Checks every value: that none is NaN or infinite and, of a packed file, that its checksum is the one that it was
    /// packed with. Returns the checksum, which a checkpoint shares with the packed file made of it.
    ///
    /// ```
    /// # fn example() -> Result<(), weights::Error> {
    /// let checksum = weights::load("deit_tiny.packed")?.verify()?; // such as crc32:1c2d3e4f
    /// assert_eq!(weights::load("shuffle_deit_tiny.safetensors")?.verify()?, checksum);
    /// # Ok(())
    /// # }
    /// ```
    pub fn verify(&self) -> Result<String, Error> {
        let recorded = self.recorded.as_ref();
        let checksum = match recorded {
            Some(recorded) => recorded.text.then(&self.packed),
            None => Checksum::of_text(&self.description.to_json()).then(&self.packed),
        };
        if let Some(Recorded { file, whole, .. }) = recorded.filter(|recorded| recorded.whole != checksum) {
            let [expected, found] = [whole, &checksum].map(ToString::to_string);
            return Err(Error::Checksum { file: file.clone(), expected, found });
        }
        if !all_finite(&self.packed) {
            let found = describe_non_finite(&self.packed);
            return Err(Error::one(
                self.label(),
                Problem::new(ProblemKind::NotFinite, "packed", "finite values", found),
            ));
        }
        Ok(checksum.to_string())
    }

    /// What messages call the model.
    fn label(&self) -> &str {
        let label = self.recorded.as_ref().map(|recorded| &recorded.file).or(self.description.name.as_ref());
        label.map_or("(model)", String::as_str)
    }

    /// The values, to write them.
    #[cfg(feature = "write")]
    pub(crate) fn packed(&self) -> &[f32] {
        &self.packed
    }
}

/// A source that does not give what it is asked for.
fn wrong_len(label: &str, name: &str, expected: usize, found: usize) -> Error {
    Error::one(label, Problem::new(ProblemKind::Shape, name, format!("{expected} values"), found.to_string()))
}

impl fmt::Debug for LoadedModel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("LoadedModel").field("description", &self.description).finish_non_exhaustive()
    }
}
