//! [rten](https://docs.rs/rten) on the ONNX file.

use std::sync::Arc;

use anyhow::{Context, Result};
use rten::{Model, ModelOptions, RunOptions, ThreadPool};
use rten_tensor::{AsView, NdTensorView};

use crate::{Engine, file};

struct Rten {
    model: Model,
    options: RunOptions,
}

pub(crate) fn load(model: &str) -> Result<Box<dyn Engine>> {
    load_with(model, false)
}

pub(crate) fn load_prepacked(model: &str) -> Result<Box<dyn Engine>> {
    load_with(model, true)
}

fn load_with(model: &str, prepack: bool) -> Result<Box<dyn Engine>> {
    let model = ModelOptions::with_all_ops().prepack_weights(prepack).load_file(file(model, "onnx")?)?;
    let mut options = RunOptions::default();
    options.thread_pool = Some(Arc::new(ThreadPool::with_num_threads(1)));
    Ok(Box::new(Rten { model, options }))
}

impl Engine for Rten {
    fn run(&mut self, image: &[f32]) -> Result<Vec<f32>> {
        let image = NdTensorView::from_data([1, 3, 224, 224], image);
        let logits = self.model.run_one(image.into(), Some(self.options.clone()))?;
        let logits = logits.as_tensor_view::<f32>().context("logits are f32")?;
        Ok(logits.to_vec())
    }
}
