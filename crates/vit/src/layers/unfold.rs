//! Sliding windows as columns: what a convolution's product reads, as `torch.nn.Unfold` orders it.

use core::array::from_fn;

use kernels::{Panels, ViewMut};

use crate::config::Windows;

/// Windows next to each other in a row of the grid, which become columns next to each other.
#[derive(Clone, Copy)]
struct Run {
    column: usize,
    len: usize,
    /// Row and column of the first window's corner, counted from the padding's.
    corner: [usize; 2],
}

/// What the windows are written to: rows `width` values apart.
struct Target<'o> {
    data: &'o mut [f32],
    width: usize,
}

impl Target<'_> {
    /// What follows from a run's first column on in a row.
    fn from(&mut self, row: usize, run: &Run) -> &mut [f32] {
        &mut self.data[row * self.width + run.column..]
    }
}

impl Windows {
    /// Column `c` of `out` becomes the c-th of `windows` over `map` (channels x pixels), ordered channel, y, x; windows are
    /// counted row by row.
    ///
    /// Pixels in the padding are zero, and so are columns without a window.
    pub(crate) fn unfold(&self, map: &Panels, windows: impl Iterator<Item = Option<usize>>, out: &mut ViewMut) {
        let grid = self.grid();
        let mut windows = windows.take(out.columns()).enumerate().peekable();
        while let Some((column, window)) = windows.next() {
            let Some(first) = window else {
                (0..out.rows()).for_each(|row| *out.at_mut(row, column) = 0.0);
                continue;
            };
            let corner = [first / grid, first % grid].map(|place| place * self.stride);
            let mut run = Run { column, len: 1, corner };
            while first % grid + run.len < grid
                && windows.next_if_eq(&(column + run.len, Some(first + run.len))).is_some()
            {
                run.len += 1;
            }
            let (data, width) = out.strided_rows_mut().expect("a row-major matrix");
            self.unfold_run(map, &run, &mut Target { data, width });
        }
    }

    /// A run's columns.
    fn unfold_run(&self, map: &Panels, run: &Run, out: &mut Target) {
        let patches = self.padding == 0 && self.stride == self.kernel && self.kernel.is_multiple_of(4);
        if patches && map.layout().count() == 1 {
            return self.copy_patches(map, run, out);
        }
        if self.padding > 0 {
            self.clear_padding(map.rows(), run, out);
        }
        match self.stride {
            2 => self.copy_windows::<2>(map, run, out),
            4 => self.copy_windows::<4>(map, run, out),
            _ => self.copy_windows::<0>(map, run, out),
        }
    }

    /// An image's patches: they lie side by side in each of its rows, so that 4 columns of theirs can be read in one go.
    fn copy_patches(&self, map: &Panels, run: &Run, out: &mut Target) {
        let (image, step) = map.panel(0).strided_rows().expect("a panel is row-major");
        let ([top, left], kernel, width) = (run.corner, self.kernel, out.width);
        for channel in 0..map.rows() {
            for y in 0..kernel {
                let pixels = &image[channel * step + (top + y) * self.side + left..][..run.len * kernel];
                let out = out.from((channel * kernel + y) * kernel, run);
                for x in (0..kernel).step_by(4) {
                    copy_4_rows(&pixels[x..], kernel, &mut out[x * width..], width, run.len);
                }
            }
        }
    }

    /// Zeros where a run's windows reach into the padding.
    fn clear_padding(&self, channels: usize, run: &Run, out: &mut Target) {
        for y in 0..self.kernel {
            for x in 0..self.kernel {
                let on_map = match self.row(y, run) {
                    Some(_) => self.windows_before(0, x, run)..self.windows_before(self.side, x, run),
                    None => 0..0,
                };
                if on_map != (0..run.len) {
                    for channel in 0..channels {
                        let out = out.from((channel * self.kernel + y) * self.kernel + x, run);
                        out[..on_map.start].fill(0.0);
                        out[on_map.end..run.len].fill(0.0);
                    }
                }
            }
        }
    }

    /// A run's columns, where its windows are on the map. STRIDE is the stride, or 0 for any: one that the compiler knows is
    /// several times as fast.
    fn copy_windows<const STRIDE: usize>(&self, map: &Panels, run: &Run, out: &mut Target) {
        let windows = Windows { stride: if STRIDE == 0 { self.stride } else { STRIDE }, ..*self };
        let Windows { side, kernel, stride, padding } = windows;
        let (left, width) = (run.corner[1], out.width);
        // What the run sees of a row of the map.
        let seen = left.saturating_sub(padding)..side.min(left + (run.len - 1) * stride + kernel - padding);
        for y in 0..kernel {
            let Some(row) = self.row(y, run) else { continue };
            let pixels = map.column_range(row * side + seen.start..row * side + seen.end).expect("pixels of the map");
            for slice in pixels.slices() {
                let first = seen.start + slice.first;
                let columns = first..first + slice.columns;
                for x in 0..kernel {
                    let start = windows.windows_before(columns.start, x, run);
                    let len = windows.windows_before(columns.end, x, run) - start;
                    if len > 0 {
                        let from = &slice.data[left + start * stride + x - padding - columns.start..];
                        let out = &mut out.from(y * kernel + x, run)[start..];
                        copy_rows::<STRIDE>(
                            stride,
                            [map.rows(), len],
                            (from, slice.step),
                            (out, kernel * kernel * width),
                        );
                    }
                }
            }
        }
    }

