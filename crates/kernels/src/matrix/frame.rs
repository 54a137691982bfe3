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
        #[inline]
        pub fn shape(&self) -> [usize; 2] {
            [self.frame.rows.len, self.frame.columns.len]
        }

        /// Rows.
        #[inline]
        pub fn rows(&self) -> usize {
            self.frame.rows.len
        }

        /// Columns.
        #[inline]
        pub fn columns(&self) -> usize {
            self.frame.columns.len
        }

        /// Whether there is no value: no row or no column.
        #[inline]
        pub fn is_empty(&self) -> bool {
            self.frame.is_empty()
        }

        /// Whether the values of each row lie side by side, so that kernels can run along them.
        #[inline]
        pub fn has_contiguous_rows(&self) -> bool {
            self.frame.columns.is_contiguous()
        }

        /// Rows as columns and columns as rows.
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
        pub fn shuffle_rows(self, groups: usize) -> Result<Self, $crate::error::Error> {
            let order = $crate::shuffle::ChannelOrder::shuffle(self.rows(), groups)?;
            self.reorder_rows(order)
        }

        /// The columns shuffled with `groups` groups: the channel shuffle of a token-major matrix.
        ///
        /// # $crate::error::Errors
        /// As [`Self::shuffle_rows`].
        pub fn shuffle_columns(self, groups: usize) -> Result<Self, $crate::error::Error> {
            Ok(self.transpose().shuffle_rows(groups)?.transpose())
        }

        /// The rows in a further order, as any composition of shuffles gives it.
        ///
        /// # $crate::error::Errors
        /// [`crate::Error::Channels`] unless this view has all the rows that the order speaks of.
        pub fn reorder_rows(mut self, order: $crate::shuffle::ChannelOrder) -> Result<Self, $crate::error::Error> {
            self.frame.rows = self.frame.rows.reorder(order)?;
            Ok(self)
        }

        /// Some of the rows.
        ///
        /// # $crate::error::Errors
        /// [`crate::Error::Range`] if the range reaches past the last row.
        pub fn row_range(mut self, range: core::ops::Range<usize>) -> Result<Self, $crate::error::Error> {
            self.frame.rows = self.frame.rows.range(range, "row_range")?;
            Ok(self)
        }

        /// Some of the columns.
        ///
        /// # $crate::error::Errors
        /// [`crate::Error::Range`] if the range reaches past the last column.
        pub fn column_range(mut self, range: core::ops::Range<usize>) -> Result<Self, $crate::error::Error> {
            self.frame.columns = self.frame.columns.range(range, "column_range")?;
            Ok(self)
        }

        /// The element at a row and column.
        ///
        /// # Panics
        /// If either is out of range.
        #[inline]
        pub fn at(&self, row: usize, column: usize) -> T {
            self.data[self.frame.offset(row, column)]
        }

        /// A row, if its values lie side by side.
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
