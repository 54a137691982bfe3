//! The bytes of a file or a stream, no more than the limit.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use crate::limits::MAX_FILE_BYTES;
use crate::{Problem, format};

/// Enough to tell what a file is.
const SIGNATURE_BYTES: u64 = 1024;

/// Reads a whole file, once its first bytes have told that it is an image.
pub(crate) fn file(path: &Path) -> Result<Vec<u8>, Problem> {
    let kind = fs::metadata(path).map_err(refused)?.file_type();
    if kind.is_dir() {
        return Err(Problem::Folder);
    }
    if !kind.is_file() && !is_open_already(path) {
        return Err(Problem::NoFile);
    }
    stream(File::open(path).map_err(refused)?)
}

/// Reads a stream to its end, once its first bytes have told that it is an image.
pub(crate) fn stream(mut reader: impl Read) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    (&mut reader).take(SIGNATURE_BYTES).read_to_end(&mut bytes).map_err(refused)?;
    format::guess(&bytes)?;
    (&mut reader).take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(refused)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Problem::TooLong);
    }
    Ok(bytes)
}

/// Whether a path names a descriptor of this process, as a shell's `<(...)` does. Somebody has the other end of such a
/// pipe; one that is found in a folder could keep its reader waiting for ever.
fn is_open_already(path: &Path) -> bool {
    ["/dev/fd", "/proc/self/fd", "/dev/stdin"].iter().any(|open| path.starts_with(open))
}

fn refused(error: std::io::Error) -> Problem {
    Problem::Read { reason: error.to_string() }
}
