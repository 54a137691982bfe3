//! What each command does, and how the program ends.

mod bench;
mod classify;
mod eval;
mod export_random;
mod inspect;
mod pack;
mod profile;
mod run;
mod table;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;

use crate::args::{Command, Program};
use crate::diagnostics::{self, Usage};

/// How a command ended that did not fail as a whole.
pub(crate) enum Outcome {
    Complete,
    /// Some of several images could not be used; standard error says which.
    Partial,
}

impl Outcome {
    fn of(failed: usize) -> Self {
        if failed == 0 { Self::Complete } else { Self::Partial }
    }
}

/// Runs the program: 0 when all is done, 1 when something failed, 2 for wrong usage.
pub fn main() -> ExitCode {
    let program = match Program::try_parse() {
        Ok(program) => program,
        Err(usage) => {
            // Help that nobody reads to its end is no failure.
            let _ = usage.print();
            return ExitCode::from(usage.exit_code() as u8);
        }
    };
    match execute(program.command) {
        Ok(Outcome::Complete) => ExitCode::SUCCESS,
        Ok(Outcome::Partial) => ExitCode::FAILURE,
        Err(error) => {
            diagnostics::error(&error);
            if error.is::<Usage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn execute(command: Command) -> Result<Outcome> {
    match command {
        Command::Classify(args) => classify::execute(&args),
        Command::Run(args) => run::execute(&args),
        Command::Bench(args) => bench::execute(&args),
        Command::Profile(args) => profile::execute(&args),
        Command::Inspect(args) => inspect::execute(&args),
        Command::Table(args) => table::execute(&args),
        Command::ExportRandom(args) => export_random::execute(&args),
        Command::Pack(args) => pack::execute(&args),
        Command::Eval(args) => eval::execute(&args),
    }
}

/// Refuses a place where no file can be written, before the work is done that the file is for.
fn check_output(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        bail!("{}: the folder {} does not exist; create it or name another", path.display(), folder.display());
    }
    if path.is_dir() {
        bail!("{}: is a folder, expected the name of a file to write", path.display());
    }
    Ok(())
}
