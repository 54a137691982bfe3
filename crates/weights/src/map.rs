//! A file in memory without reading it: the crate's only unsafe code.

use std::path::Path;

use crate::error::display;
use crate::source::{self, Source};
use crate::{Error, TensorFile};

impl TensorFile<'static> {
    /// Maps a file into memory; aligned F32 values are borrowed from the map.
    ///
    /// # Safety
    ///
    /// Until the returned value is dropped, nobody may write to the file or shorten it, in this process or another.
    /// Replacing it by renaming a new file into its place, as [`save`](crate::save) does, is harmless: the map keeps the
    /// old one.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("x.safetensors");
    /// weights::write_tensors(&path, &[("x", &[2], &[1.0, 2.0])])?;
    /// // SAFETY: the file lies in a folder that only this test knows.
    /// let file = unsafe { weights::TensorFile::from_mmap(&path) }?;
    /// assert_eq!(*file.tensor("x")?, [1.0, 2.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub unsafe fn from_mmap(path: impl AsRef<Path>) -> Result<Self, Error> {
        let label = display(path.as_ref());
        let (file, _) = source::open(path.as_ref())?;
        // SAFETY: the map hands the file's bytes out as a shared slice, which is sound while they do not change. The
        // caller promises that they do not as long as the result lives, and the map lives in it.
        let map = unsafe { memmap2::Mmap::map(&file) }
            .map_err(|error| Error::io(&label, "map", &error, "read it instead (from_file)"))?;
        let len = map.len() as u64;
        Self::open(label, Source::Map(map), len)
    }
}
