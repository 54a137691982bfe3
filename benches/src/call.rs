//! A model, ready to be timed.

use kernels::Level;
use vit::{Config, Model};

use crate::{Aligned, packed};

/// A model with seeded weights and the buffers of a call.
pub struct Call {
    config: Config,
    packed: Aligned,
    level: Level,
    image: Aligned,
    logits: Vec<f32>,
    scratch: Aligned,
}

impl Call {
    /// A model at a level.
    pub fn new(config: Config, level: Level) -> Self {
        let packed = packed(&config);
        let scratch = Model::new(&config, &packed).expect("the weights are packed for it").scratch_len(level);
        Call {
            image: Aligned::painted(config.image_len()),
            logits: vec![0.0; config.outputs()],
            scratch: Aligned::zeros(scratch),
            config,
            packed,
            level,
        }
    }

    /// One image.
    pub fn run(&mut self) {
        let model = Model::new(&self.config, &self.packed).expect("the weights are packed for it");
        model.run(self.level, &self.image, &mut self.logits, &mut self.scratch).expect("the buffers have its lengths");
    }
}
