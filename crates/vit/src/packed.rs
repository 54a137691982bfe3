//! Packed weights: their order, how a checkpoint's tensors are brought into it, and how layers find them.

pub(crate) mod layout;
pub(crate) mod packer;
mod tensors;

pub use layout::PACKED_VERSION;
pub use packer::PackError;
pub use tensors::Tensors;
