//! A file in memory without reading it: the crate's only unsafe code.

use std::fs::File;
use std::io;

/// Maps a file read-only.
///
/// # Safety
///
/// As long as the map lives, nobody may write to the file or shorten it, in this process or another. Replacing it by
/// renaming another file into its place is harmless: the map keeps the old one.
pub(crate) unsafe fn map(file: &File) -> io::Result<memmap2::Mmap> {
    // SAFETY: `Mmap` hands the file's bytes out as a shared slice, which is sound while they do not change; this
    // function's caller promises that they do not.
    unsafe { memmap2::Mmap::map(file) }
}
