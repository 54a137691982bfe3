//! `pack`: a checkpoint as a packed file, which runs where it lies.

use anyhow::Result;
use serde::Serialize;

use super::{Outcome, check_output};
use crate::args::PackArgs;
use crate::models;
use crate::report::{Report, bytes, grouped, print};

#[derive(Serialize)]
struct Summary {
    output: String,
    params: u64,
    bytes: u64,
    checksum: String,
}

pub(super) fn execute(args: &PackArgs) -> Result<Outcome> {
    check_output(&args.output)?;
    let model = models::pack(&args.input, args.arch.as_deref())?;
    let bytes = weights::save_packed(&args.output, &model)?;
    let output = args.output.to_string_lossy().into_owned();
    let summary = Summary { output, params: model.description().config.params(), bytes, checksum: model.verify()? };
    print(&summary, args.format.json)?;
    Ok(Outcome::Complete)
}

impl Report for Summary {
    fn text(&self) -> String {
        let Self { output, params, bytes: length, checksum } = self;
        format!("{output}: {} parameters, {}, {checksum}", grouped(*params), bytes(*length))
    }
}
