//! Components with fewer samples than the picture has pixels, brought to its size as libjpeg does it.
//!
//! Twice as many columns, rows or both are interpolated linearly ("fancy upsampling", a triangle filter): a new sample is
//! three quarters of the nearer and one quarter of the farther old one. Halves are rounded up and down in turn, so that the
//! mean stays. All other ratios repeat samples.

use super::component::Component;
use super::header::Frame;
use super::problem::unsupported;
use crate::Problem;

/// The largest sampling factor, and so the largest ratio.
pub(super) const MAX_FACTOR: u8 = 4;

/// How one component becomes as large as the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Upsampler {
    /// Interpolates between columns.
    Columns,
    /// Interpolates between rows.
    Rows,
    /// Interpolates between both.
    Both,
    /// Repeats each sample so often, across and down.
    Repeat(usize, usize),
}

impl Upsampler {
    pub(super) fn new(frame: &Frame, component: &Component) -> Result<Self, Problem> {
        let (h_max, v_max) = frame.max_sampling();
        let (h_max, v_max) = (usize::from(h_max), usize::from(v_max));
        if !h_max.is_multiple_of(component.h) || !v_max.is_multiple_of(component.v) {
            let (h, v) = (component.h, component.v);
            return Err(unsupported(format!(
                "its sampling factors {h}x{v} do not divide the largest, {h_max}x{v_max}"
            )));
        }
        // libjpeg repeats what is too narrow to interpolate.
        let is_wide = component.size.0 > 2;
        Ok(match (h_max / component.h, v_max / component.v) {
            (2, 1) if is_wide => Self::Columns,
            (1, 2) => Self::Rows,
            (2, 2) if is_wide => Self::Both,
            (across, down) => Self::Repeat(across, down),
        })
    }

    /// Writes row `y` of the picture, and perhaps a few samples beyond its end; `sums` is room for a row.
    pub(super) fn row(self, component: &Component, y: usize, sums: &mut Vec<u16>, out: &mut [u8]) {
        let near = component.row(y / 2);
        // The nearer of the rows above and below; at the edge, the row itself.
        let far = component.row(if y.is_multiple_of(2) { (y / 2).saturating_sub(1) } else { y / 2 + 1 });
        match self {
            Self::Repeat(across, down) => repeat(component.row(y / down), across, out),
            Self::Columns => columns(component.row(y), out),
            Self::Rows => rows(near, far, 1 + (y % 2) as u16, out),
            Self::Both => both(near, far, sums, out),
        }
    }
}

fn repeat(row: &[u8], times: usize, out: &mut [u8]) {
    if times == 1 {
        return out[..row.len()].copy_from_slice(row);
    }
    for (group, &sample) in out.chunks_exact_mut(times).zip(row) {
        group.fill(sample);
    }
}

fn columns(row: &[u8], out: &mut [u8]) {
    let (pairs, _) = out.as_chunks_mut::<2>();
    let last = row.len() - 1;
    let neighbours = row.iter().zip(&row[1..]).zip(&row[2..]);
    for (pair, ((&left, &middle), &right)) in pairs[1..].iter_mut().zip(neighbours) {
        let [left, middle, right] = [left, middle, right].map(u16::from);
        *pair = [((3 * middle + left + 1) >> 2) as u8, ((3 * middle + right + 2) >> 2) as u8];
    }
    let mixed =
        |near: usize, far: usize, bias: u16| ((3 * u16::from(row[near]) + u16::from(row[far]) + bias) >> 2) as u8;
    pairs[0] = [row[0], mixed(0, 1, 2)];
    pairs[last] = [mixed(last, last - 1, 1), row[last]];
}

fn rows(near: &[u8], far: &[u8], bias: u16, out: &mut [u8]) {
    for ((sample, &near), &far) in out.iter_mut().zip(near).zip(far) {
        *sample = ((3 * u16::from(near) + u16::from(far) + bias) >> 2) as u8;
    }
}

fn both(near: &[u8], far: &[u8], sums: &mut Vec<u16>, out: &mut [u8]) {
    sums.clear();
    sums.extend(near.iter().zip(far).map(|(&near, &far)| 3 * u16::from(near) + u16::from(far)));
    let (pairs, _) = out.as_chunks_mut::<2>();
    let last = sums.len() - 1;
    let neighbours = sums.iter().zip(&sums[1..]).zip(&sums[2..]);
    for (pair, ((&left, &middle), &right)) in pairs[1..].iter_mut().zip(neighbours) {
        *pair = [((3 * middle + left + 8) >> 4) as u8, ((3 * middle + right + 7) >> 4) as u8];
    }
    let mixed = |near: usize, far: usize, bias: u16| ((3 * sums[near] + sums[far] + bias) >> 4) as u8;
    pairs[0] = [mixed(0, 0, 8), mixed(0, 1, 7)];
    pairs[last] = [mixed(last, last - 1, 8), mixed(last, last, 7)];
}
