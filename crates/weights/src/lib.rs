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
//! Files are believed only after they were checked, and checking never allocates what a file merely claims. A
//! [`TensorFile`] is consistent with itself, a [`Checkpoint`] with the model that it describes, and a [`LoadedModel`] is
//! ready to run. [`save`] writes checkpoints, [`save_packed`] the packed files that run where they lie, [`write_tensors`]
//! any tensors; [`Random`] makes weights up.

#![deny(unsafe_code)]

mod aligned;
mod arch;
mod checkpoint;
mod config;
mod contents;
mod description;
mod error;
mod json;
mod loaded;
mod loader;
mod matching;
#[cfg(feature = "mmap")]
#[allow(unsafe_code)]
mod mmap;
mod names;
mod options;
mod output;
mod packed_file;
mod preparation;
mod random;
mod report;
mod safetensors;
mod settings;
mod shards;
mod text;
mod values;
mod words;

pub use crate::safetensors::{RowWriter, TensorFile, TensorInfo, save, write_tensors};
pub use ::safetensors::Dtype;
pub use aligned::Aligned;
pub use arch::named;
pub use checkpoint::Checkpoint;
pub use description::Description;
pub use error::{Error, SystemError};
pub use loaded::LoadedModel;
pub use loader::{Loader, load};
pub use output::{Output, is_same_file, remove_unfinished};
pub use packed_file::save_packed;
pub use preparation::{Interpolation, Preparation, UnknownInterpolation};
pub use random::Random;
pub use report::{Problem, ProblemKind, Report};
pub use settings::named_with;
