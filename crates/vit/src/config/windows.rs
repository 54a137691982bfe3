//! The geometry of sliding windows over a map: patches, and the unfoldings of tokens-to-token.

/// Square windows over a square map.
#[derive(Clone, Copy)]
pub(crate) struct Windows {
    /// Height and width of the map.
    pub side: usize,
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
}

impl Windows {
    /// The patches of an image: windows next to each other.
    pub(crate) fn patches(side: usize, patch: usize) -> Self {
        Windows { side, kernel: patch, stride: patch, padding: 0 }
    }

    /// Windows in a row and in a column.
    pub(crate) fn grid(&self) -> usize {
        (self.side + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// Values of a window over a map of so many channels.
    pub(crate) fn values(&self, channels: usize) -> usize {
        channels * self.kernel * self.kernel
    }
}
