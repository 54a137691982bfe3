//! What models are made of: each layer lists its weights, and computes from channel-major activations.

pub(crate) mod block;
#[cfg(feature = "plain")]
pub(crate) mod embed;
pub(crate) mod head;
pub(crate) mod linear;
pub(crate) mod norm;
pub(crate) mod stream;
pub(crate) mod unfold;
#[cfg(feature = "swin")]
pub(crate) mod window;
