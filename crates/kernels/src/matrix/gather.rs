//! Columns of panels in another order: what shifted windows and merged patches read.
//!
//! Tokens that follow each other in the new order mostly followed each other in the old one too, directly or with one in between.
//! Such runs are found once and then copied in every row.

use core::array::from_fn;
use core::iter::Peekable;

use super::panels::Panels;
use super::view_mut::ViewMut;
use crate::error::Error;

/// Values that are copied at a time.
const WIDTH: usize = 4;
/// Runs of one kind whose places are worked out together, for all rows.
const RUNS: usize = 32;
/// Kinds of runs: their lengths by the gaps between their columns.
const KINDS: usize = 2 * WIDTH;

/// `out[i][c] = source[rows[i]][columns[c]]`
///
/// ```
/// use kernels::{Panels, ViewMut, internal::gather_columns};
/// let source = Panels::single(&[0.0, 1.0, 2.0, 10.0, 11.0, 12.0], 2, 3)?;
/// let mut out = [0.0; 4];
/// gather_columns(&source, [1, 0].into_iter(), [2, 0].into_iter(), &mut ViewMut::new(&mut out, 2, 2)?)?;
/// assert_eq!(out, [12.0, 10.0, 2.0, 0.0]);
/// # Ok::<(), kernels::Error>(())
/// ```
///
/// What `out` lacks, or has beyond the iterators' ends, is left alone.
///
/// # Errors
/// [`Error::RowsNotContiguous`] for `out`; [`Error::Range`] if a row or column is beyond the last, for which columns in front of
/// it may have been written.
pub fn gather_columns(
    source: &Panels,
    rows: impl Iterator<Item = usize> + Clone,
    columns: impl Iterator<Item = usize>,
    out: &mut ViewMut,
) -> Result<(), Error> {
    const OPERATION: &str = "gather_columns";
    if out.is_empty() {
        return Ok(());
    }
    check_rows(OPERATION, source, rows.clone(), out)?;
    for_each_chunk(OPERATION, source, columns.take(out.columns()), |chunk| {
        chunk.read(rows.clone(), out, |y, x| *y = x);
    })
}

/// `out[r][c] = scale * out[r][c] + source[r][columns[c]]`: a residual whose branch was computed in another order.
///
/// ```
/// use kernels::{Panels, ViewMut, internal::add_gathered_columns};
/// let branch = Panels::single(&[1.0, 2.0, 3.0], 1, 3)?;
/// let mut out = [10.0, 20.0, 30.0];
/// add_gathered_columns(0.5, &branch, [2, 0, 1].into_iter(), &mut ViewMut::new(&mut out, 1, 3)?)?;
/// assert_eq!(out, [8.0, 11.0, 17.0]);
/// # Ok::<(), kernels::Error>(())
/// ```
///
/// # Errors
/// As [`gather_columns`].
pub fn add_gathered_columns(
    scale: f32,
    source: &Panels,
    columns: impl Iterator<Item = usize>,
    out: &mut ViewMut,
) -> Result<(), Error> {
    const OPERATION: &str = "add_gathered_columns";
    if out.is_empty() || source.rows() == 0 {
        return Ok(());
    }
    check_rows(OPERATION, source, 0..0, out)?;
    for_each_chunk(OPERATION, source, columns.take(out.columns()), |chunk| {
        chunk.read(0..out.rows().min(source.rows()), out, |y, x| *y = scale * *y + x);
    })
}

/// Fails unless `out` has contiguous rows and the source those that are to be read.
fn check_rows(
    operation: &'static str,
    source: &Panels,
    rows: impl Iterator<Item = usize>,
    out: &ViewMut,
) -> Result<(), Error> {
    if !out.has_contiguous_rows() {
        return Err(Error::RowsNotContiguous { operation, what: "out" });
    }
    rows.take(out.rows()).try_for_each(|row| check_index(operation, row, source.rows()))
}

fn check_index(what: &'static str, index: usize, len: usize) -> Result<(), Error> {
    if index < len { Ok(()) } else { Err(Error::Range { what, start: index, end: index.saturating_add(1), len }) }
}

/// A run of up to [`WIDTH`] columns that follow each other directly or with one in between.
#[derive(Clone, Copy, Default)]
struct Run {
    /// The place of its first value, in row 0.
    start: usize,
    /// Its first column in the new order.
    column: usize,
}

/// Some columns of a source, in panels with equal steps from row to row.
struct Chunk<'a> {
    source: Panels<'a>,
    step: usize,
    runs: [[Run; RUNS]; KINDS],
    counts: [usize; KINDS],
    /// The column behind the last.
    end: usize,
}

/// Calls `work` for the given columns, some at a time.
fn for_each_chunk<'a>(
    operation: &'static str,
    source: &Panels<'a>,
    columns: impl Iterator<Item = usize>,
    mut work: impl FnMut(&Chunk<'a>),
) -> Result<(), Error> {
    let mut columns = columns.peekable();
    let runs = [[Run::default(); RUNS]; KINDS];
    let mut chunk = Chunk { source: *source, step: 0, runs, counts: [0; KINDS], end: 0 };
    while columns.peek().is_some() {
        chunk.fill(operation, &mut columns)?;
        work(&chunk);
    }
    Ok(())
}

/// The kind of runs of N columns with gaps of GAP.
const fn kind(len: usize, gap: usize) -> usize {
    WIDTH * (gap - 1) + len - 1
}

