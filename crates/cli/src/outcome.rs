//! How a command ends.

/// How a command ended that did not fail as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Complete,
    /// Some of several images could not be used; standard error says which.
    Partial,
}

impl Outcome {
    pub fn of(failed: usize) -> Self {
        if failed == 0 { Self::Complete } else { Self::Partial }
    }
}

/// Wrong usage that shows only when arguments are taken together.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub String);
