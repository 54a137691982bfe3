//! What goes to standard error: notes, warnings, failures and progress. None of it can fail the program.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};

use crate::text::printable_lines;

/// Says what somebody may want to know.
pub(crate) fn note(message: impl Display) {
    say("note", message);
}

/// Says something that does not stop the program.
pub(crate) fn warn(message: impl Display) {
    say("warning", message);
}

/// Says what went wrong, and why as far as that is not said yet: a library's error repeats the operating system's.
pub(crate) fn error(error: &anyhow::Error) {
    let mut message = String::new();
    for cause in error.chain().map(ToString::to_string).filter(|cause| !cause.is_empty()) {
        if !message.contains(&cause) {
            message = if message.is_empty() { cause } else { format!("{message}: {cause}") };
        }
    }
    say("error", message);
}

/// Says what is wrong with the command line, or prints the help that it asks for.
pub(crate) fn usage(usage: &clap::Error) -> ExitCode {
    // Help that nobody reads to its end is no failure. Only what is wrong repeats words of the command line, which may
    // be names of files.
    let _ = match usage.use_stderr() {
        false => usage.print(),
        true => write!(std::io::stderr(), "{}", printable_lines(&usage.to_string())),
    };
    ExitCode::from(usage.exit_code() as u8)
}

/// `eprintln!` would panic where standard error is closed. Then nobody can be told.
fn say(kind: &str, message: impl Display) {
    let message = printable_lines(&message.to_string());
    let _ = writeln!(std::io::stderr(), "{kind}: {message}");
}

/// A bar for so many steps; invisible unless standard error is a terminal and there is something to wait for.
pub(crate) fn progress(steps: usize, unit: &str) -> ProgressBar {
    if steps < 2 {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(&format!("{{bar:40}} {{pos}}/{{len}} {unit}, {{eta}} left"));
    ProgressBar::new(steps as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
