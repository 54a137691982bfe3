//! Files that commands write.

use std::path::Path;

use anyhow::{Result, bail};

/// Refuses a place where no file can be written, before the work is done that the file is for.
pub(crate) fn check_output(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        bail!("{}: the folder {} does not exist; create it or name another", path.display(), folder.display());
    }
    if path.is_dir() {
        bail!("{}: is a folder, expected the name of a file to write", path.display());
    }
    Ok(())
}
