#![no_std]
#![forbid(unsafe_code)]
//! placeholder front page

mod config;
mod tensors;

pub use config::{Config, ConfigError, Layer, LayerName, MAX_DEPTH, MAX_SIZE, Pool, Rescale, TensorName, VitConfig};
pub use tensors::Tensors;
