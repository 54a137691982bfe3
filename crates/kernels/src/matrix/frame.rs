//! The shape, strides and order of a view, apart from its data.

use core::ops::Range;

use super::axis::Axis;
use crate::error::Error;

/// The shape and strides of a view, bounds proved against a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) rows: Axis,
    pub(super) columns: Axis,
}

impl Frame {
    pub(super) fn new(what: &'static str, len: usize, shape: [usize; 2], strides: [usize; 2]) -> Result<Self, Error> {
        let [rows, columns] = shape;
        let [row_stride, column_stride] = strides;
        if rows > 0 && columns > 0 {
            let last = (rows - 1)
                .checked_mul(row_stride)
                .zip((columns - 1).checked_mul(column_stride))
                .and_then(|(r, c)| r.checked_add(c))
                .unwrap_or(usize::MAX);
            if last >= len {
                return Err(Error::OutOfBounds { what, rows, columns, row_stride, column_stride, last, len });
            }
        }
        Ok(Frame { rows: Axis::new(rows, row_stride), columns: Axis::new(columns, column_stride) })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.len == 0 || self.columns.len == 0
    }

    /// Fails if two elements could be one value in memory.
    pub(super) fn check_disjoint(&self) -> Result<(), Error> {
        let (r, c) = (&self.rows, &self.columns);
        let (inner, outer) = if r.stride < c.stride { (r, c) } else { (c, r) };
        let empty = r.len == 0 || c.len == 0;
        let inner_span = inner.len.saturating_sub(1).saturating_mul(inner.stride);
        let disjoint = (inner.len <= 1 || inner.stride > 0) && (outer.len <= 1 || outer.stride > inner_span);
        if empty || disjoint {
            return Ok(());
        }
        Err(Error::Overlap { rows: r.len, columns: c.len, row_stride: r.stride, column_stride: c.stride })
    }

    #[inline(always)]
    pub(super) fn offset(&self, row: usize, column: usize) -> usize {
        self.rows.offset(row) + self.columns.offset(column)
    }

    /// Where a row lies, if its values lie side by side.
    #[inline(always)]
    pub(super) fn row_range(&self, row: usize) -> Option<Range<usize>> {
        if !self.columns.is_contiguous() {
            return None;
        }
        if self.columns.len == 0 {
            return Some(0..0);
        }
        let start = self.offset(row, 0);
        Some(start..start + self.columns.len)
    }
}

