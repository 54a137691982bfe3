//! Matrices that are written.

use core::ops::Range;

use super::axis::Axis;
use super::frame::{Frame, frame_methods};
use super::rows;
use super::view::View;
use crate::element::Element;
use crate::error::Error;

/// A matrix that is written: rows x columns over a mutably borrowed slice, no two elements in one place.
///
/// ```
/// use kernels::ViewMut;
/// let mut x = [0.0; 8];
/// let mut channels = ViewMut::new(&mut x, 4, 2)?.shuffle_rows(2)?;
/// channels.row_mut(1).unwrap().fill(7.0); // position 1 is channel 2
/// assert_eq!(x, [0.0, 0.0, 0.0, 0.0, 7.0, 7.0, 0.0, 0.0]);
/// # Ok::<(), kernels::Error>(())
/// ```
#[derive(Debug)]
pub struct ViewMut<'a, T = f32> {
    data: &'a mut [T],
    frame: Frame,
}

impl<'a, T: Element> ViewMut<'a, T> {
    /// A row-major matrix at the front of `data`.
    ///
    /// ```
    /// use kernels::ViewMut;
    /// let mut x = [1.0, 2.0, 3.0, 4.0];
    /// *ViewMut::new(&mut x, 2, 2)?.at_mut(1, 0) = 0.0;
    /// assert_eq!(x, [1.0, 2.0, 0.0, 4.0]);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfBounds`] if `data` is too short.
    pub fn new(data: &'a mut [T], rows: usize, columns: usize) -> Result<Self, Error> {
        ViewMut::with_strides(data, [rows, columns], [columns, 1])
    }

