#![no_std]
#![forbid(unsafe_code)]
//! Inference-only tiny vision transformers, vanilla and with the channel-shuffle module (arXiv 2310.05642).
//!
//! The module doubles a ViT's channels at the embedding; every block works on the first half, and a shuffle between blocks
//! lets the halves trade channels. Here activations are channel-major, so the shuffle is a number
//! ([`kernels::ChannelOrder`]) and costs nothing at any depth.
//!
//! A [`Config`] says what a model is, [`pack`] brings a checkpoint's tensors into the order in which they are read, and a
//! [`Model`] runs over them from a shared slice with scratch from the caller: no std, no allocation, no interior
//! mutability.
//!
//! Features: `std` (default) detects the CPU's instruction set at run time; `parallel` adds `Model::run_parallel` on a
//! rayon pool.

#[cfg(any(test, feature = "parallel"))]
extern crate std;

mod block;
mod config;
mod embed;
mod head;
mod linear;
mod model;
mod packing;
mod pass;
mod plain;
mod split;
mod swin;
mod t2t;
mod tensors;
mod unfold;
mod window;

pub use config::{
    Config, ConfigError, Layer, LayerName, MAX_DEPTH, MAX_SIZE, MAX_STAGES, Pool, Rescale, Stages, SwinConfig,
    TensorName, Tokens, VitConfig,
};
pub use kernels::Level;
pub use model::{Model, RunError, Tap, pack, packed_len};
pub use packing::{PACKED_VERSION, PackError};
pub use pass::{Operation, Watch};
pub use tensors::Tensors;
