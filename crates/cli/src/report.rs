//! How commands answer on standard output: all at once, as aligned text or as one JSON document.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};

use anyhow::{Context, Result};
use serde::Serialize;

/// An answer in both forms: JSON by its fields, text by this trait.
pub(crate) trait Report: Serialize {
    /// Lines for a person.
    fn text(&self) -> String;
}

/// Prints an answer.
pub(crate) fn print(report: &impl Report, json: bool) -> Result<()> {
    let mut text = if json { serde_json::to_string(report).context("cannot write JSON")? } else { report.text() };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // The reader, `head` for one, has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write to standard output; see where it goes"),
    }
}

/// To which side a column's cells stick.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows of cells in columns as wide as they need to be.
pub(crate) struct Table {
    align: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new<const N: usize>(columns: [(&str, Align); N]) -> Self {
        let mut table = Self::bare(columns.map(|(_, align)| align).to_vec());
        table.row(columns.map(|(title, _)| title.into()));
        table
    }

    /// A table without a line of titles.
    pub fn bare(align: Vec<Align>) -> Self {
        Self { align, rows: Vec::new() }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| printable(&cell)).collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let cells = |column: usize| self.rows.iter().filter_map(move |row| row.get(column));
        let width = |column| cells(column).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..self.align.len()).map(|column| width(column).unwrap_or(0)).collect();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, &width), align) in row.iter().zip(&widths).zip(&self.align) {
                match align {
                    Align::Left => write!(line, "{cell:<width$}  ")?,
                    Align::Right => write!(line, "{cell:>width$}  ")?,
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A file's words with control characters escaped, so that it cannot drive the reader's terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// 6095488 as 6,095,488.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Milliseconds with about four digits.
pub(crate) fn millis(ms: f64) -> String {
    let decimals = if ms < 10.0 {
        3
    } else if ms < 100.0 {
        2
    } else {
        1
    };
    format!("{ms:.decimals$}")
}

/// Bytes in the largest unit that leaves a number above 1.
pub(crate) fn bytes(count: u64) -> String {
    match count {
        0..0x400 => format!("{count} B"),
        0x400..0x10_0000 => format!("{:.1} KiB", count as f64 / 1024.0),
        _ => format!("{:.1} MiB", count as f64 / 1024.0 / 1024.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new([("name", Align::Left), ("n", Align::Right)]);
        table.row(["a".into(), "1".into()]);
        table.row(["long\x1bname".into(), "1000".into()]);
        assert_eq!(table.to_string(), "name               n\na                  1\nlong\\u{1b}name  1000\n");
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!([0, 999, 1000, 6095488].map(grouped), ["0", "999", "1,000", "6,095,488"]);
        assert_eq!([0.1234, 12.345, 123.45].map(millis), ["0.123", "12.35", "123.5"]);
        assert_eq!([12, 2048, 3 << 20].map(bytes), ["12 B", "2.0 KiB", "3.0 MiB"]);
    }
}
