//! [tract](https://docs.rs/tract-onnx) on the ONNX file, optimised for images of 224 x 224. Without its feature
//! `multithread-mm` it has one thread.

use std::sync::Arc;

use anyhow::Result;
use tract_onnx::prelude::*;

use crate::{Engine, file};

struct Tract(Arc<TypedRunnableModel>);

pub(crate) fn load(model: &str) -> Result<Box<dyn Engine>> {
    let fact = f32::fact([1, 3, 224, 224]).into();
    let model = tract_onnx::onnx().model_for_path(file(model, "onnx")?)?.with_input_fact(0, fact)?;
    Ok(Box::new(Tract(model.into_optimized()?.into_runnable()?)))
}

impl Engine for Tract {
    fn run(&mut self, image: &[f32]) -> Result<Vec<f32>> {
        let image = Tensor::from_shape(&[1, 3, 224, 224], image)?;
        let logits = self.0.run(tvec!(image.into_tvalue()))?;
        Ok(logits[0].to_plain_array_view::<f32>()?.iter().copied().collect())
    }
}
