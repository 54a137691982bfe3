//! Packed files: a model's weights in the order in which they are read, so that loading has nothing to compute.
//!
//! A packed file is a safetensors file of one F32 tensor, `packed`: what [`vit::pack`] made of a checkpoint's tensors,
//! beginning on a cache line. Its metadata has the description (`config`), the version of the order of the values
//! (`packed`, [`vit::PACKED_VERSION`]) and the CRC-32 of the description's text and the values after it (`checksum`).
//! Packing has checked the values; loading checks the header and the lengths; `LoadedModel::verify` the checksum.

mod borrowed;
pub(crate) mod checksum;
mod entries;
mod in_place;
mod json;
#[cfg(feature = "std")]
pub(crate) mod read;
#[cfg(feature = "std")]
pub(crate) mod values;
#[cfg(feature = "write")]
mod write;

pub use borrowed::{Label, PackedError, PackedFile};
#[cfg(feature = "write")]
pub use write::save_packed;
