//! `export-random`: a checkpoint with seeded random weights.

use anyhow::Result;
use serde::Serialize;
use weights::Random;

use super::{Outcome, check_output};
use crate::args::ExportRandomArgs;
use crate::models;
use crate::report::{Report, bytes, grouped, print};

#[derive(Serialize)]
struct Summary {
    output: String,
    params: u64,
    bytes: u64,
}

pub(super) fn execute(args: &ExportRandomArgs) -> Result<Outcome> {
    check_output(&args.output)?;
    let description = models::describe(&args.arch, &args.settings)?;
    models::check_size(&description)?;
    let mut random = Random::new(args.seed).for_model(&description.config);
    let bytes = weights::save(&args.output, &description, &mut random)?;
    let output = args.output.to_string_lossy().into_owned();
    print(&Summary { output, params: description.config.params(), bytes }, args.format.json)?;
    Ok(Outcome::Complete)
}

impl Report for Summary {
    fn text(&self) -> String {
        format!("{}: {} parameters, {}", self.output, grouped(self.params), bytes(self.bytes))
    }
}
