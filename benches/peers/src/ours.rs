//! This repository's program, as a library.

use std::path::PathBuf;

use anyhow::Result;
use kernels::Level;
use weights::LoadedModel;

use crate::{Engine, file};

struct Ours {
    model: LoadedModel<'static>,
    level: Level,
    scratch: Vec<f32>,
}

pub(crate) fn load(model: &str) -> Result<Box<dyn Engine>> {
    open(file(model, "safetensors")?)
}

pub(crate) fn load_packed(model: &str) -> Result<Box<dyn Engine>> {
    open(file(model, "packed")?)
}

fn open(path: PathBuf) -> Result<Box<dyn Engine>> {
    let model = weights::load(path)?;
    let level = Level::detect();
    let scratch = vec![0.0; model.model().scratch_len(level)];
    Ok(Box::new(Ours { model, level, scratch }))
}

/// Writes a model's packed file beside its checkpoint, again if there is one.
pub fn pack(model: &str) -> Result<()> {
    let checkpoint = file(model, "safetensors")?;
    weights::save_packed(checkpoint.with_extension("packed"), &weights::load(&checkpoint)?)?;
    Ok(())
}

impl Engine for Ours {
    fn run(&mut self, image: &[f32]) -> Result<Vec<f32>> {
        let model = self.model.model();
        let mut logits = vec![0.0; model.config().outputs()];
        model.run(self.level, image, &mut logits, &mut self.scratch)?;
        Ok(logits)
    }
}
