//! A file in memory without reading it: the crate's only unsafe code.

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::path::Path;

use memmap2::Mmap;

use crate::error::display;
use crate::source::{self, Source};
use crate::{Error, LoadedModel, Loader, TensorFile};

impl TensorFile<'static> {
    /// Maps a file into memory; aligned F32 values are borrowed from the map.
    ///
    /// # Safety
    ///
    /// Until the returned value is dropped, and the model that was loaded from it, nobody may write to the file or shorten
    /// it, in this process or another. Replacing it by renaming a new file into its place, as [`save`](crate::save) does, is
    /// harmless: the map keeps the old one.
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
        let map = unsafe { Mmap::map(&file) }
            .map_err(|error| Error::io(&label, "map", error, "read it instead (from_file)"))?;
        let len = map.len() as u64;
        Self::open(label, Source::Map(map), len)
    }
}

impl Loader {
    /// Loads a file through a map: the values of a packed file are used where they lie in it.
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
    /// // SAFETY: the file lies in a folder that only this test knows.
    /// let loaded = unsafe { weights::Loader::new().load_mmap(&path) }?;
    /// assert_eq!(loaded.model().config().num_classes(), 1000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub unsafe fn load_mmap(&self, path: impl AsRef<Path>) -> Result<LoadedModel, Error> {
        // SAFETY: the caller promises that the file does not change as long as the model lives, which keeps the map.
        self.load_file(unsafe { TensorFile::from_mmap(path) }?)
    }
}

/// Maps a file that nobody has permission to write; any other is to be read.
pub(crate) fn read_only(file: &File) -> Option<Mmap> {
    if !is_read_only(file) {
        return None;
    }
    // SAFETY: the map hands the file's bytes out as a shared slice, which is sound while they do not change. The line
    // above found that nobody, its owner included, has permission to write to this very file, so that no program opens it
    // for writing or shortens it by mistake: it must be replaced, and then the map keeps the old one. (`save_packed` takes
    // the permission away first, and writes no more once the file has its name.) What is left is who sets the
    // permission anew, or ignores it as root, to change a file in use, and so this process's memory, as a debugger does:
    // no program can defend itself against that. It would come to other logits, since no kernel takes an address from a
    // weight, or to SIGBUS where the file has become shorter.
    unsafe { Mmap::map(file) }.ok()
}

#[cfg(unix)]
fn is_read_only(file: &File) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o222 == 0)
}

/// Elsewhere permissions say less, and a map keeps its file from being replaced.
#[cfg(not(unix))]
fn is_read_only(_: &File) -> bool {
    false
}

/// Values in a map that they keep.
#[derive(Debug)]
pub(crate) struct Mapped {
    map: Mmap,
    range: Range<usize>,
}

impl Mapped {
    /// The f32 in `len` bytes from `start` on, which is a multiple of their size; an error if the map ends before.
    pub(crate) fn new(map: Mmap, start: u64, len: usize) -> io::Result<Self> {
        source::slice(&map, start, len)?;
        let start = start as usize;
        Ok(Mapped { map, range: start..start + len })
    }
}

impl Deref for Mapped {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        bytemuck::cast_slice(&self.map[self.range.clone()])
    }
}
