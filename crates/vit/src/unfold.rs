//! Sliding windows as columns: what a convolution's product reads, as `torch.nn.Unfold` orders it.

use core::ops::Range;

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

/// Columns that are unfolded together: as many as the widest panel has.
const CHUNK: usize = 64;

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
    /// Pixels in the padding are zero, and so are columns without a window.
    pub(crate) fn unfold(&self, map: &Panels, windows: impl Iterator<Item = Option<usize>>, out: &mut ViewMut) {
        let grid = self.grid();
        let mut corners = windows.map(|window| window.map(|w| [w / grid * self.stride, w % grid * self.stride]));
        for start in (0..out.columns()).step_by(CHUNK) {
            let end = out.columns().min(start + CHUNK);
            let mut chunk = [None; CHUNK];
            chunk[..end - start].iter_mut().for_each(|corner| *corner = corners.next().flatten());
            self.unfold_chunk(map, &chunk, start..end, out);
        }
    }

    /// Some columns, by their windows' corners: a place in the window at a time, so that rows of `out` are written in one go.
    fn unfold_chunk(&self, map: &Panels, corners: &[Option<[usize; 2]>], columns: Range<usize>, out: &mut ViewMut) {
        let places = self.kernel * self.kernel;
        for place in 0..places {
            let mut pixels = [None; CHUNK];
            for (pixel, corner) in pixels.iter_mut().zip(corners) {
                *pixel = corner
                    .and_then(|corner| self.pixel(corner, [place / self.kernel, place % self.kernel]))
                    .map(|pixel| map.column(pixel));
            }
            for channel in 0..map.rows() {
                let row = &mut out.row_mut(channel * places + place).expect("rows are contiguous")[columns.clone()];
                for (value, pixel) in row.iter_mut().zip(&pixels) {
                    *value = pixel.map_or(0.0, |pixel| pixel.at(channel));
                }
            }
        }
    }

    /// The pixel at a place of a window, unless it lies in the padding; `corner` counts from the padding's.
    fn pixel(&self, corner: [usize; 2], place: [usize; 2]) -> Option<usize> {
        let [y, x] = [0, 1].map(|i| (corner[i] + place[i]).checked_sub(self.padding).filter(|&p| p < self.side));
        Some(y? * self.side + x?)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use kernels::Level;
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
        for (side, kernel, stride, padding) in [(6, 2, 2, 0), (16, 7, 4, 2), (8, 3, 2, 1), (5, 5, 5, 0), (12, 3, 2, 1)]
        {
            let windows = Windows { side, kernel, stride, padding };
            let (channels, grid) = (3, windows.grid());
            let map: Vec<f32> = (0..channels * side * side).map(|i| (i % 251) as f32 + 1.0).collect();
            // The same map in panels.
            let layout = Level::PORTABLE.panels(side * side);
            let mut cut = vec![f32::NAN; channels * layout.padded()];
            for p in 0..layout.count() {
                let (range, valid) = (layout.range(p), layout.valid(p));
                for c in 0..channels {
                    cut[channels * range.start + c * range.len()..][..valid]
                        .copy_from_slice(&map[c * side * side + range.start..][..valid]);
                }
            }
            let single = Panels::single(&map, channels, side * side).unwrap();
            for source in [single, Panels::new(&cut, channels, layout).unwrap()] {
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
