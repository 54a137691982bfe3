//! Matrices over borrowed slices: strides, ranges, transposes and channel shuffles, none of which moves a value.
//!
//! Bounds are proved once, at construction; every method keeps what it proved.

use core::ops::Range;

use crate::{ChannelOrder, Error};

/// One axis of a view: index `i` stands `stride * order.channel(first + i)` values from the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Axis {
    len: usize,
    first: usize,
    stride: usize,
    order: ChannelOrder,
}

impl Axis {
    fn new(len: usize, stride: usize) -> Self {
        Axis { len, first: 0, stride, order: ChannelOrder::identity(len) }
    }

    #[inline(always)]
    fn offset(&self, i: usize) -> usize {
        assert!(i < self.len, "index beyond the end of an axis");
        self.stride * self.order.channel(self.first + i)
    }

    /// Whether indices are evenly spaced.
    fn is_even(&self) -> bool {
        self.order.is_identity() || self.len <= 1
    }

    fn is_contiguous(&self) -> bool {
        self.stride == 1 && self.is_even() || self.len <= 1
    }

    fn range(mut self, range: Range<usize>, what: &'static str) -> Result<Self, Error> {
        if range.start > range.end || range.end > self.len {
            return Err(Error::Range { what, start: range.start, end: range.end, len: self.len });
        }
        self.first += range.start;
        self.len = range.end - range.start;
        Ok(self)
    }

    /// The axis in a further order; only a whole axis can be reordered.
    fn reorder(mut self, next: ChannelOrder) -> Result<Self, Error> {
        if self.first != 0 || self.len != self.order.channels() || next.channels() != self.len {
            return Err(Error::Channels { expected: self.len, found: next.channels() });
        }
        self.order = self.order.then(next)?;
        Ok(self)
    }
}

/// The shape and strides of a view, bounds proved against a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frame {
    rows: Axis,
    columns: Axis,
}

impl Frame {
    fn new(what: &'static str, len: usize, shape: [usize; 2], strides: [usize; 2]) -> Result<Self, Error> {
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

    /// Fails if two elements could be one value in memory.
    fn check_disjoint(&self) -> Result<(), Error> {
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
    fn offset(&self, row: usize, column: usize) -> usize {
        self.rows.offset(row) + self.columns.offset(column)
    }

    /// Where some rows lie, cut to some columns.
    ///
    /// All of it is within the frame: ranges and orders of an axis never leave it, and the steps of [`Starts`] are those of the
    /// order.
    #[inline(always)]
    fn row_ranges(&self, rows: Range<usize>, columns: Range<usize>) -> impl Iterator<Item = Range<usize>> + use<> {
        let (width, starts) = (columns.len(), self.starts(rows, columns));
        starts.map(move |start| start..start + width)
    }

    /// Where some rows have the first of some columns.
    #[inline(always)]
    fn starts(&self, range: Range<usize>, cut: Range<usize>) -> Starts {
        let Frame { rows, columns } = self;
        assert!(columns.is_contiguous(), "contiguous rows");
        assert!(range.start <= range.end && range.end <= rows.len, "rows of the view");
        assert!(cut.start <= cut.end && cut.end <= columns.len, "columns of the view");
        let (left, first) = (range.len(), rows.first + range.start);
        if left == 0 || columns.len == 0 {
            return Starts { next: 0, step: 0, last: 0, around: 0, before_last: 0, left };
        }
        let (base, last) = (columns.offset(0) + cut.start, rows.order.channels() - 1);
        let around = rows.stride * last;
        Starts {
            next: base + rows.stride * rows.order.channel(first),
            // The stride of a single row means nothing, and may be anything.
            step: if last == 0 { 0 } else { rows.stride * rows.order.stride() },
            last: base + around,
            around,
            before_last: last - first,
            left,
        }
    }

    /// Where a row lies, if its values lie side by side.
    #[inline(always)]
    fn row_range(&self, row: usize) -> Option<Range<usize>> {
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

/// Where consecutive rows start.
///
/// An order goes around its channels but the last in equal steps, and the last stands at the end: so do the rows in memory.
struct Starts {
    next: usize,
    step: usize,
    /// The last channel's, at which the steps begin again,
    last: usize,
    /// so far from the first's.
    around: usize,
    /// Rows in front of the last channel's.
    before_last: usize,
    left: usize,
}

impl Iterator for Starts {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let start = if self.before_last == 0 { self.last } else { self.next };
        self.before_last = self.before_last.wrapping_sub(1);
        self.next = start + self.step;
        if self.next >= self.last {
            self.next -= self.around;
        }
        Some(start)
    }
}

/// Methods that [`View`] and [`ViewMut`] share: the same arithmetic on the frame.
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
            self.frame.rows.len == 0 || self.frame.columns.len == 0
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
        /// # Errors
        /// [`Error::Groups`] unless `groups` divides the number of rows; [`Error::Channels`] on a range of rows, which
        /// no shuffle of the whole has as an axis.
        pub fn shuffle_rows(self, groups: usize) -> Result<Self, Error> {
            let order = ChannelOrder::shuffle(self.rows(), groups)?;
            self.reorder_rows(order)
        }

        /// The columns shuffled with `groups` groups: the channel shuffle of a token-major matrix.
        ///
        /// # Errors
        /// As [`Self::shuffle_rows`].
        pub fn shuffle_columns(self, groups: usize) -> Result<Self, Error> {
            Ok(self.transpose().shuffle_rows(groups)?.transpose())
        }

        /// The rows in a further order, as any composition of shuffles gives it.
        ///
        /// # Errors
        /// [`Error::Channels`] unless this view has all the rows that the order speaks of.
        pub fn reorder_rows(mut self, order: ChannelOrder) -> Result<Self, Error> {
            self.frame.rows = self.frame.rows.reorder(order)?;
            Ok(self)
        }

        /// Some of the rows.
        ///
        /// # Errors
        /// [`Error::Range`] if the range reaches past the last row.
        pub fn row_range(mut self, range: Range<usize>) -> Result<Self, Error> {
            self.frame.rows = self.frame.rows.range(range, "row_range")?;
            Ok(self)
        }

        /// Some of the columns.
        ///
        /// # Errors
        /// [`Error::Range`] if the range reaches past the last column.
        pub fn column_range(mut self, range: Range<usize>) -> Result<Self, Error> {
            self.frame.columns = self.frame.columns.range(range, "column_range")?;
            Ok(self)
        }

        /// The value at a row and column.
        ///
        /// # Panics
        /// If either is out of range.
        #[inline]
        pub fn at(&self, row: usize, column: usize) -> f32 {
            self.data[self.frame.offset(row, column)]
        }

        /// A row, if its values lie side by side.
        ///
        /// # Panics
        /// If `row` is out of range.
        #[inline(always)]
        pub fn row(&self, row: usize) -> Option<&[f32]> {
            self.frame.row_range(row).map(|range| &self.data[range])
        }
    };
}

/// A matrix that is read: rows x columns over a borrowed slice.
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
pub struct View<'a> {
    data: &'a [f32],
    frame: Frame,
}

