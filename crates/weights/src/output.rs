//! A file being written: complete under its name, or not there at all.

mod place;
mod temporary;

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::SpooledTempFile;

pub use place::is_same_file;
pub use temporary::remove_unfinished;

use crate::Error;
use crate::error::display;
use place::Place;
use temporary::Temporary;

/// Most bytes for a device or a pipe that wait in memory for the rest; more wait in a temporary file.
const MAX_SPOOLED: usize = 1 << 20;
/// Bytes that are handed to the system at once.
const BUFFER: usize = 1 << 16;

/// A file that is being written and becomes visible when it is finished.
///
/// - A regular file is replaced whole or not at all. It keeps its permissions and, if the system allows that, its owner;
///   access lists are not kept, and other hard links keep the old content. A file without write permission is refused.
/// - A symbolic link is followed, and what it names is written, whether that exists or not.
/// - A device, a pipe, a terminal or `/dev/stdout` is written through, from the first byte on when the last is known.
/// - Dropped before it is [finished](Output::finish), the output leaves everything as it was, and so does a process that
///   is killed (see [`remove_unfinished`]).
///
/// Errors name the path as the user wrote it.
///
/// ```
/// use std::io::Write;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("labels.txt");
/// let mut output = weights::Output::create(&path)?; // early: a place that cannot be written is known before the work
/// write!(output, "sneaker\nbag\n")?;
/// assert!(!path.exists());
/// assert_eq!(output.finish()?, 12);
/// assert_eq!(std::fs::read_to_string(&path)?, "sneaker\nbag\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Output {
    label: String,
    out: BufWriter<Sink>,
    bytes: u64,
    is_stdout: bool,
}

/// Where the bytes wait until there are all of them.
#[derive(Debug)]
enum Sink {
    /// In the file that will have the name.
    File { temporary: Temporary, target: PathBuf },
    /// On the way to something that has no name to take.
    Through { spool: SpooledTempFile, device: File },
}

impl Output {
    /// Prepares to write a file, or what else the path names; fails if that cannot be written.
    ///
    /// Waits for a reader if the path names a FIFO.
    ///
    /// ```
    /// let error = weights::Output::create("no/such/folder/out.safetensors").unwrap_err();
    /// assert!(error.to_string().contains("the folder no/such/folder does not exist; create it"));
    /// ```
    pub fn create(path: impl AsRef<Path>) -> Result<Self, Error> {
        let label = display(path.as_ref());
        let sink = Sink::new(path.as_ref());
        let (sink, is_stdout) = sink.map_err(|error| {
            let lacks_folder = error.kind() == io::ErrorKind::NotFound;
            let advice =
                if lacks_folder { "create it, or name another file" } else { "name a file that can be written" };
            Error::io(&label, "create", error, advice)
        })?;
        Ok(Output { label, out: BufWriter::with_capacity(BUFFER, sink), bytes: 0, is_stdout })
    }

    /// Whether the bytes go to this process's standard output, where then nothing else should be written.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// assert!(!weights::Output::create(folder.path().join("out.safetensors"))?.is_stdout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_stdout(&self) -> bool {
        self.is_stdout
    }

    /// Gives the file its name, or sends the bytes to where they belong; returns how many there are.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("empty");
    /// assert_eq!(weights::Output::create(&path)?.finish()?, 0);
    /// assert!(path.exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn finish(self) -> Result<u64, Error> {
        let Output { label, out, bytes, .. } = self;
        let sink = out.into_inner().map_err(|e| write_failed(&label, e.into_error()))?;
        match sink {
            Sink::File { temporary, target } => temporary.rename_to(&target),
            Sink::Through { spool, device } => send(spool, device),
        }
        .map_err(|e| write_failed(&label, e))?;
        Ok(bytes)
    }

    /// The path as messages show it.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.out.write_all(bytes).map_err(|e| write_failed(&self.label, e))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Replaces the first bytes, of which there are at least as many, as the last thing before the end.
    pub(crate) fn rewrite_start(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let rewritten = self.out.rewind().and_then(|()| self.out.write_all(bytes));
        rewritten.map_err(|e| write_failed(&self.label, e))
    }
}

/// Errors of the operating system say the path and what to do.
impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let named = |e: io::Error| io::Error::new(e.kind(), write_failed(&self.label, e));
        let written = self.out.write(bytes).map_err(named)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush().map_err(|e| io::Error::new(e.kind(), write_failed(&self.label, e)))
    }
}

impl Sink {
    fn new(path: &Path) -> io::Result<(Self, bool)> {
        Ok(match Place::of(path)? {
            Place::File(target, replaced) => {
                let temporary = Temporary::beside(&target, replaced.as_ref()).map_err(|e| in_folder(&e, &target))?;
                (Sink::File { temporary, target }, false)
            }
            Place::Through { device, is_stdout } => {
                (Sink::Through { spool: tempfile::spooled_tempfile(MAX_SPOOLED), device }, is_stdout)
            }
        })
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Sink::File { temporary, .. } => temporary.file().write(bytes),
            Sink::Through { spool, .. } => spool.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // nothing waits here but what waits for the end
    }
}

impl Seek for Sink {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Sink::File { temporary, .. } => temporary.file().seek(to),
            Sink::Through { spool, .. } => spool.seek(to),
        }
    }
}

/// Says that it is the folder where no file can be made, which is needed even where one is replaced.
fn in_folder(error: &io::Error, target: &Path) -> io::Error {
    let folder = display(place::folder(target));
    io::Error::new(error.kind(), format!("{error}, for a new file in the folder {folder}"))
}

fn send(mut spool: SpooledTempFile, mut device: File) -> io::Result<()> {
    spool.rewind()?;
    io::copy(&mut spool, &mut device)?;
    device.flush()
}

fn write_failed(label: &str, error: io::Error) -> Error {
    Error::io(label, "write", error, "see that the disk has room")
}
