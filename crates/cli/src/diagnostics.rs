//! What goes to standard error: warnings, failures and progress. None of it can fail the program.

use std::fmt::Display;
use std::io::Write;

use indicatif::{ProgressBar, ProgressStyle};

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

/// `eprintln!` would panic where standard error is closed; then nobody is left to tell.
fn say(kind: &str, message: impl Display) {
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