impl<'a> View<'a> {
    /// A row-major matrix at the front of `data`.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`] if `data` is too short.
    pub fn new(data: &'a [f32], rows: usize, columns: usize) -> Result<Self, Error> {
        View::with_strides(data, [rows, columns], [columns, 1])
    }

    /// A matrix of the given shape and strides, `[rows, columns]` each, the strides counted in values.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`] if the last element lies beyond `data`.
    pub fn with_strides(data: &'a [f32], shape: [usize; 2], strides: [usize; 2]) -> Result<Self, Error> {
        Ok(View { data, frame: Frame::new("View", data.len(), shape, strides)? })
    }

    frame_methods!();

    /// Some rows one after the other, each cut to some columns: cheaper than row by row, which may cost a division and costs
    /// checks.
    ///
    /// # Panics
    /// If a row or column is out of range, or a row's values do not lie side by side.
    #[inline(always)]
    pub(crate) fn each_row(
        &self,
        rows: Range<usize>,
        columns: Range<usize>,
    ) -> impl Iterator<Item = &'a [f32]> + use<'a> {
        let data = self.data;
        self.frame.row_ranges(rows, columns).map(move |range| {
            debug_assert!(range.end <= data.len());
            // SAFETY: `Frame::row_ranges` stays within the frame, whose last element `Frame::new` found in the data.
            unsafe { data.get_unchecked(range) }
        })
    }

