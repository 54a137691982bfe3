//! What the path of an output names: a regular file, there or to be made, or something that is written through.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

/// As many links as Linux follows.
const MAX_LINKS: usize = 40;

/// Where the bytes of an output go.
#[derive(Debug)]
pub(super) enum Place {
    /// A regular file at the end of all links, and what there is to know about it if it exists.
    File(PathBuf, Option<Metadata>),
    /// A device, pipe or terminal, or whatever this process's standard output is.
    Through { device: File, is_stdout: bool },
}

impl Place {
    /// Follows the links. Opens what is written through, which waits for a reader if it is a FIFO.
    pub(super) fn of(path: &Path) -> Result<Self> {
        match end_of_links(path)? {
            End::Descriptor(path) => descriptor(&path),
            End::Missing(path) => {
                check_missing(&path)?;
                Ok(Place::File(path, None))
            }
            End::Existing(_, found) if found.is_dir() => {
                Err(Error::new(ErrorKind::IsADirectory, "it is a folder, expected the name of a file"))
            }
            End::Existing(path, found) if found.is_file() => {
                // Renaming over a file asks only for a writable folder, and would replace a file that is protected.
                OpenOptions::new().write(true).open(&path)?;
                Ok(Place::File(path, Some(found)))
            }
            End::Existing(path, _) => {
                Ok(Place::Through { device: OpenOptions::new().write(true).open(path)?, is_stdout: false })
            }
        }
    }
}

/// Whether writing to `output` would change the file `input`: both name the same regular file, by whatever spelling,
/// symbolic or hard link, or a file that is open as `/dev/stdin` or `/dev/stdout`. Two names of a file that does not
/// exist yet count as well; devices and pipes never do.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// let file = folder.path().join("model.safetensors");
/// assert!(weights::is_same_file(&file, &folder.path().join("./model.safetensors")));
/// assert!(!weights::is_same_file(&file, &folder.path().join("logits.safetensors")));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn is_same_file(output: &Path, input: &Path) -> bool {
    let end = |path| match end_of_links(path) {
        // Following this link leads to the open file, whatever its text says.
        Ok(End::Descriptor(path)) => fs::metadata(&path).map(|found| End::Existing(path, found)),
        end => end,
    };
    match (end(output), end(input)) {
        (Ok(End::Existing(a, found_a)), Ok(End::Existing(b, found_b))) => {
            found_a.is_file() && found_b.is_file() && identity(&a, &found_a) == identity(&b, &found_b)
        }
        (Ok(End::Missing(a)), Ok(End::Missing(b))) => {
            let folder = |path: &Path| fs::canonicalize(folder(path)).ok();
            a.file_name() == b.file_name() && folder(&a).is_some() && folder(&a) == folder(&b)
        }
        _ => false,
    }
}

#[cfg(unix)]
fn identity(_: &Path, found: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (found.dev(), found.ino())
}

#[cfg(not(unix))]
fn identity(path: &Path, _: &Metadata) -> Option<PathBuf> {
    fs::canonicalize(path).ok()
}

/// The folder of a file.
pub(super) fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What a path comes to when all links are followed.
enum End {
    Existing(PathBuf, Metadata),
    Missing(PathBuf),
    /// A name that the system gives to an open file of a process, such as `/proc/self/fd/1`. What it links to is a text
    /// for people and need not be a path.
    Descriptor(PathBuf),
}

fn end_of_links(path: &Path) -> Result<End> {
    let mut path = path.to_path_buf();
    for _ in 0..=MAX_LINKS {
        if is_descriptor(&path) {
            return Ok(End::Descriptor(path));
        }
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_symlink() => path = folder(&path).join(fs::read_link(&path)?),
            Ok(found) => return Ok(End::Existing(path, found)),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(End::Missing(path)),
            Err(error) => return Err(error),
        }
    }
    Err(Error::new(ErrorKind::InvalidInput, "its links lead to one another"))
}

/// Finds early, and says plainly, what the operating system would say late or not at all.
fn check_missing(path: &Path) -> Result<()> {
    let folder = folder(path);
    if !folder.is_dir() {
        let text = format!("the folder {} does not exist", crate::error::display(folder));
        return Err(Error::new(ErrorKind::NotFound, text));
    }
    if path.file_name().is_none() || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(Error::new(ErrorKind::IsADirectory, "it names a folder, expected the name of a file"));
    }
    Ok(())
}

#[cfg(unix)]
fn is_descriptor(path: &Path) -> bool {
    let in_folder =
        |folder: PathBuf| folder == Path::new("/dev/fd") || folder.starts_with("/proc") && folder.ends_with("fd");
    fs::canonicalize(folder(path)).is_ok_and(in_folder)
}

#[cfg(not(unix))]
fn is_descriptor(_: &Path) -> bool {
    false
}

/// Standard output and error are written at the position that the process shares with whoever started it; another
/// descriptor's file only grows, since its position cannot be known and nothing there may be lost.
#[cfg(unix)]
fn descriptor(path: &Path) -> Result<Place> {
    use std::os::fd::AsFd;
    let folder = fs::canonicalize(folder(path))?;
    let own = ["/proc/self/fd", "/proc/thread-self/fd", "/dev/fd"];
    let own = own.iter().any(|own| fs::canonicalize(own).is_ok_and(|own| own == folder));
    let number = path.file_name().and_then(|name| name.to_str()).filter(|_| own);
    let device = match number {
        Some("1") => std::io::stdout().as_fd().try_clone_to_owned()?.into(),
        Some("2") => std::io::stderr().as_fd().try_clone_to_owned()?.into(),
        _ => OpenOptions::new().append(true).open(path)?,
    };
    Ok(Place::Through { device, is_stdout: number == Some("1") })
}

#[cfg(not(unix))]
fn descriptor(_: &Path) -> Result<Place> {
    Err(ErrorKind::Unsupported.into())
}