    /// A matrix of the given shape and strides, `[rows, columns]` each, the strides counted in values.
    ///
    /// ```
    /// use kernels::ViewMut;
    /// let mut x = [1.0, 2.0, 3.0, 4.0];
    /// assert!(ViewMut::with_strides(&mut x, [2, 2], [1, 2]).is_ok()); // column by column
    /// assert!(ViewMut::with_strides(&mut x, [2, 2], [1, 1]).is_err()); // the second value twice
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfBounds`] if the last element lies beyond `data`; [`Error::Overlap`] if the strides could lead to
    /// one value twice.
    pub fn with_strides(data: &'a mut [T], shape: [usize; 2], strides: [usize; 2]) -> Result<Self, Error> {
        let frame = Frame::new("ViewMut", data.len(), shape, strides)?;
        frame.check_disjoint()?;
        Ok(ViewMut { data, frame })
    }

    frame_methods!();

    /// As [`View::strided_rows`], to write.
    ///
    /// ```
    /// use kernels::ViewMut;
    /// let mut x = [0.0; 6];
    /// let mut columns = ViewMut::new(&mut x, 2, 3)?.column_range(1..3)?;
    /// let (data, step) = columns.strided_rows_mut().unwrap();
    /// data[step] = 1.0; // the first value of the second row
    /// assert_eq!(x, [0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    pub fn strided_rows_mut(&mut self) -> Option<(&mut [T], usize)> {
        let (data, row_stride) = self.as_view().strided_rows()?;
        let start = self.data.len() - data.len();
        Some((&mut self.data[start..], row_stride))
    }

    /// The data from the first element on and both strides, if both axes are evenly spaced.
    #[cfg(feature = "matrixmultiply")]
    pub(crate) fn strided_mut(&mut self) -> Option<(&mut [T], [usize; 2])> {
        let (data, strides) = self.as_view().strided()?;
        let start = self.data.len() - data.len();
        Some((&mut self.data[start..], strides))
    }

    /// As [`View::each_row`], to write.
    #[inline(always)]
    pub(crate) fn each_row_mut(&mut self, rows: Range<usize>, columns: Range<usize>) -> impl Iterator<Item = &mut [T]> {
        // SAFETY: `with_strides` had the frame made for the data and found it disjoint, and no method changes that.
        unsafe { rows::each_mut(self.data, &self.frame, rows, columns) }
    }

    /// The rows in front of one and those from it on, for two threads to write. Their values must lie in that order in memory.
    ///
    /// ```
    /// use kernels::{Level, ViewMut, softmax};
    /// let mut x = [0.0; 12];
    /// let (mut upper, mut lower) = ViewMut::new(&mut x, 6, 2)?.split_at_row(4)?;
    /// let level = Level::detect();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(move || softmax(level, &mut upper)).join().unwrap()?;
    ///     softmax(level, &mut lower)
    /// })?;
    /// assert_eq!((x[0], x[8]), (0.25, 0.5)); // softmax over 4 rows and over 2
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Range`] if there are not so many rows, [`Error::RowsNotStrided`] if the rows are shuffled, and
    /// [`Error::RowsNotContiguous`] if rows are interleaved in memory, as those of a transposed matrix are.
    pub fn split_at_row(self, row: usize) -> Result<(Self, Self), Error> {
        const OPERATION: &str = "ViewMut::split_at_row";
        let Frame { rows, columns } = self.frame;
        let front = Frame { rows: rows.range(0..row, OPERATION)?, columns };
        let back = Frame { rows: rows.range(row..rows.len, OPERATION)?, columns };
        if front.is_empty() {
            return Ok((ViewMut { data: &mut [], frame: front }, ViewMut { data: self.data, frame: back }));
        }
        if back.is_empty() {
            return Ok((ViewMut { data: self.data, frame: front }, ViewMut { data: &mut [], frame: back }));
        }
        if !rows.is_strided() {
            return Err(Error::RowsNotStrided { operation: OPERATION, what: "the view" });
        }
        if columns.len > 1 && rows.stride <= columns.stride {
            return Err(Error::RowsNotContiguous { operation: OPERATION, what: "the view" });
        }
        // A single column is taken to the front of its rows. Several lie within a row stride, or the view had been refused as
        // overlapping. Either way all values in front of this place are those of the rows in front.
        let (column, columns) = if columns.len == 1 { (columns.offset(0), Axis::new(1, 1)) } else { (0, columns) };
        let (front_data, back_data) = self.data.split_at_mut(column + rows.stride * (rows.first + row));
        let back = Frame { rows: Axis::new(rows.len - row, rows.stride), columns };
        Ok((ViewMut { data: front_data, frame: front }, ViewMut { data: back_data, frame: back }))
    }

    /// The same matrix, to read.
    ///
    /// ```
    /// use kernels::ViewMut;
    /// let mut x = [1.0, 2.0, 3.0, 4.0];
    /// assert_eq!(ViewMut::new(&mut x, 2, 2)?.as_view().at(1, 1), 4.0);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    pub fn as_view(&self) -> View<'_, T> {
        View { data: self.data, frame: self.frame }
    }

    /// The same matrix, for a shorter time.
    ///
    /// ```
    /// use kernels::ViewMut;
    /// let mut x = [1.0, 2.0, 3.0, 4.0];
    /// let mut view = ViewMut::new(&mut x, 2, 2)?;
    /// view.reborrow().row_range(0..1)?.row_mut(0).unwrap().fill(0.0);
    /// assert_eq!(view.at(0, 1), 0.0); // still there
    /// # Ok::<(), kernels::Error>(())
    /// ```
    pub fn reborrow(&mut self) -> ViewMut<'_, T> {
        ViewMut { data: self.data, frame: self.frame }
    }

    /// The place at a row and column.
    ///
    /// ```
    /// use kernels::ViewMut;
    /// let mut x = [1.0, 2.0, 3.0, 4.0];
    /// *ViewMut::new(&mut x, 2, 2)?.at_mut(0, 1) += 1.0;
    /// assert_eq!(x[1], 3.0);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Panics
    /// If either is out of range.
    #[inline]
    pub fn at_mut(&mut self, row: usize, column: usize) -> &mut T {
        &mut self.data[self.frame.offset(row, column)]
    }

    /// A row, if its values lie side by side.
    ///
    /// ```
    /// use kernels::ViewMut;
    /// let mut x = [1.0, 2.0, 3.0, 4.0];
    /// ViewMut::new(&mut x, 2, 2)?.row_mut(1).unwrap().fill(0.0);
    /// assert_eq!(x, [1.0, 2.0, 0.0, 0.0]);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Panics
    /// If `row` is out of range.
    #[inline(always)]
    pub fn row_mut(&mut self, row: usize) -> Option<&mut [T]> {
        self.frame.row_range(row).map(|range| &mut self.data[range])
    }
}
