//! Writing packed files.

use std::path::Path;

use vit::PACKED_VERSION;

use super::checksum::Checksum;
use super::entries::{CHECKSUM, PACKED};
use crate::{Error, LoadedModel, Output};

/// Writes a model as a packed file, which [`load`](crate::load()) only has to read; returns the file's length in bytes.
///
/// Values that are not finite are an error. The path names what an [`Output`] can be.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("tiny.packed");
/// let description = weights::Description::new(weights::named("shuffle_deit_tiny")?);
/// let model = weights::LoadedModel::from_tensors(description, &mut weights::Random::new(7))?;
/// weights::save_packed(&path, &model)?;
/// let loaded = weights::load(&path)?; // checks the header and the lengths
/// assert_eq!(loaded.verify()?, model.verify()?); // checks every value
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn save_packed(path: impl AsRef<Path>, model: &LoadedModel) -> Result<u64, Error> {
    Output::create(path)?.save_packed(model)
}

impl Output {
    /// As [`save_packed`](crate::save_packed()), into an output that was created before.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("tiny.packed");
    /// let output = weights::Output::create(&path)?;
    /// let description = weights::Description::new(weights::named("deit_tiny")?);
    /// output.save_packed(&weights::LoadedModel::from_tensors(description, &mut weights::Random::new(7))?)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save_packed(self, model: &LoadedModel) -> Result<u64, Error> {
        model.verify()?;
        // Not the checksum that `verify` compares: the description may have been set anew since the model was packed.
        let description = model.description().to_json();
        let checksum = Checksum::of_text(&description).then(model.packed()).to_string();
        let metadata = [("config", description), (PACKED, PACKED_VERSION.to_string()), (CHECKSUM, checksum)];
        let declared = vec![(PACKED.into(), vec![model.packed().len()])];
        self.write(declared, metadata.into(), |out| out.values(model.packed()))
    }
}