    /// The row of the map that a run's windows have at `y`, if that is not in the padding.
    fn row(&self, y: usize, run: &Run) -> Option<usize> {
        (run.corner[0] + y).checked_sub(self.padding).filter(|&row| row < self.side)
    }

    /// How many of a run's windows have their column `x` in front of the given column of the map.
    #[inline(always)]
    fn windows_before(&self, column: usize, x: usize, run: &Run) -> usize {
        (column + self.padding).saturating_sub(run.corner[1] + x).div_ceil(self.stride).min(run.len)
    }
}

/// `out[c][i] = from[c][i * stride]` for rows c and columns i below `shape`, each factor with the values from a row to the next.
///
/// A function of its own: within the loops around it, it takes longer.
#[inline(never)]
fn copy_rows<const STRIDE: usize>(
    stride: usize,
    [rows, len]: [usize; 2],
    (from, from_step): (&[f32], usize),
    (out, out_step): (&mut [f32], usize),
) {
    let stride = if STRIDE == 0 { stride } else { STRIDE };
    for row in 0..rows {
        let from = &from[row * from_step..][..(len - 1) * stride + 1];
        let out = &mut out[row * out_step..][..len];
        if STRIDE == 0 {
            out.iter_mut().zip(from.iter().step_by(stride)).for_each(|(y, x)| *y = *x);
        } else {
            let (chunks, rest) = from.as_chunks::<STRIDE>();
            out.iter_mut().zip(chunks).for_each(|(y, chunk)| *y = chunk[0]);
            if let Some(last) = out.get_mut(chunks.len()) {
                *last = rest[0];
            }
        }
    }
}

/// `out[x][i] = from[i * stride + x]` for 4 rows x, `width` values apart, and `len` columns i.
fn copy_4_rows(from: &[f32], stride: usize, out: &mut [f32], width: usize, len: usize) {
    let (a, rest) = out.split_at_mut(width);
    let (b, rest) = rest.split_at_mut(width);
    let (c, d) = rest.split_at_mut(width);
    let mut rows = [a, b, c, d].map(|row| &mut row[..len]);
    let at = |i: usize| -> &[f32; 4] { from[i * stride..].first_chunk().expect("all columns lie in it") };
    if len < 4 {
        for i in 0..len {
            rows.iter_mut().zip(at(i)).for_each(|(row, x)| row[i] = *x);
        }
        return;
    }
    // 4 columns at a time; the last 4 may begin with some that are there already.
    for i in (0..len).step_by(4).map(|i| i.min(len - 4)) {
        let columns: [&[f32; 4]; 4] = from_fn(|j| at(i + j));
        for (x, row) in rows.iter_mut().enumerate() {
            *row[i..].first_chunk_mut().expect("whole") = columns.map(|column| column[x]);
        }
    }
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
        // Strides of their own and others; patches; maps of one window; kernels wider than a panel.
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
            (28, 4, 4, 0),
            (300, 4, 4, 0),
            (300, 3, 2, 1),
            (30, 28, 1, 0),
            (9, 4, 4, 1),
        ] {
            let windows = Windows { side, kernel, stride, padding };
            let (channels, grid) = (3, windows.grid());
            let map: Vec<f32> = (0..channels * side * side).map(|i| (i % 251) as f32 + 1.0).collect();
            // The same map in panels.
            let layout = Level::PORTABLE.panels(side * side);
            let mut cut = vec![f32::NAN; channels * layout.padded()];
            layout.to_panels(&View::new(&map, channels, side * side).unwrap(), &mut cut).unwrap();
            let single = Panels::single(&map, channels, side * side).unwrap();
            let in_panels = Panels::new(&cut, channels, layout).unwrap();
            for source in [single, in_panels] {
                let width = grid * grid + 3;
                let mut out = vec![f32::NAN; windows.values(channels) * width];
                let places = (0..width).map(|c| c.checked_sub(1).filter(|&w| w < grid * grid));
                windows.unfold(&source, places, &mut ViewMut::new(&mut out, windows.values(channels), width).unwrap());
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