/// Methods that the views that are read and written share: the same arithmetic on the frame.
macro_rules! frame_methods {
    () => {
        /// Rows and columns.
        ///
        /// ```
        /// use kernels::View;
        /// let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        /// let view = View::new(&x, 4, 2)?;
        /// assert_eq!(view.shape(), [4, 2]);
        /// # Ok::<(), kernels::Error>(())
        /// ```
        #[inline]
        pub fn shape(&self) -> [usize; 2] {
            [self.frame.rows.len, self.frame.columns.len]
        }

        /// Rows.
        ///
        /// ```
        /// use kernels::View;
        /// let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        /// let view = View::new(&x, 4, 2)?;
        /// assert_eq!(view.rows(), 4);
        /// # Ok::<(), kernels::Error>(())
        /// ```
        #[inline]
        pub fn rows(&self) -> usize {
            self.frame.rows.len
        }

        /// Columns.
        ///
        /// ```
        /// use kernels::View;
        /// let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        /// let view = View::new(&x, 4, 2)?;
        /// assert_eq!(view.columns(), 2);
        /// # Ok::<(), kernels::Error>(())
        /// ```
        #[inline]
        pub fn columns(&self) -> usize {
            self.frame.columns.len
        }

        /// Whether there is no value: no row or no column.
        ///
        /// ```
        /// use kernels::View;
        /// let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        /// let view = View::new(&x, 4, 2)?;
        /// assert!(!view.is_empty() && view.row_range(0..0)?.is_empty());
        /// # Ok::<(), kernels::Error>(())
        /// ```
        #[inline]
        pub fn is_empty(&self) -> bool {
            self.frame.is_empty()
        }

        /// Whether the values of each row lie side by side, so that kernels can run along them.
        ///
        /// ```
        /// use kernels::View;
        /// let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        /// let view = View::new(&x, 4, 2)?;
        /// assert!(view.has_contiguous_rows() && !view.transpose().has_contiguous_rows());
        /// # Ok::<(), kernels::Error>(())
        /// ```
        #[inline]
        pub fn has_contiguous_rows(&self) -> bool {
            self.frame.columns.is_contiguous()
        }

        /// Rows as columns and columns as rows.
        ///
        /// ```
        /// use kernels::View;
        /// let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        /// let view = View::new(&x, 4, 2)?;
        /// assert_eq!(view.transpose().at(1, 3), 8.0);
        /// # Ok::<(), kernels::Error>(())
        /// ```
        #[must_use]
        pub fn transpose(self) -> Self {
            let Frame { rows, columns } = self.frame;
            Self { frame: Frame { rows: columns, columns: rows }, ..self }
        }

        /// The rows shuffled with `groups` groups: the channel shuffle of a channel-major matrix.
        ///
        /// # $crate::error::Errors
        /// [`crate::Error::Groups`] unless `groups` divides the number of rows; [`crate::Error::Channels`] on a range of rows, which
        /// no shuffle of the whole has as an axis.
        ///
        /// ```
        /// use kernels::View;
        /// let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        /// let view = View::new(&x, 4, 2)?;
        /// assert_eq!(view.shuffle_rows(2)?.row(1), Some(&x[4..6])); // rows 0 2 1 3
        /// # Ok::<(), kernels::Error>(())
        /// ```
        pub fn shuffle_rows(self, groups: usize) -> Result<Self, $crate::error::Error> {
            let order = $crate::shuffle::ChannelOrder::shuffle(self.rows(), groups)?;
            self.reorder_rows(order)
        }

        /// The columns shuffled with `groups` groups: the channel shuffle of a token-major matrix.
        ///
        /// # $crate::error::Errors
        /// As [`Self::shuffle_rows`].
        ///
        /// ```
        /// use kernels::View;
        /// let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        /// let view = View::new(&x, 4, 2)?;
        /// assert_eq!(view.transpose().shuffle_columns(2)?.at(0, 1), 5.0);
        /// # Ok::<(), kernels::Error>(())
        /// ```
        pub fn shuffle_columns(self, groups: usize) -> Result<Self, $crate::error::Error> {
            Ok(self.transpose().shuffle_rows(groups)?.transpose())
        }

        /// The rows in a further order, as any composition of shuffles gives it.
        ///
        /// # $crate::error::Errors
        /// [`crate::Error::Channels`] unless this view has all the rows that the order speaks of.
        ///
        /// ```
        /// use kernels::View;
        /// let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        /// let view = View::new(&x, 4, 2)?;
        /// let order = kernels::ChannelOrder::shuffle(4, 2)?;
        /// assert_eq!(view.reorder_rows(order)?.at(1, 0), 5.0);
        /// # Ok::<(), kernels::Error>(())
        /// ```
        pub fn reorder_rows(mut self, order: $crate::shuffle::ChannelOrder) -> Result<Self, $crate::error::Error> {
            self.frame.rows = self.frame.rows.reorder(order)?;
            Ok(self)
        }

        /// Some of the rows.
        ///
        /// # $crate::error::Errors
        /// [`crate::Error::Range`] if the range reaches past the last row.
        ///
        /// ```
        /// use kernels::View;
        /// let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        /// let view = View::new(&x, 4, 2)?;
        /// assert_eq!(view.row_range(1..3)?.at(0, 0), 3.0);
        /// # Ok::<(), kernels::Error>(())
        /// ```
        pub fn row_range(mut self, range: core::ops::Range<usize>) -> Result<Self, $crate::error::Error> {
            self.frame.rows = self.frame.rows.range(range, "row_range")?;
            Ok(self)
        }

        /// Some of the columns.
        ///
        /// # $crate::error::Errors
        /// [`crate::Error::Range`] if the range reaches past the last column.
        ///
        /// ```
        /// use kernels::View;
        /// let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        /// let view = View::new(&x, 4, 2)?;
        /// assert_eq!(view.column_range(1..2)?.row(3), Some(&x[7..]));
        /// # Ok::<(), kernels::Error>(())
        /// ```
        pub fn column_range(mut self, range: core::ops::Range<usize>) -> Result<Self, $crate::error::Error> {
            self.frame.columns = self.frame.columns.range(range, "column_range")?;
            Ok(self)
        }

        /// The element at a row and column.
        ///
        /// ```
        /// use kernels::View;
        /// let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        /// let view = View::new(&x, 4, 2)?;
        /// assert_eq!(view.at(3, 1), 8.0);
        /// # Ok::<(), kernels::Error>(())
        /// ```
        ///
        /// # Panics
        /// If either is out of range.
        #[inline]
        pub fn at(&self, row: usize, column: usize) -> T {
            self.data[self.frame.offset(row, column)]
        }

        /// A row, if its values lie side by side.
        ///
        /// ```
        /// use kernels::View;
        /// let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        /// let view = View::new(&x, 4, 2)?;
        /// assert_eq!(view.row(1), Some(&x[2..4]));
        /// assert_eq!(view.transpose().row(1), None);
        /// # Ok::<(), kernels::Error>(())
        /// ```
        ///
        /// # Panics
        /// If `row` is out of range.
        #[inline(always)]
        pub fn row(&self, row: usize) -> Option<&[T]> {
            self.frame.row_range(row).map(|range| &self.data[range])
        }
    };
}
pub(super) use frame_methods;
