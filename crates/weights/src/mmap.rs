//! Files mapped into memory: the crate's only unsafe code.

use std::path::Path;

use memmap2::Mmap;

use crate::error::display;
use crate::safetensors::{Source, open};
use crate::{Error, LoadedModel, Loader, TensorFile};

impl TensorFile<'static> {
    /// Maps a file into memory; aligned F32 values are borrowed from the map.
    ///
    /// # Safety
    ///
    /// Until the returned value is dropped, and the model that was loaded from it, nobody may write to the file or shorten
    /// it, in this process or another: its weights would change while they are borrowed, or the process would end with
    /// SIGBUS. Replacing the file by renaming a new one over it, as [`save`](crate::save) does, is harmless, since the map
    /// keeps the old one.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("x.safetensors");
    /// weights::write_tensors(&path, &[("x", &[2], &[1.0, 2.0])])?;
    /// // SAFETY: no one else knows the file.
    /// let file = unsafe { weights::TensorFile::from_mmap(&path) }?;
    /// assert_eq!(*file.tensor("x")?, [1.0, 2.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub unsafe fn from_mmap(path: impl AsRef<Path>) -> Result<Self, Error> {
        let label = display(path.as_ref());
        let (file, _) = open(path.as_ref())?;
        // SAFETY: the map lends the file's bytes as a shared slice, which is sound while they do not change. The caller
        // promises that they do not as long as the result lives, and the map lives in it.
        let map = unsafe { Mmap::map(&file) }
            .map_err(|error| Error::io(&label, "map", error, "read it instead (from_file)"))?;
        let len = map.len() as u64;
        Self::open(label, Source::Map(map), len)
    }
}

impl Loader {
    /// Loads a file through a map: the values of a packed file are used in it, without a copy.
    ///
    /// A packed DeiT-Tiny in the page cache gave its first logits after 13 ms, 22 ms when it was read; several processes
    /// that map one file share its memory.
    ///
    /// # Safety
    ///
    /// As of [`TensorFile::from_mmap`]: until the model is dropped, nobody may write to the file or shorten it.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("tiny.packed");
    /// # let description = weights::Description::new(weights::named("deit_tiny")?);
    /// # weights::save_packed(&path, &weights::LoadedModel::from_tensors(description, &mut weights::Random::new(7))?)?;
    /// // SAFETY: no one else knows the file.
    /// let loaded = unsafe { weights::Loader::new().load_mmap(&path) }?;
    /// assert_eq!(loaded.model().config().num_classes(), 1000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub unsafe fn load_mmap(&self, path: impl AsRef<Path>) -> Result<LoadedModel<'static>, Error> {
        // SAFETY: the caller promises that the file does not change as long as the model lives, which keeps the map.
        self.load_file(unsafe { TensorFile::from_mmap(path) }?)
    }
}
