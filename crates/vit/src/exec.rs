//! How a forward pass is carried out: instruction set, threads, scratch, and what is reported on the way.

pub(crate) mod error;
pub(crate) mod executor;
pub(crate) mod options;
pub(crate) mod pass;
#[cfg(feature = "parallel")]
pub(crate) mod rayon;
pub(crate) mod share;
pub(crate) mod workspace;
