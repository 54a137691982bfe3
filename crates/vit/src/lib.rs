#![no_std]
#![forbid(unsafe_code)]
// What a family that is left out would use.
#![cfg_attr(not(all(feature = "t2t", feature = "swin")), allow(dead_code))]
#![cfg_attr(not(any(feature = "plain", feature = "swin")), allow(unused_imports, unused_variables, unreachable_code))]
//! Inference-only tiny vision transformers, vanilla and with the channel-shuffle module (arXiv 2310.05642).
//!
//! The module doubles a ViT's channels at the embedding; every block works on the first half, and a shuffle between blocks
//! lets the halves trade channels. Here activations are channel-major, so a shuffle only changes the stride between channels
//! ([`kernels::ChannelOrder`]) and moves no data, at any depth.
//!
//! A [`Config`] says what a model is, [`pack`] brings a checkpoint's tensors into the order in which they are read, and a
//! [`Model`] runs over them from a shared slice with scratch from the caller: no std, no allocation, no interior
//! mutability. [`RunOptions`] says on which threads, and shows what happens between the blocks.
//!
//! # Features
//!
//! | feature | default | |
//! |---|---|---|
//! | `std` | yes | detects the CPU's instruction set at run time instead of at build time |
//! | `parallel` | no | [`Rayon`](https://docs.rs/rayon): the [`Executor`] on threads of that crate |
//! | `plain` | yes | plain vision transformers: DeiT, DINOv2 and their relatives |
//! | `t2t` | yes | T2T-ViT, a plain model behind an embedding of its own |
//! | `swin` | yes | Swin |
//!
//! Without a family's feature its models can be described, but not packed and run.

#[cfg(any(test, feature = "parallel"))]
extern crate std;

mod config;
mod exec;
mod families;
mod layers;
mod model;
mod packed;

pub use config::{
    Config, ConfigError, Family, Layer, LayerName, MAX_DEPTH, MAX_SIZE, MAX_STAGES, Pool, Rescale, Stages, SwinConfig,
    TensorName, Tokens, VitConfig,
};
pub use exec::error::RunError;
pub use exec::executor::Executor;
pub use exec::options::{OnIntermediate, RunOptions};
pub use exec::pass::{Operation, Profiler};
#[cfg(feature = "parallel")]
pub use exec::rayon::Rayon;
pub use kernels::Level;
pub use layers::stream::Intermediate;
pub use model::{Model, pack, packed_len};
pub use packed::{PACKED_VERSION, PackError, Tensors};

/// The example of the README, so that it is compiled as everything else is.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
