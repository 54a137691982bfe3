//! The program `shuffle-vit`.

#![deny(unsafe_code)]

mod buffer;
mod classes;
mod commands;
mod confusion;
mod dataset;
mod diagnostics;
mod flags;
mod idx;
mod interrupt;
mod labels;
mod models;
mod outcome;
mod output;
mod pictures;
mod report;
mod stats;
mod text;
mod theory;
mod threads;
mod timing;
mod walk;

use std::process::ExitCode;

use clap::Parser;

use commands::Program;
use outcome::{Outcome, Usage};

/// Runs the program: 0 when all is done, 1 when something failed, 2 for wrong usage.
fn main() -> ExitCode {
    let program = match Program::try_parse() {
        Ok(program) => program,
        Err(usage) => return diagnostics::usage(&usage),
    };
    match program.command.execute() {
        Ok(Outcome::Complete) => ExitCode::SUCCESS,
        Ok(Outcome::Partial) => ExitCode::FAILURE,
        Err(error) => {
            diagnostics::error(&error);
            if error.is::<Usage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}
