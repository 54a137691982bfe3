//! What can go wrong between a file and a model.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use crate::{Problem, Report};

/// Why a file could not be read, understood or written: the file, what was expected, what was found, what to do.
///
/// ```
/// let error = weights::TensorFile::from_file("nowhere/model.safetensors").unwrap_err();
/// assert!(matches!(error, weights::Error::Io { .. }));
/// assert!(error.to_string().starts_with("nowhere/model.safetensors: cannot open"));
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("{file}: cannot {action}: {source}; {advice}")]
    Io {
        /// The file as it was named.
        file: String,
        /// What was attempted.
        action: &'static str,
        /// The operating system's error, which [`source`](std::error::Error::source) gives too.
        source: SystemError,
        /// What to do.
        advice: &'static str,
    },
    /// The file is no safetensors file, or its header cannot be read at all.
    #[error("{file}: not a readable safetensors file: {what}; {advice}")]
    NotSafetensors {
        /// The file as it was named.
        file: String,
        /// What was expected and found.
        what: String,
        /// What to do.
        advice: &'static str,
    },
    /// The file can be read and is wrong.
    #[error("{0}")]
    Invalid(Box<Report>),
    /// What a [`Loader`](crate::Loader) was told to set has no meaning or no possible value.
    #[error("{0}")]
    Setting(Box<Report>),
    /// The file does not say what model it holds.
    #[error("{file}: the metadata has no `config`, so the model must be named{looks}: --arch with one of {known}")]
    NoDescription {
        /// The file as it was named.
        file: String,
        /// What the tensors look like, and what they do not tell.
        looks: String,
        /// The built-in names.
        known: String,
    },
    /// A folder has no weights that can be read.
    #[error("{folder}: has no model.safetensors and no model.safetensors.index.json; {advice}")]
    NoWeights {
        /// The folder as it was named.
        folder: String,
        /// What to do.
        advice: String,
    },
    /// Positions cannot be resized as was asked.
    #[error("{file}: its positions cannot be resized: {why}")]
    Positions {
        /// The file as it was named.
        file: String,
        /// What is in the way, and what to do.
        why: String,
    },
    /// The file holds more than one model.
    #[error("{file}: several models are in it, under the prefixes {found}: choose one, such as --prefix '{example}'")]
    SeveralModels {
        /// The file as it was named.
        file: String,
        /// The prefixes.
        found: String,
        /// One of them.
        example: String,
    },
    /// No model is under the prefix that was asked for.
    #[error("{file}: no model is under the prefix `{prefix}`, found {found}: correct --prefix or leave it out")]
    NoSuchPrefix {
        /// The file as it was named.
        file: String,
        /// What was asked for.
        prefix: String,
        /// The prefixes that models are under.
        found: String,
    },
    /// What was asked for changes how a checkpoint is packed, and the file is packed already.
    #[error("{file}: is a packed file, which {option} cannot change: give it to `pack`, with the checkpoint")]
    AlreadyPacked {
        /// The file as it was named.
        file: String,
        /// What was asked for, by the program's flag.
        option: &'static str,
    },
    /// A packed file where a checkpoint is needed.
    #[error("{file}: is a packed file, expected a checkpoint: name the one that it was packed from")]
    Packed {
        /// The file as it was named.
        file: String,
    },
    /// The values of a packed file lie in the order of another version.
    #[error("{file}: packed by {by}, in order {found} where this one reads {expected}; pack the checkpoint again")]
    PackedVersion {
        /// The file as it was named.
        file: String,
        /// What kind of program wrote it.
        by: &'static str,
        /// The number of the order that is understood, [`vit::PACKED_VERSION`].
        expected: u32,
        /// What the file says.
        found: String,
    },
    /// The values or the description of a packed file are no longer those that were packed.
    #[error(
        "{file}: damaged: expected checksum {expected}, found {found}; fetch it again or pack the checkpoint again"
    )]
    Checksum {
        /// The file as it was named.
        file: String,
        /// What the file says, such as `crc32:1c2d3e4f`.
        expected: String,
        /// What its description and values come to.
        found: String,
    },
    /// There is not enough memory for the weights.
    #[error("{file}: its weights would take {mib} MiB, more than there is; use a smaller model")]
    Memory {
        /// The file or model as it was named.
        file: String,
        /// Size of the weights, rounded up.
        mib: usize,
    },
    /// No built-in model has that name.
    #[error("arch is \"{name}\", {found}; expected {known}")]
    UnknownArch {
        /// The name as it was given.
        name: String,
        /// What it resembles, or why it is not available.
        found: String,
        /// The built-in names.
        known: String,
    },
}

/// An [`io::Error`] that can be cloned and compared: two are equal that say the same.
///
/// ```
/// let error = weights::TensorFile::from_file("nowhere/model.safetensors").unwrap_err();
/// let weights::Error::Io { source, .. } = &error else { panic!("{error}") };
/// assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
/// let source = std::error::Error::source(&error).unwrap();
/// assert!(source.downcast_ref::<std::io::Error>().is_some());
/// ```
#[derive(Debug, Clone)]
pub struct SystemError(Arc<io::Error>);

impl Deref for SystemError {
    type Target = io::Error;

    fn deref(&self) -> &io::Error {
        &self.0
    }
}

impl PartialEq for SystemError {
    fn eq(&self, other: &Self) -> bool {
        self.kind() == other.kind() && self.to_string() == other.to_string()
    }
}

impl fmt::Display for SystemError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error {
    pub(crate) fn io(file: &str, action: &'static str, error: io::Error, advice: &'static str) -> Self {
        Error::Io { file: file.into(), action, source: SystemError(Arc::new(error)), advice }
    }

    pub(crate) fn memory(file: &str, values: usize) -> Self {
        Error::Memory { file: file.into(), mib: values.div_ceil((1 << 20) / size_of::<f32>()) }
    }

    pub(crate) fn one(file: &str, problem: Problem) -> Self {
        Error::all_of(Report::new(file), problem)
    }

    /// A problem of a model that flags describe, not the file.
    pub(crate) fn of_flags(file: &str, problem: Problem) -> Self {
        let advice = "the file does not describe itself: correct what --arch and --heads say of it";
        Error::all_of(Report::new(file).advising(advice.into()), problem)
    }

    fn all_of(mut report: Report, problem: Problem) -> Self {
        report.push(problem);
        Error::Invalid(Box::new(report))
    }
}

impl Report {
    /// An error if there are problems.
    pub(crate) fn into_result(self) -> Result<(), Error> {
        if self.total() == 0 { Ok(()) } else { Err(Error::Invalid(Box::new(self))) }
    }
}

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// A path as messages show it.
pub(crate) fn display(path: &Path) -> String {
    crate::text::printable(&path.to_string_lossy())
}
