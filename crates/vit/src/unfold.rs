//! Sliding windows as columns: what a convolution's product reads, as `torch.nn.Unfold` orders it.

use kernels::{Panels, ViewMut};

/// Square windows over a square map.
#[derive(Clone, Copy)]
pub(crate) struct Windows {
    /// Height and width of the map.
    pub side: usize,
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
}

/// Windows next to each other in a row of the grid, which become columns next to each other.
#[derive(Clone, Copy)]
struct Run {
    column: usize,
    len: usize,
    /// Row and column of the first window's corner, counted from the padding's.
    corner: [usize; 2],
}

/// Pixels of a row of the map that a run may see where they must be put together: from several panels, or with padding.
const SPAN: usize = 256;

impl Windows {
    /// Windows in a row and in a column.
    pub(crate) fn grid(&self) -> usize {
        (self.side + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// Values of a window over a map of so many channels.
    pub(crate) fn values(&self, channels: usize) -> usize {
        channels * self.kernel * self.kernel
    }

    /// Column `c` of `out` becomes the c-th of `windows` over `map` (channels x pixels), ordered channel, y, x; windows are
    /// counted row by row.
    ///
    /// Pixels in the padding are zero, and so are columns without a window. A kernel above [`SPAN`] is for a map in one panel,
    /// without padding: an image's patches.
    pub(crate) fn unfold(&self, map: &Panels, windows: impl Iterator<Item = Option<usize>>, out: &mut ViewMut) {
        let mut windows = windows.take(out.columns()).enumerate().peekable();
        while let Some((column, window)) = windows.next() {
            let Some(first) = window else {
                (0..out.rows()).for_each(|row| *out.at_mut(row, column) = 0.0);
                continue;
            };
            let mut run = Run { column, len: 1, corner: self.corner(first) };
            while !(first + run.len).is_multiple_of(self.grid())
                && self.span(run.len + 1) <= SPAN
                && windows.next_if_eq(&(column + run.len, Some(first + run.len))).is_some()
            {
                run.len += 1;
            }
            self.unfold_run(map, run, out);
        }
    }

    /// Pixels in a row that so many windows next to each other see.
    fn span(&self, windows: usize) -> usize {
        (windows - 1) * self.stride + self.kernel
    }

    /// The corner of a window.
    fn corner(&self, window: usize) -> [usize; 2] {
        [window / self.grid() * self.stride, window % self.grid() * self.stride]
    }

    /// A run's columns, a row of the map at a time.
    fn unfold_run(&self, map: &Panels, run: Run, out: &mut ViewMut) {
        let span = self.span(run.len);
        // What of the span lies on the map, counted from the map's first column.
        let from = run.corner[1].saturating_sub(self.padding);
        let to = self.side.min((run.corner[1] + span).saturating_sub(self.padding));
        let skipped = self.padding.saturating_sub(run.corner[1]);
        let mut buffer = [0.0; SPAN];
        for y in 0..self.kernel {
            let row = (run.corner[0] + y).checked_sub(self.padding).filter(|&row| row < self.side);
            for channel in 0..map.rows() {
                let first = (channel * self.kernel + y) * self.kernel;
                let Some(row) = row else {
                    (first..first + self.kernel).for_each(|place| columns(out, place, &run).fill(0.0));
                    continue;
                };
                let pixels = row * self.side + from..row * self.side + to;
                let seen = match map.row_slice(channel, pixels.clone()) {
                    Some(slice) if slice.len() == span => slice,
                    _ => {
                        map.copy_row(channel, pixels, &mut buffer[skipped..skipped + to - from]);
                        &buffer[..span]
                    }
                };
                for x in 0..self.kernel {
                    let (from, out) = (&seen[x..], columns(out, first + x, &run));
                    match self.stride {
                        2 => copy_every::<2>(from, out),
                        4 => copy_every::<4>(from, out),
                        16 => copy_every::<16>(from, out),
                        stride => (0..run.len).for_each(|i| out[i] = from[i * stride]),
                    }
                }
            }
        }
    }
}

/// `out[i] = from[i * STRIDE]`; a stride that the compiler knows is several times as fast.
fn copy_every<const STRIDE: usize>(from: &[f32], out: &mut [f32]) {
    let (chunks, rest) = from.as_chunks::<STRIDE>();
    out.iter_mut().zip(chunks).for_each(|(y, chunk)| *y = chunk[0]);
    if let Some(last) = out.get_mut(chunks.len()) {
        *last = rest[0];
    }
}

/// A row of `out` at a run's columns.
fn columns<'o>(out: &'o mut ViewMut, row: usize, run: &Run) -> &'o mut [f32] {
    &mut out.row_mut(row).expect("rows are contiguous")[run.column..][..run.len]
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use kernels::{Level, View};
    use std::vec;
    use std::vec::Vec;

