//! How commands answer: as aligned text or as JSON, on standard output.

use std::fmt::{self, Write as _};
use std::io;

use anyhow::{Context, Result};
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use crate::text::{printable, printable_lines};

/// An answer in both forms: JSON by its fields, text by this trait.
pub(crate) trait Report: Serialize {
    /// Lines for a person.
    fn text(&self) -> String;
}

/// Where answers go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Output,
    /// Standard error, where standard output is the file that a command writes.
    Error,
}

impl Stream {
    /// The stream that is free while `file` is written.
    pub fn beside(file: &weights::Output) -> Self {
        if file.is_stdout() { Self::Error } else { Self::Output }
    }

    /// Prints an answer.
    pub fn print(self, report: &impl Report, json: bool) -> Result<()> {
        let text = if json { to_json(report)? } else { printable_lines(&report.text()) };
        self.write(&text).map(|_| ())
    }

    /// Writes lines at once, and returns whether anybody still reads them.
    pub fn write(self, text: &str) -> Result<bool> {
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let line = format!("{text}{end}");
        let result = match self {
            Self::Output => write_all(io::stdout().lock(), &line),
            // As with every message there, it is no failure if nobody reads it.
            Self::Error => write_all(io::stderr().lock(), &line).or(Ok(())),
        };
        match result {
            // The reader, `head` for one, has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            result => result.map(|()| true).context("cannot write to standard output; see where it goes"),
        }
    }
}

/// Prints an answer on standard output.
pub(crate) fn print(report: &impl Report, json: bool) -> Result<()> {
    Stream::Output.print(report, json)
}

pub(crate) fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).context("cannot write JSON")
}

fn write_all(mut out: impl io::Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    out.flush()
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
        let width = |column| cells(column).map(|cell| cell.width()).max().unwrap_or(0);
        let columns: Vec<Column> =
            (0..self.align.len()).map(|i| Column { align: self.align[i], width: width(i) }).collect();
        self.rows.iter().try_for_each(|row| writeln!(f, "{}", line(&columns, row)))
    }
}

/// A column whose width is known before its cells are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub align: Align,
    pub width: usize,
}

impl Column {
    /// A column with a title, wide enough for cells of so many characters.
    pub fn new(title: &str, align: Align, cells: usize) -> Self {
        Self { align, width: title.width().max(cells) }
    }
}

/// A row of printable cells. One that is wider than its column moves what follows it.
pub(crate) fn line(columns: &[Column], cells: &[String]) -> String {
    let mut line = String::new();
    for (column, cell) in columns.iter().zip(cells) {
        let gap = " ".repeat(column.width.saturating_sub(cell.width()));
        let (before, behind) = match column.align {
            Align::Left => ("", &*gap),
            Align::Right => (&*gap, ""),
        };
        // Writing to a string cannot fail.
        let _ = write!(line, "{before}{cell}{behind}  ");
    }
    line.truncate(line.trim_end().len());
    line
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

    /// A decomposed accent takes no column, an ideograph two.
    #[test]
    fn widths_are_those_of_a_terminal() {
        let mut table = Table::bare(vec![Align::Left, Align::Left]);
        ["cafe\u{301}", "猫", "cafe"].into_iter().for_each(|name| table.row([name.into(), "|".into()]));
        assert_eq!(table.to_string(), "cafe\u{301}  |\n猫    |\ncafe  |\n");
    }

    #[test]
    fn a_cell_wider_than_its_column_is_not_cut() {
        let columns = [Column::new("image", Align::Left, 2), Column::new("ms", Align::Right, 5)];
        assert_eq!(line(&columns, &["a.png".into(), "1".into()]), "a.png      1");
        assert_eq!(line(&columns, &["longer.png".into(), "1".into()]), "longer.png      1");
    }
}
