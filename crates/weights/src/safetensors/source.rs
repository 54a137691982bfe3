//! Where a file's bytes are: in memory already, mapped, or still on the disk.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::Error;
use crate::error::display;

pub(crate) enum Source<'a> {
    Bytes(&'a [u8]),
    #[cfg(feature = "mmap")]
    Map(memmap2::Mmap),
    /// Locked while it is read, since a file has one position.
    File(Mutex<File>),
}

impl Source<'_> {
    /// The whole content, where it can be borrowed.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Source::Bytes(bytes) => Some(bytes),
            #[cfg(feature = "mmap")]
            Source::Map(map) => Some(map),
            Source::File(_) => None,
        }
    }

    /// Copies the bytes from `offset` on; an error if the content ends before them.
    pub(crate) fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        match (self.bytes(), self) {
            (Some(bytes), _) => into.copy_from_slice(slice(bytes, offset, into.len())?),
            (None, Source::File(file)) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(offset))?;
                file.read_exact(into)?;
            }
            (None, _) => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        Ok(())
    }
}

/// `len` of the bytes from `offset` on.
pub(crate) fn slice(bytes: &[u8], offset: u64, len: usize) -> io::Result<&[u8]> {
    let rest = usize::try_from(offset).ok().and_then(|start| bytes.get(start..));
    rest.and_then(|rest| rest.get(..len)).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Opens a regular file and says how long it is.
pub(crate) fn open(path: &Path) -> Result<(File, u64), Error> {
    let fail = |e: io::Error| {
        Error::io(&display(path), "open", e, "name a safetensors file, a packed file or a folder that can be read")
    };
    // Asked of the path first: to open a FIFO waits for whoever writes to it.
    let kind = fs::metadata(path).map_err(fail)?;
    if kind.is_dir() {
        return Err(fail(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder")));
    }
    if !kind.is_file() {
        return Err(fail(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")));
    }
    let file = File::open(path).map_err(fail)?;
    let len = file.metadata().map_err(fail)?.len();
    Ok((file, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_end_is_an_error() {
        let source = Source::Bytes(b"abcd");
        let read = |offset, len| {
            let mut into = vec![0; len];
            source.read(offset, &mut into).map(|()| into).map_err(|error| error.kind())
        };
        assert_eq!(read(1, 3), Ok(b"bcd".to_vec()));
        assert_eq!(read(4, 0), Ok(Vec::new()));
        for (offset, len) in [(1, 4), (4, 1), (5, 0), (u64::MAX, 1)] {
            assert_eq!(read(offset, len), Err(io::ErrorKind::UnexpectedEof));
        }
    }
}
