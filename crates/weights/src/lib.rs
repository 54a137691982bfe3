//! From a PyTorch checkpoint to a model: safetensors files read, checked against what they describe, and written.

#![deny(unsafe_code)]

mod aligned;
mod arch;
mod checkpoint;
mod config;
mod convert;
mod description;
mod error;
mod header;
mod json;
mod load;
#[allow(unsafe_code)]
mod map;
mod matching;
mod names;
mod preparation;
mod random;
mod report;
#[allow(unsafe_code)] // `from_mmap` passes its caller's promise on to `map`
mod safetensors;
mod source;
mod text;
mod write;

pub use crate::safetensors::TensorFile;
pub use ::safetensors::Dtype;
pub use arch::named;
pub use checkpoint::Checkpoint;
pub use description::Description;
pub use error::Error;
pub use header::TensorInfo;
pub use load::{LoadedModel, from_bytes, load};
pub use preparation::{Interpolation, Preparation, UnknownInterpolation};
pub use random::Random;
pub use report::{Problem, ProblemKind, Report};
pub use write::{save, write_tensors};
