//! What a source says about a model.

use vit::Config;

use crate::config::Said;

/// What a source says about a model: its configuration, how images are prepared, and what to warn about.
#[derive(Debug)]
pub(crate) struct Told {
    pub config: Config,
    pub said: Said,
    /// Whether the file must have the factors of LayerScale.
    pub layer_scale: bool,
    pub warnings: Vec<String>,
    pub assumed: Vec<String>,
    /// The images' size that the source names, whatever the file's positions are for.
    pub image_size: Option<usize>,
}