    /// `torch.nn.Unfold`'s definition, value by value.
    fn value(windows: &Windows, map: &[f32], channel: usize, place: [usize; 2], window: [usize; 2]) -> f32 {
        let at = |i: usize| (window[i] * windows.stride + place[i]) as isize - windows.padding as isize;
        let (y, x, side) = (at(0), at(1), windows.side as isize);
        let inside = (0..side).contains(&y) && (0..side).contains(&x);
        if inside { map[channel * (side * side) as usize + (y * side + x) as usize] } else { 0.0 }
    }

    #[test]
    fn columns_are_windows() {
        // Strides of their own and others; maps of one window; rows longer than [`SPAN`], at which runs end.
        for (side, kernel, stride, padding) in [
            (6, 2, 2, 0),
            (16, 7, 4, 2),
            (8, 3, 2, 1),
            (5, 5, 5, 0),
            (12, 3, 2, 1),
            (7, 3, 1, 1),
            (5, 1, 1, 0),
            (3, 7, 4, 2),
            (1, 3, 2, 1),
            (48, 16, 16, 0),
            (40, 8, 8, 0),
            (SPAN + 44, 4, 4, 0),
            (SPAN + 44, 3, 2, 1),
            (SPAN + 16, 16, 16, 0),
            (SPAN + 4, SPAN + 2, 1, 0),
        ] {
            let windows = Windows { side, kernel, stride, padding };
            let (channels, grid) = (3, windows.grid());
            let map: Vec<f32> = (0..channels * side * side).map(|i| (i % 251) as f32 + 1.0).collect();
            // The same map in panels.
            let layout = Level::PORTABLE.panels(side * side);
            let mut cut = vec![f32::NAN; channels * layout.padded()];
            layout.cut(&View::new(&map, channels, side * side).unwrap(), &mut cut).unwrap();
            let single = Panels::single(&map, channels, side * side).unwrap();
            let in_panels = Panels::new(&cut, channels, layout).unwrap();
            let sources = if kernel > SPAN { &[single][..] } else { &[single, in_panels] };
            for source in sources {
                let width = grid * grid + 3;
                let mut out = vec![f32::NAN; windows.values(channels) * width];
                let places = (0..width).map(|c| c.checked_sub(1).filter(|&w| w < grid * grid));
                windows.unfold(source, places, &mut ViewMut::new(&mut out, windows.values(channels), width).unwrap());
                for (i, found) in out.iter().enumerate() {
                    let (row, column) = (i / width, i % width);
                    let (channel, place) = (row / (kernel * kernel), row % (kernel * kernel));
                    let expected = match column.checked_sub(1).filter(|&w| w < grid * grid) {
                        Some(w) => {
                            value(&windows, &map, channel, [place / kernel, place % kernel], [w / grid, w % grid])
                        }
                        None => 0.0,
                    };
                    assert_eq!(*found, expected, "side {side} kernel {kernel}: row {row}, column {column}");
                }
            }
        }
    }
}
