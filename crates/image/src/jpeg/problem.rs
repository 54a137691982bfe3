//! What is wrong with a JPEG file.

use crate::Problem;

/// What is wrong with a file whose end is missing.
pub(super) const CUT: &str = "it ends before its end-of-image marker";

pub(super) fn damaged(reason: impl Into<String>) -> Problem {
    Problem::damaged("JPEG", reason.into())
}

pub(super) fn unsupported(reason: impl Into<String>) -> Problem {
    Problem::unsupported("JPEG", reason.into())
}
