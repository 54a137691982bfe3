//! What can go wrong between a file and a model.

use std::convert::Infallible;
use std::io;
use std::path::Path;

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
    #[error("{file}: cannot {action}: {message}; {advice}")]
    Io {
        /// The file as it was named.
        file: String,
        /// What was attempted.
        action: &'static str,
        /// The class of the refusal.
        kind: io::ErrorKind,
        /// The operating system's words.
        message: String,
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
    /// The file does not say what model it holds.
    #[error("{file}: the metadata has no `config`, so the model must be named: --arch with one of {known}")]
    NoDescription {
        /// The file as it was named.
        file: String,
        /// The built-in names.
        known: String,
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

impl Error {
    pub(crate) fn io(file: &str, action: &'static str, error: &io::Error, advice: &'static str) -> Self {
        Error::Io { file: file.into(), action, kind: error.kind(), message: error.to_string(), advice }
    }

    pub(crate) fn one(file: &str, problem: Problem) -> Self {
        let mut report = Report::new(file);
        report.push(problem);
        Error::Invalid(Box::new(report))
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