impl Chunk<'_> {
    /// Takes the next columns.
    fn fill(
        &mut self,
        operation: &'static str,
        columns: &mut Peekable<impl Iterator<Item = usize>>,
    ) -> Result<(), Error> {
        self.counts = [0; KINDS];
        let first = self.end;
        while let Some(&column) = columns.peek() {
            check_index(operation, column, self.source.columns())?;
            let (start, step, left) = self.source.place(column);
            if self.end > first && step != self.step {
                break;
            }
            self.step = step;
            columns.next();
            let gap = if columns.peek() == Some(&(column + 2)) { 2 } else { 1 };
            let mut len = 1;
            while len < WIDTH && len * gap < left && columns.next_if_eq(&(column + len * gap)).is_some() {
                len += 1;
            }
            let kind = if len == 1 { kind(1, 1) } else { kind(len, gap) };
            let (runs, count) = (&mut self.runs[kind], &mut self.counts[kind]);
            runs[*count] = Run { start, column: self.end };
            *count += 1;
            self.end += len;
            if *count == RUNS {
                break;
            }
        }
        Ok(())
    }

    /// Calls `work` with each place in these columns of `out` and its value, which comes from the row that `rows` says.
    #[inline(always)]
    fn read(&self, rows: impl Iterator<Item = usize>, out: &mut ViewMut, work: impl Fn(&mut f32, f32) + Copy) {
        let outs = out.each_row_mut(0..out.rows(), 0..self.end);
        for (row, out) in rows.zip(outs) {
            let from = &self.source.data()[(row * self.step).min(self.source.data().len())..];
            self.read_row(from, out, work);
        }
    }

    /// [`Chunk::read`] for a row of the source and of `out`.
    #[inline(never)]
    fn read_row(&self, from: &[f32], out: &mut [f32], work: impl Fn(&mut f32, f32) + Copy) {
        // Lengths that the compiler knows.
        self.read_runs::<1, 1>(from, out, work);
        self.read_runs::<2, 1>(from, out, work);
        self.read_runs::<3, 1>(from, out, work);
        self.read_runs::<WIDTH, 1>(from, out, work);
        self.read_runs::<2, 2>(from, out, work);
        self.read_runs::<3, 2>(from, out, work);
        self.read_runs::<WIDTH, 2>(from, out, work);
    }

    /// [`Chunk::read_row`] for runs of N columns with gaps of GAP.
    #[inline(always)]
    fn read_runs<const N: usize, const GAP: usize>(&self, from: &[f32], out: &mut [f32], work: impl Fn(&mut f32, f32)) {
        let kind = const { kind(N, GAP) };
        for run in &self.runs[kind][..self.counts[kind]] {
            let from = &from[run.start..][..(N - 1) * GAP + 1];
            // All values, then all places: the compiler does not have to ask whether one is the other.
            let values: [f32; N] = from_fn(|i| from[i * GAP]);
            let out = out[run.column..].first_chunk_mut::<N>().expect("a run lies within its row");
            out.iter_mut().zip(values).for_each(|(y, x)| work(y, x));
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::isa::level::Level;
    use crate::matrix::layout::PanelLayout;
    use crate::matrix::view::View;
    use std::vec;
    use std::vec::Vec;

    /// Runs of all lengths and gaps, across panels, to the last value of the data, in more runs than a chunk has.
    #[test]
    fn columns_come_from_their_places() {
        let (rows, columns) = (40, 150);
        let x: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
        let widths = (1..20).map(|width| Level::PORTABLE.panels_of_width(columns, width).unwrap());
        for layout in widths.chain([PanelLayout::single(columns), Level::PORTABLE.panels(columns)]) {
            let mut data = vec![f32::NAN; rows * layout.padded()];
            layout.to_panels(&View::new(&x, rows, columns).unwrap(), &mut data).unwrap();
            let source = Panels::new(&data, rows, layout).unwrap();
            for (stride, shift) in [(1, 0), (1, 5), (2, 0), (2, 3), (7, 0), (149, 3), (51, 149)] {
                // Pieces of some length, in another order.
                for piece in [1, 2, 3, 4, 5, 10, 30] {
                    let places: Vec<usize> =
                        (0..columns).map(|c| ((c / piece * stride + shift) * piece + c % piece) % columns).collect();
                    let mut out = vec![0.0; rows * columns];
                    let mut view = ViewMut::new(&mut out, rows, columns).unwrap();
                    gather_columns(&source, (0..rows).rev(), places.iter().copied(), &mut view).unwrap();
                    for (i, row) in (0..rows).rev().enumerate() {
                        for (c, place) in places.iter().enumerate() {
                            assert_eq!(out[i * columns + c], x[row * columns + place], "{layout:?} {stride} {piece}");
                        }
                    }
                    let mut sum: Vec<f32> = (0..rows * columns).map(|i| (i % 17) as f32).collect();
                    let before = sum.clone();
                    let mut view = ViewMut::new(&mut sum, rows, columns).unwrap();
                    add_gathered_columns(0.5, &source, places.iter().copied(), &mut view).unwrap();
                    for (i, y) in sum.iter().enumerate() {
                        let (row, c) = (i / columns, i % columns);
                        assert_eq!(*y, 0.5 * before[i] + x[row * columns + places[c]]);
                    }
                }
            }
        }
    }
}
