//! One axis of a view: a stride, a range and an order of its indices.

use core::ops::Range;

use crate::error::Error;
use crate::shuffle::ChannelOrder;

/// One axis of a view: index `i` stands `stride * order.channel(first + i)` values from the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    pub(super) len: usize,
    pub(super) first: usize,
    pub(super) stride: usize,
    pub(super) order: ChannelOrder,
}

impl Axis {
    pub(super) fn new(len: usize, stride: usize) -> Self {
        Axis { len, first: 0, stride, order: ChannelOrder::identity(len) }
    }

    #[inline(always)]
    pub(super) fn offset(&self, i: usize) -> usize {
        assert!(i < self.len, "index beyond the end of an axis");
        self.stride * self.order.channel(self.first + i)
    }

    /// Whether each index is one stride after the one before.
    pub(super) fn is_strided(&self) -> bool {
        self.order.is_identity() || self.len <= 1
    }

    pub(super) fn is_contiguous(&self) -> bool {
        self.stride == 1 && self.is_strided() || self.len <= 1
    }

    pub(super) fn range(mut self, range: Range<usize>, what: &'static str) -> Result<Self, Error> {
        if range.start > range.end || range.end > self.len {
            return Err(Error::Range { what, start: range.start, end: range.end, len: self.len });
        }
        self.first += range.start;
        self.len = range.end - range.start;
        Ok(self)
    }

    /// The axis in a further order; only a whole axis can be reordered.
    pub(super) fn reorder(mut self, next: ChannelOrder) -> Result<Self, Error> {
        if self.first != 0 || self.len != self.order.channels() || next.channels() != self.len {
            return Err(Error::Channels { expected: self.len, found: next.channels() });
        }
        self.order = self.order.then(next)?;
        Ok(self)
    }
}
