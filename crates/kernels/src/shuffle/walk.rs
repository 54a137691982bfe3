//! Going through a channel order position by position.

/// The channels of an order, by additions where [`ChannelOrder::channel`](super::ChannelOrder::channel) divides.
#[derive(Clone)]
pub(super) struct Walk {
    channels: usize,
    stride: usize,
    position: usize,
    /// The channel at `position`.
    next: usize,
}

impl Walk {
    /// All channels of the order with this stride.
    pub(super) fn new(channels: usize, stride: usize) -> Self {
        Walk { channels, stride, position: 0, next: 0 }
    }
}

impl Iterator for Walk {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        if self.position == self.channels {
            return None;
        }
        let channel = self.next;
        self.position += 1;
        let modulus = self.channels - 1;
        // From here on a step passes the modulus. The sum is never formed: it may not fit where there are very many channels.
        let passes = modulus.saturating_sub(self.stride);
        self.next = match self.position {
            last if last == modulus => modulus,
            _ if channel >= passes => channel - passes,
            _ => channel + self.stride,
        };
        Some(channel)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.channels - self.position;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Walk {}
