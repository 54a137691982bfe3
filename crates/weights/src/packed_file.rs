//! Packed files: a model's weights in the order in which they are read, so that loading has nothing to compute.
//!
//! A packed file is a safetensors file of one F32 tensor, `packed`: what [`vit::pack`] made of a checkpoint's tensors,
//! beginning on a cache line. Its metadata has the description (`config`), the version of the order of the values
//! (`packed`, [`vit::PACKED_VERSION`]) and the CRC-32 of the description's text and the values after it (`checksum`).
//! Packing has checked the values; loading checks the header and the lengths; [`LoadedModel::verify`] the checksum.
//!
//! [`LoadedModel::verify`]: crate::LoadedModel::verify

pub(crate) mod checksum;
pub(crate) mod read;
pub(crate) mod values;
mod write;

pub use write::save_packed;

/// The only tensor, and the metadata entry with the version of its order.
const PACKED: &str = "packed";
/// The metadata entry with the checksum.
const CHECKSUM: &str = "checksum";