    /// The data from the first element on, and the values from one row to the next, if rows are evenly spaced and the values
    /// of each lie side by side: for loops that have no time to ask for each row. A single row is followed by none, and the
    /// distance is 0.
    ///
    /// ```
    /// use kernels::View;
    /// let x: Vec<f32> = (0..12).map(|i| i as f32).collect();
    /// let columns = View::new(&x, 3, 4)?.column_range(1..3)?;
    /// assert_eq!(columns.even_rows(), Some((&x[1..], 4)));
    /// assert_eq!(columns.transpose().even_rows(), None);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    pub fn even_rows(&self) -> Option<(&'a [f32], usize)> {
        let (data, [row_stride, column_stride]) = self.strided()?;
        (column_stride == 1 || self.columns() <= 1).then_some((data, row_stride))
    }

    /// The data from the first element on and both strides, if both axes are evenly spaced.
    pub(crate) fn strided(&self) -> Option<(&'a [f32], [usize; 2])> {
        let Frame { rows, columns } = &self.frame;
        if !(rows.is_even() && columns.is_even()) {
            return None;
        }
        let empty = rows.len == 0 || columns.len == 0;
        let start = if empty { 0 } else { self.frame.offset(0, 0) };
        // The stride of an axis that has no second element means nothing, and may be anything.
        let stride = |axis: &Axis| if axis.len > 1 { axis.stride } else { 0 };
        Some((&self.data[start..], [stride(rows), stride(columns)]))
    }
}

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
pub struct ViewMut<'a> {
    data: &'a mut [f32],
    frame: Frame,
}

impl<'a> ViewMut<'a> {
    /// A row-major matrix at the front of `data`.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`] if `data` is too short.
    pub fn new(data: &'a mut [f32], rows: usize, columns: usize) -> Result<Self, Error> {
        ViewMut::with_strides(data, [rows, columns], [columns, 1])
    }

    /// A matrix of the given shape and strides, `[rows, columns]` each, the strides counted in values.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`] if the last element lies beyond `data`; [`Error::Overlap`] if the strides could lead to
    /// one value twice.
    pub fn with_strides(data: &'a mut [f32], shape: [usize; 2], strides: [usize; 2]) -> Result<Self, Error> {
        let frame = Frame::new("ViewMut", data.len(), shape, strides)?;
        frame.check_disjoint()?;
        Ok(ViewMut { data, frame })
    }

    frame_methods!();

    /// As [`View::even_rows`], to write.
    ///
    /// ```
    /// use kernels::ViewMut;
    /// let mut x = [0.0; 6];
    /// let mut columns = ViewMut::new(&mut x, 2, 3)?.column_range(1..3)?;
    /// let (data, step) = columns.even_rows_mut().unwrap();
    /// data[step] = 1.0; // the first value of the second row
    /// assert_eq!(x, [0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    pub fn even_rows_mut(&mut self) -> Option<(&mut [f32], usize)> {
        let (data, row_stride) = self.as_view().even_rows()?;
        let start = self.data.len() - data.len();
        Some((&mut self.data[start..], row_stride))
    }

    /// The data from the first element on and both strides, if both axes are evenly spaced.
    #[cfg(feature = "matrixmultiply")]
    pub(crate) fn strided_mut(&mut self) -> Option<(&mut [f32], [usize; 2])> {
        let (data, strides) = self.as_view().strided()?;
        let start = self.data.len() - data.len();
        Some((&mut self.data[start..], strides))
    }

    /// As [`View::each_row`], to write.
    #[inline(always)]
    pub(crate) fn each_row_mut(
        &mut self,
        rows: Range<usize>,
        columns: Range<usize>,
    ) -> impl Iterator<Item = &mut [f32]> {
        let (data, len) = (self.data.as_mut_ptr(), self.data.len());
        self.frame.row_ranges(rows, columns).map(move |range| {
            debug_assert!(range.end <= len);
            // SAFETY: as in `View::each_row`. No row comes twice, for a `ChannelOrder` is a permutation; and no two rows share a
            // value, or `Frame::check_disjoint` had refused the view.
            unsafe { core::slice::from_raw_parts_mut(data.add(range.start), range.len()) }
        })
    }

    /// The same matrix, to read.
    pub fn as_view(&self) -> View<'_> {
        View { data: self.data, frame: self.frame }
    }

    /// The same matrix, for a shorter time.
    pub fn reborrow(&mut self) -> ViewMut<'_> {
        ViewMut { data: self.data, frame: self.frame }
    }

    /// The place at a row and column.
    ///
    /// # Panics
    /// If either is out of range.
    #[inline]
    pub fn at_mut(&mut self, row: usize, column: usize) -> &mut f32 {
        &mut self.data[self.frame.offset(row, column)]
    }

    /// A row, if its values lie side by side.
    ///
    /// # Panics
    /// If `row` is out of range.
    #[inline(always)]
    pub fn row_mut(&mut self, row: usize) -> Option<&mut [f32]> {
        self.frame.row_range(row).map(|range| &mut self.data[range])
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    /// Rows one after the other are the rows by their indices, whatever was shuffled and cut.
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
