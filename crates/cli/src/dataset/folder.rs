//! A folder of a dataset.

use std::path::PathBuf;

/// A class folder with its images, also those in folders inside it.
pub(super) struct Folder {
    pub name: String,
    pub images: Vec<PathBuf>,
}
