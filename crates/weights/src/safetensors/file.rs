//! A safetensors file: opened, checked, and read tensor by tensor.
//!
//! [`TensorFile::from_bytes`] borrows what is in memory. [`TensorFile::from_file`] reads the header and then each tensor
//! as it is asked for, so that it needs memory for one tensor at a time and no promise about the file. With the feature
//! `mmap`, `TensorFile::from_mmap` maps the file, so that F32 values are used without a copy; in exchange the caller
//! promises that the file does not change.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;

use safetensors::Dtype;

use super::convert::{FLOAT_NAMES, FLOATS, borrow, convert, from_little_endian};
use super::foreign::{self, Foreign};
use super::header::{self, Header, TensorInfo};
use super::source::{self, Source};
use crate::error::display;
use crate::values::not_finite;
use crate::{Error, Problem, ProblemKind, Report};

/// A safetensors file whose header is consistent with itself and with the file's length.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("x.safetensors");
/// weights::write_tensors(&path, &[("image", &[1, 2], &[0.5, -1.0])])?;
/// let file = weights::TensorFile::from_file(&path)?;
/// assert_eq!(file.tensors()[0].shape, [1, 2]);
/// assert_eq!(*file.tensor("image")?, [0.5, -1.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TensorFile<'a> {
    label: String,
    source: Source<'a>,
    header: Header,
}

impl TensorFile<'static> {
    /// Opens a file and reads its header; each tensor is read from the disk when it is asked for.
    ///
    /// ```
    /// let error = weights::TensorFile::from_file("missing.safetensors").err().unwrap();
    /// assert!(error.to_string().starts_with("missing.safetensors: cannot open"));
    /// ```
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let (file, len) = source::open(path.as_ref())?;
        Self::open(display(path.as_ref()), Source::File(Mutex::new(file)), len)
    }
}

impl<'a> TensorFile<'a> {
    /// Reads a file that is in memory already; aligned F32 values are borrowed from it.
    ///
    /// ```
    /// let error = weights::TensorFile::from_bytes(b"PK\x03\x04 an archive").err().unwrap();
    /// assert!(error.to_string().contains("shuffle_vit export"));
    /// ```
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, Error> {
        Self::open("(bytes in memory)".into(), Source::Bytes(bytes), bytes.len() as u64)
    }

    pub(crate) fn open(label: String, source: Source<'a>, len: u64) -> Result<Self, Error> {
        let mut start = vec![0; len.min(foreign::ENOUGH as u64) as usize];
        read(&label, &source, 0, &mut start)?;
        let unreadable = |what| match foreign::identify(&start) {
            Some(Foreign { what, advice }) => {
                Error::NotSafetensors { file: label.clone(), what: format!("it is {what}"), advice }
            }
            None => Error::NotSafetensors { file: label.clone(), what, advice: foreign::UNKNOWN },
        };
        let header_len = header::header_len(&start[..start.len().min(header::PREFIX)], len).map_err(unreadable)?;
        let mut report = Report::new(&label);
        let header = match source.bytes() {
            Some(bytes) => header::parse(&bytes[header::PREFIX..][..header_len], len, &mut report),
            None => {
                let mut text = vec![0; header_len];
                read(&label, &source, header::PREFIX as u64, &mut text)?;
                header::parse(&text, len, &mut report)
            }
        }
        .map_err(unreadable)?;
        report.into_result()?;
        Ok(TensorFile { label, source, header })
    }

