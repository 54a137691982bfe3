//! Matrices that are read: strides, ranges, transposes and channel shuffles, none of which moves a value.
//!
//! Bounds are proved once, at construction; every method keeps what it proved.

use core::ops::Range;

use super::axis::Axis;
use super::frame::{Frame, frame_methods};
use super::rows;
use crate::element::Element;
use crate::error::Error;

/// A matrix that is read: rows x columns over a borrowed slice.
///
/// Two elements may be the same value in memory: a row stride of 0 repeats one row.
///
/// ```
/// use kernels::View;
/// let x: Vec<f32> = (0..12).map(|i| i as f32).collect();
/// let channels = View::new(&x, 4, 3)?; // 4 channels of 3 tokens each
/// let shuffled = channels.shuffle_rows(2)?; // channels 0 2 1 3, nothing copied
/// assert_eq!(shuffled.row(1).unwrap(), [6.0, 7.0, 8.0]);
/// assert_eq!(shuffled.transpose().at(0, 1), 6.0);
/// # Ok::<(), kernels::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct View<'a, T = f32> {
    pub(super) data: &'a [T],
    pub(super) frame: Frame,
}

impl<'a, T: Element> View<'a, T> {
    /// A row-major matrix at the front of `data`.
    ///
    /// ```
    /// use kernels::View;
    /// assert_eq!(View::new(&[1.0, 2.0, 3.0, 4.0], 2, 2)?.at(1, 0), 3.0);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfBounds`] if `data` is too short.
    pub fn new(data: &'a [T], rows: usize, columns: usize) -> Result<Self, Error> {
        View::with_strides(data, [rows, columns], [columns, 1])
    }

    /// A matrix of the given shape and strides, `[rows, columns]` each, the strides counted in values.
    ///
    /// ```
    /// use kernels::View;
    /// let x = [1.0, 2.0, 3.0, 4.0, 5.0];
    /// let repeated = View::with_strides(&x, [3, 2], [0, 1])?; // the first two values, three times
    /// assert_eq!(repeated.row(2), Some(&x[..2]));
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfBounds`] if the last element lies beyond `data`.
    pub fn with_strides(data: &'a [T], shape: [usize; 2], strides: [usize; 2]) -> Result<Self, Error> {
        Ok(View { data, frame: Frame::new("View", data.len(), shape, strides)? })
    }

    frame_methods!();

    /// Some columns of consecutive rows.
    ///
    /// # Panics
    /// If a row or column is out of range, or a row's values do not lie side by side.
    #[inline(always)]
    pub(crate) fn each_row(
        &self,
        rows: Range<usize>,
        columns: Range<usize>,
    ) -> impl Iterator<Item = &'a [T]> + use<'a, T> {
        // SAFETY: `with_strides` had the frame made for the data, and no method changes that.
        unsafe { rows::each(self.data, &self.frame, rows, columns) }
    }

    /// The data from the first element on and the row stride, if rows follow each other at one distance and the values of each
    /// lie side by side. Inner loops use it, which have no time to ask for each row. The stride of a single row is 0.
    ///
    /// ```
    /// use kernels::View;
    /// let x: Vec<f32> = (0..12).map(|i| i as f32).collect();
    /// let columns = View::new(&x, 3, 4)?.column_range(1..3)?;
    /// assert_eq!(columns.strided_rows(), Some((&x[1..], 4)));
    /// assert_eq!(columns.transpose().strided_rows(), None);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    pub fn strided_rows(&self) -> Option<(&'a [T], usize)> {
        let (data, [row_stride, column_stride]) = self.strided()?;
        (column_stride == 1 || self.columns() <= 1).then_some((data, row_stride))
    }

    /// The data from the first element on and both strides, if both axes are evenly spaced.
    pub(crate) fn strided(&self) -> Option<(&'a [T], [usize; 2])> {
        let Frame { rows, columns } = &self.frame;
        if !(rows.is_strided() && columns.is_strided()) {
            return None;
        }
        let empty = rows.len == 0 || columns.len == 0;
        let start = if empty { 0 } else { self.frame.offset(0, 0) };
        // The stride of an axis that has no second element means nothing, and may be anything.
        let stride = |axis: &Axis| if axis.len > 1 { axis.stride } else { 0 };
        Some((&self.data[start..], [stride(rows), stride(columns)]))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    /// Rows one after the other are the rows by their indices, whatever was shuffled and whatever ranges were taken.
    #[test]
    fn rows_in_a_row_are_rows_by_index() {
        let data: Vec<f32> = (0..400).map(|i| i as f32).collect();
        for channels in 1..20 {
            let whole = View::with_strides(&data, [channels, 7], [20, 1]).unwrap();
            let divisors = (1..=channels).filter(|groups| channels % groups == 0);
            for view in divisors.map(|groups| whole.shuffle_rows(groups).unwrap()) {
                for (first, end) in (0..=channels).flat_map(|end| (0..=end).map(move |first| (first, end))) {
                    let part = view.row_range(first..end).unwrap().column_range(1..6).unwrap();
                    let rows: Vec<&[f32]> = part.each_row(0..end - first, 2..5).collect();
                    assert_eq!(rows.len(), end - first);
                    assert!(
                        (0..end - first).all(|r| rows[r] == &part.row(r).unwrap()[2..5]),
                        "{channels} {first} {end}"
                    );
                    let later = part.each_row((end - first) / 2..end - first, 0..5);
                    assert!(later.eq(((end - first) / 2..end - first).map(|r| part.row(r).unwrap())));
                }
            }
        }
        let single = View::with_strides(&data, [1, 400], [usize::MAX, 1]).unwrap();
        assert!(single.each_row(0..1, 0..400).eq([&*data]));
        assert_eq!(single.each_row(1..1, 400..400).count(), 0);
    }
}
