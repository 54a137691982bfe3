//! Consecutive rows of a view, one after the other: cheaper than row by row, which may cost a division and costs checks.

use core::ops::Range;

use super::frame::Frame;

/// Some columns of consecutive rows of a view's data.
///
/// # Safety
/// `frame` is one that [`Frame::new`] made for data of this length, or came from such a one by taking ranges, transposing and
/// reordering.
///
/// # Panics
/// If a row or column is out of range, or a row's values do not lie side by side.
#[inline(always)]
pub(super) unsafe fn each<'a, T>(
    data: &'a [T],
    frame: &Frame,
    rows: Range<usize>,
    columns: Range<usize>,
) -> impl Iterator<Item = &'a [T]> + use<'a, T> {
    let width = columns.len();
    RowStarts::new(frame, rows, columns).map(move |start| {
        debug_assert!(start + width <= data.len());
        // SAFETY: `RowStarts` stays within the frame, whose last element lies in the data by the caller's promise.
        unsafe { data.get_unchecked(start..start + width) }
    })
}

/// As [`each`], to write.
///
/// # Safety
/// As [`each`], and [`Frame::check_disjoint`] found no two elements in one place.
#[inline(always)]
pub(super) unsafe fn each_mut<'a, T>(
    data: &'a mut [T],
    frame: &Frame,
    rows: Range<usize>,
    columns: Range<usize>,
) -> impl Iterator<Item = &'a mut [T]> + use<'a, T> {
    let (data, len, width) = (data.as_mut_ptr(), data.len(), columns.len());
    RowStarts::new(frame, rows, columns).map(move |start| {
        debug_assert!(start + width <= len);
        // SAFETY: as in `each`. No row comes twice, for an order is a permutation; and no two rows share a value, by the
        // caller's promise.
        unsafe { core::slice::from_raw_parts_mut(data.add(start), width) }
    })
}

/// Where consecutive rows start.
///
/// An order goes around its channels but the last in equal steps, and the last stands at the end: so do the rows in memory.
struct RowStarts {
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

impl RowStarts {
    /// Where some rows have the first of some columns.
    ///
    /// All of it is within the frame: ranges and orders of an axis never leave it, and the steps are those of the order.
    #[inline(always)]
    fn new(frame: &Frame, range: Range<usize>, cut: Range<usize>) -> Self {
        let Frame { rows, columns } = frame;
        assert!(columns.is_contiguous(), "contiguous rows");
        assert!(range.start <= range.end && range.end <= rows.len, "rows of the view");
        assert!(cut.start <= cut.end && cut.end <= columns.len, "columns of the view");
        let (left, first) = (range.len(), rows.first + range.start);
        if left == 0 || columns.len == 0 {
            return RowStarts { next: 0, step: 0, last: 0, around: 0, before_last: 0, left };
        }
        let (base, last) = (columns.offset(0) + cut.start, rows.order.channels() - 1);
        let around = rows.stride * last;
        RowStarts {
            next: base + rows.stride * rows.order.channel(first),
            // The stride of a single row means nothing, and may be anything.
            step: if last == 0 { 0 } else { rows.stride * rows.order.stride() },
            last: base + around,
            around,
            before_last: last - first,
            left,
        }
    }
}

impl Iterator for RowStarts {
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