    /// The file's name as messages show it.
    ///
    /// ```
    /// let bytes = [2, 0, 0, 0, 0, 0, 0, 0, b'{', b'}'];
    /// assert_eq!(weights::TensorFile::from_bytes(&bytes)?.label(), "(bytes in memory)");
    /// # Ok::<(), weights::Error>(())
    /// ```
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The tensors, sorted by name.
    ///
    /// ```
    /// # fn example(file: weights::TensorFile) {
    /// for tensor in file.tensors() {
    ///     println!("{} {} {:?}", tensor.name, tensor.dtype, tensor.shape);
    /// }
    /// # }
    /// ```
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.header.tensors
    }

    /// A string of the file's metadata.
    ///
    /// ```
    /// let mut bytes = 32u64.to_le_bytes().to_vec();
    /// bytes.extend(br#"{"__metadata__":{"format":"pt"}}"#);
    /// let file = weights::TensorFile::from_bytes(&bytes)?;
    /// assert_eq!((file.metadata("format"), file.metadata("config")), (Some("pt"), None));
    /// # Ok::<(), weights::Error>(())
    /// ```
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.header.metadata.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// The tensor of that name, if the file has it.
    ///
    /// ```
    /// let bytes = [2, 0, 0, 0, 0, 0, 0, 0, b'{', b'}'];
    /// assert_eq!(weights::TensorFile::from_bytes(&bytes)?.info("x"), None);
    /// # Ok::<(), weights::Error>(())
    /// ```
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        let tensors = self.tensors();
        tensors.binary_search_by(|tensor| tensor.name.as_str().cmp(name)).ok().map(|at| &tensors[at])
    }

    /// The values of a tensor as f32: borrowed if they are F32, aligned and in memory, else converted into a buffer. F64 is
    /// rounded; a value that f32 cannot hold is an error.
    ///
    /// ```
    /// # fn example(file: weights::TensorFile) -> Result<(), weights::Error> {
    /// let logits = file.tensor("logits")?;
    /// println!("the first of {} is {}", logits.len(), logits[0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn tensor(&self, name: &str) -> Result<Cow<'_, [f32]>, Error> {
        let Some(info) = self.info(name) else {
            let nearest = crate::text::nearest(name, self.tensors().iter().map(|tensor| tensor.name.as_str()));
            let problem = Problem::new(ProblemKind::Missing, name, "a tensor of that name", "none");
            return Err(Error::one(&self.label, problem.near(nearest)));
        };
        if !FLOATS.contains(&info.dtype) {
            return Err(Error::one(&self.label, Problem::new(ProblemKind::Type, name, FLOAT_NAMES, info.describe())));
        }
        if let Some(values) = self.borrowed(info) {
            return Ok(Cow::Borrowed(values));
        }
        let mut values = vec![0.0; info.len()];
        self.read_into(info, &mut values)?;
        match not_finite(info, &values).filter(|_| info.dtype == Dtype::F64) {
            Some(problem) => Err(Error::one(&self.label, problem)),
            None => Ok(Cow::Owned(values)),
        }
    }

    /// All bytes, and where in them the values of a tensor are.
    pub(crate) fn into_source(self, info: &TensorInfo) -> (Source<'a>, Range<usize>) {
        let start = self.offset(info) as usize;
        (self.source, start..start + byte_len(info))
    }

    /// The values where they are in memory, if they can be used there.
    pub(crate) fn borrowed(&self, info: &TensorInfo) -> Option<&[f32]> {
        borrow(info.dtype, self.bytes(info)?)
    }

    /// The bytes, if they are in memory.
    fn bytes(&self, info: &TensorInfo) -> Option<&[u8]> {
        source::slice(self.source.bytes()?, self.offset(info), byte_len(info)).ok()
    }

    /// Converts the values of a tensor of one of [`FLOATS`].
    pub(crate) fn read_into(&self, info: &TensorInfo, values: &mut [f32]) -> Result<(), Error> {
        match self.bytes(info) {
            Some(bytes) => convert(info.dtype, bytes, values),
            None if info.dtype == Dtype::F32 => {
                read(&self.label, &self.source, self.offset(info), bytemuck::cast_slice_mut(values))?;
                from_little_endian(values);
            }
            None => self.read_pieces(info, values)?,
        }
        Ok(())
    }

    /// Reads values of another size from the disk, some at a time, so that they and what they become are in the first-level
    /// cache.
    fn read_pieces(&self, info: &TensorInfo, values: &mut [f32]) -> Result<(), Error> {
        let size = info.dtype.bitsize() / 8;
        let mut bytes = [0; 8192];
        let mut offset = self.offset(info);
        for values in values.chunks_mut(bytes.len() / size) {
            let bytes = &mut bytes[..size * values.len()];
            read(&self.label, &self.source, offset, bytes)?;
            convert(info.dtype, bytes, values);
            offset += bytes.len() as u64;
        }
        Ok(())
    }

    /// Where the values begin in the file.
    fn offset(&self, info: &TensorInfo) -> u64 {
        self.header.data_start + info.range.0
    }
}

impl fmt::Debug for TensorFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("TensorFile").field("label", &self.label).field("tensors", &self.header.tensors).finish()
    }
}

fn byte_len(info: &TensorInfo) -> usize {
    (info.range.1 - info.range.0) as usize
}

fn read(label: &str, source: &Source, offset: u64, into: &mut [u8]) -> Result<(), Error> {
    source.read(offset, into).map_err(|error| read_failed(label, error))
}

fn read_failed(label: &str, error: io::Error) -> Error {
    Error::io(label, "read", error, "see that nothing writes to it, and try again")
}
