//! From a PyTorch checkpoint to a model: safetensors files read, checked against what they describe, and written.
//!
//! ```
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("model.safetensors");
//! # let description = weights::Description::new(weights::named("shuffle_deit_tiny")?);
//! # weights::save(&path, &description, &mut weights::Random::new(7))?;
//! let loaded = weights::load(&path)?; // any wrong tensor is named, with what was expected and found
//! let (model, level) = (loaded.model(), vit::Level::detect());
//! let image = vec![0.0; model.config().image_len()]; // prepared as `loaded.description().preparation` says
//! let mut logits = vec![0.0; model.config().outputs()];
//! let mut scratch = vec![0.0; model.scratch_len(level)];
//! model.run(level, &image, &mut logits, &mut scratch)?;
//! let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
//! println!("{}", loaded.description().label(best).unwrap_or("a class without a label"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A file is checked before it is used, and checking never allocates what a file merely claims. A [`TensorFile`] is
//! consistent with itself, a [`Checkpoint`] with the model that it describes, and a [`LoadedModel`] is ready to run.
//! [`save`] writes checkpoints, [`save_packed`] packed files, which load without any work, and [`write_tensors`] any
//! tensors; [`Random`] makes weights up. All of them write through an [`Output`], which replaces a file whole or not at all.
//!
//! Features:
//!
//! - `std` (default): checkpoints and files. Without it the crate has no heap and no standard library, and a
//!   [`PackedFile`] lends the weights of a packed model that is in memory already, as in a microcontroller's flash.
//! - `write` (default): writing files.
//! - `mmap`: [`Loader`] and [`TensorFile`] can map a file, as unsafe functions.

#![cfg_attr(not(feature = "std"), no_std)]
#![deny(unsafe_code)]

// Without the standard library.
mod floats;
mod keys;
mod packed_file;
mod words;

#[cfg(feature = "std")]
mod advice;
#[cfg(feature = "std")]
mod aligned;
#[cfg(feature = "std")]
mod arch;
#[cfg(feature = "std")]
mod checkpoint;
#[cfg(feature = "std")]
mod config;
#[cfg(feature = "std")]
mod contents;
#[cfg(feature = "std")]
mod description;
#[cfg(feature = "std")]
mod error;
#[cfg(feature = "std")]
mod infer;
#[cfg(feature = "std")]
mod json;
#[cfg(feature = "std")]
mod loaded;
#[cfg(feature = "std")]
mod loader;
#[cfg(feature = "std")]
mod matching;
#[cfg(feature = "std")]
mod metadata;
#[cfg(feature = "mmap")]
#[allow(unsafe_code)]
mod mmap;
#[cfg(feature = "std")]
mod names;
#[cfg(feature = "std")]
mod options;
#[cfg(feature = "write")]
mod output;
#[cfg(feature = "std")]
mod positions;
#[cfg(feature = "std")]
mod preparation;
#[cfg(feature = "std")]
mod random;
#[cfg(feature = "std")]
mod report;
#[cfg(feature = "std")]
mod resample;
#[cfg(feature = "std")]
mod safetensors;
#[cfg(feature = "std")]
mod settings;
#[cfg(feature = "std")]
mod shards;
#[cfg(feature = "std")]
mod text;
#[cfg(feature = "std")]
mod told;
#[cfg(feature = "std")]
mod values;

#[cfg(feature = "write")]
pub use crate::safetensors::{RowWriter, save, write_tensors};
#[cfg(feature = "std")]
pub use crate::safetensors::{TensorFile, TensorInfo};
#[cfg(feature = "std")]
pub use ::safetensors::Dtype;
#[cfg(feature = "std")]
pub use aligned::Aligned;
#[cfg(feature = "std")]
pub use arch::named;
#[cfg(feature = "std")]
pub use checkpoint::Checkpoint;
#[cfg(feature = "std")]
pub use description::Description;
#[cfg(feature = "std")]
pub use error::{Error, SystemError};
#[cfg(feature = "std")]
pub use loaded::LoadedModel;
#[cfg(feature = "std")]
pub use loader::{Loader, load};
#[cfg(feature = "write")]
pub use output::{Output, is_same_file, remove_unfinished};
#[cfg(feature = "write")]
pub use packed_file::save_packed;
pub use packed_file::{Label, PackedError, PackedFile};
#[cfg(feature = "std")]
pub use preparation::{CropMode, Interpolation, Preparation, UnknownInterpolation};
#[cfg(feature = "std")]
pub use random::Random;
#[cfg(feature = "std")]
pub use report::{Problem, ProblemKind, Report};
#[cfg(feature = "std")]
pub use settings::named_with;

/// The example of the README, so that it is compiled as everything else is.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
