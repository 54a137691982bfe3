//! Columns of panels in another order: what shifted windows and merged patches read.
//!
//! Tokens that are neighbours in the new order mostly were in the old one, a few at a time, so values are copied in fours.

use core::iter::Peekable;

use crate::{Panels, ViewMut};

/// Values that are copied at a time.
const WIDTH: usize = 4;
/// Runs whose places are worked out together, for all rows.
const RUNS: usize = 64;

/// `out[i][c] = source[rows[i]][columns[c]]`
///
/// ```
/// use kernels::{Panels, ViewMut, gather_columns};
/// let source = Panels::single(&[0.0, 1.0, 2.0, 10.0, 11.0, 12.0], 2, 3)?;
/// let mut out = [0.0; 4];
/// gather_columns(&source, [1, 0].into_iter(), [2, 0].into_iter(), &mut ViewMut::new(&mut out, 2, 2)?);
/// assert_eq!(out, [12.0, 10.0, 2.0, 0.0]);
/// # Ok::<(), kernels::Error>(())
/// ```
///
/// # Panics
/// If a row or column is beyond the last, or `out` has no contiguous rows. What `out` lacks, or has beyond the iterators'
/// ends, is left alone.
pub fn gather_columns(
    source: &Panels,
    rows: impl Iterator<Item = usize> + Clone,
    columns: impl Iterator<Item = usize>,
    out: &mut ViewMut,
) {
    let count = out.rows();
    for_each_chunk(source, columns.take(out.columns()), |chunk| {
        for (i, row) in rows.clone().take(count).enumerate() {
            chunk.read(row, out.row_mut(i).expect("contiguous rows"), |y, x| *y = x);
        }
    });
}

/// `out[r][c] = scale * out[r][c] + source[r][columns[c]]`: a residual whose branch was computed in another order.
///
/// ```
/// use kernels::{Panels, ViewMut, add_gathered_columns};
/// let branch = Panels::single(&[1.0, 2.0, 3.0], 1, 3)?;
/// let mut out = [10.0, 20.0, 30.0];
/// add_gathered_columns(0.5, &branch, [2, 0, 1].into_iter(), &mut ViewMut::new(&mut out, 1, 3)?);
/// assert_eq!(out, [8.0, 11.0, 17.0]);
/// # Ok::<(), kernels::Error>(())
/// ```
///
/// # Panics
/// As [`gather_columns`].
pub fn add_gathered_columns(scale: f32, source: &Panels, columns: impl Iterator<Item = usize>, out: &mut ViewMut) {
    let count = out.rows().min(source.rows());
    for_each_chunk(source, columns.take(out.columns()), |chunk| {
        out.for_each_row(0..count, |row, out| chunk.read(row, out, |y, x| *y = scale * *y + x));
    });
}

/// Where a run of up to [`WIDTH`] neighbouring columns lies.
#[derive(Clone, Copy, Default)]
struct Run {
    /// The place of its first value, in row 0.
    start: usize,
    /// The values from one row to the next.
    step: usize,
    /// Its first column in the new order.
    column: usize,
    len: usize,
}

/// Some columns of a source.
struct Chunk<'a> {
    source: Panels<'a>,
    runs: [Run; RUNS],
    count: usize,
    /// The column behind the last.
    end: usize,
}

/// Calls `work` for the given columns, some at a time.
fn for_each_chunk<'a>(source: &Panels<'a>, columns: impl Iterator<Item = usize>, mut work: impl FnMut(&Chunk<'a>)) {
    let mut columns = columns.peekable();
    let mut chunk = Chunk { source: *source, runs: [Run::default(); RUNS], count: 0, end: 0 };
    while columns.peek().is_some() {
        chunk.fill(&mut columns);
        work(&chunk);
    }
}

impl Chunk<'_> {
    /// Takes the next columns.
    fn fill(&mut self, columns: &mut Peekable<impl Iterator<Item = usize>>) {
        self.count = 0;
        while let Some(column) = columns.next_if(|_| self.count < RUNS) {
            let (start, step, left) = self.source.place(column);
            let mut len = 1;
            while len < left.min(WIDTH) && columns.next_if_eq(&(column + len)).is_some() {
                len += 1;
            }
            self.runs[self.count] = Run { start, step, column: self.end, len };
            self.count += 1;
            self.end += len;
        }
    }

    /// Calls `work` with each place in a row of the result and its value.
    #[inline(always)]
    fn read(&self, row: usize, out: &mut [f32], work: impl Fn(&mut f32, f32)) {
        assert!(row < self.source.rows(), "row beyond the last");
        for run in &self.runs[..self.count] {
            let (from, out) = (&self.source.data()[run.start + row * run.step..], &mut out[run.column..]);
            // Lengths that the compiler knows.
            match run.len {
                1 => each::<1>(from, out, &work),
                2 => each::<2>(from, out, &work),
                3 => each::<3>(from, out, &work),
                _ => each::<WIDTH>(from, out, &work),
            }
        }
    }
}

/// Calls `work` with N places and their values.
#[inline(always)]
fn each<const N: usize>(from: &[f32], out: &mut [f32], work: impl Fn(&mut f32, f32)) {
    out[..N].iter_mut().zip(&from[..N]).for_each(|(y, x)| work(y, *x));
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::{Level, PanelLayout, View};
    use std::vec;
    use std::vec::Vec;

    /// Runs of all lengths, across panels, to the last value of the data, in more runs than a chunk has.
    #[test]
    fn columns_come_from_their_places() {
        let (rows, columns) = (3, 150);
        let x: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
        for layout in
            [PanelLayout::single(columns), Level::PORTABLE.panels(columns), Level::PORTABLE.panels_of_width(columns, 7)]
        {
            let mut data = vec![f32::NAN; rows * layout.padded()];
            layout.cut(&View::new(&x, rows, columns).unwrap(), &mut data).unwrap();
            let source = Panels::new(&data, rows, layout).unwrap();
            for (stride, shift) in [(1, 0), (1, 5), (7, 0), (149, 3), (51, 149)] {
                // Pieces of some length, in another order.
                for piece in [1, 2, 3, 4, 5, 10, 30] {
                    let places: Vec<usize> =
                        (0..columns).map(|c| ((c / piece * stride + shift) * piece + c % piece) % columns).collect();
                    let mut out = vec![0.0; 2 * columns];
                    let mut view = ViewMut::new(&mut out, 2, columns).unwrap();
                    gather_columns(&source, [2, 0].into_iter(), places.iter().copied(), &mut view);
                    for (i, row) in [2, 0].into_iter().enumerate() {
                        for (c, place) in places.iter().enumerate() {
                            assert_eq!(out[i * columns + c], x[row * columns + place], "{layout:?} {stride} {piece}");
                        }
                    }
                    let mut sum: Vec<f32> = (0..rows * columns).map(|i| (i % 17) as f32).collect();
                    let before = sum.clone();
                    let mut view = ViewMut::new(&mut sum, rows, columns).unwrap();
                    add_gathered_columns(0.5, &source, places.iter().copied(), &mut view);
                    for (i, y) in sum.iter().enumerate() {
                        let (row, c) = (i / columns, i % columns);
                        assert_eq!(*y, 0.5 * before[i] + x[row * columns + places[c]]);
                    }
                }
            }
        }
    }
}
