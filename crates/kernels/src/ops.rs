//! The operations of a transformer's layer besides plain products.

pub(crate) mod attention;
pub(crate) mod gelu;
pub(crate) mod layer_norm;
pub(crate) mod random_features;
pub(crate) mod softmax;
pub(crate) mod token_sums;
