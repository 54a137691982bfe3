//! The channel shuffle as a number: any composition of shuffles is one modular stride, so no channel ever moves.
//!
//! ShuffleNet's shuffle with g groups reshapes n channels to g x n/g, transposes and flattens: new position `p` takes the
//! old channel `p * n/g mod (n - 1)`, and the last channel stays. Composing two shuffles multiplies their strides modulo
//! `n - 1`; the inverse of g groups is n/g groups. Hence a [`ChannelOrder`] is two numbers, whatever the depth.
//!
//! The module of arXiv 2310.05642 (section II-B) concatenates the attended and the idle half and shuffles with 2 groups
//! after each layer.

use super::walk::Walk;
use crate::error::Error;

/// The order in which a composition of channel shuffles presents `n` channels: position `p` shows channel
/// `p * stride mod (n - 1)`, and position `n - 1` shows channel `n - 1`.
///
/// ```
/// use kernels::ChannelOrder;
/// let shuffle = ChannelOrder::shuffle(6, 2)?;
/// assert!(shuffle.iter().eq([0, 3, 1, 4, 2, 5])); // a0 b0 a1 b1 a2 b2
/// let twice = shuffle.then(shuffle)?;
/// assert_eq!(twice.then(twice.inverse())?, ChannelOrder::identity(6));
/// # Ok::<(), kernels::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChannelOrder {
    channels: usize,
    /// In `1..channels - 1`, or 1 where there are fewer than 3 channels: one value for one order.
    stride: usize,
}

impl ChannelOrder {
    /// The order before any shuffle.
    ///
    /// ```
    /// use kernels::ChannelOrder;
    /// assert!(ChannelOrder::identity(6).iter().eq(0..6));
    /// # Ok::<(), kernels::Error>(())
    /// ```
    pub const fn identity(channels: usize) -> Self {
        ChannelOrder { channels, stride: 1 }
    }

    /// The order after one shuffle with `groups` groups.
    ///
    /// ```
    /// use kernels::ChannelOrder;
    /// assert!(ChannelOrder::shuffle(6, 3)?.iter().eq([0, 2, 4, 1, 3, 5]));
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Groups`] unless `groups` is at least 1 and divides `channels`.
    pub const fn shuffle(channels: usize, groups: usize) -> Result<Self, Error> {
        if groups == 0 || !channels.is_multiple_of(groups) {
            return Err(Error::Groups { groups, channels });
        }
        Ok(Self::from_stride(channels, channels / groups))
    }

    /// The order with the given stride, reduced to its one representative.
    const fn from_stride(channels: usize, stride: usize) -> Self {
        if channels < 3 {
            return Self::identity(channels);
        }
        ChannelOrder { channels, stride: stride % (channels - 1) }
    }

    /// The order after `next` is applied to channels already in this order.
    ///
    /// ```
    /// use kernels::ChannelOrder;
    /// let shuffle = ChannelOrder::shuffle(6, 2)?;
    /// assert!(shuffle.then(shuffle)?.iter().eq([0, 4, 3, 2, 1, 5]));
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Channels`] if the two are orders of different numbers of channels.
    pub const fn then(self, next: ChannelOrder) -> Result<Self, Error> {
        if self.channels != next.channels {
            return Err(Error::Channels { expected: self.channels, found: next.channels });
        }
        Ok(Self::from_stride(self.channels, self.multiply(self.stride, next.stride)))
    }

    /// The order that undoes this one: the stride's inverse modulo `channels - 1`.
    ///
    /// ```
    /// use kernels::ChannelOrder;
    /// assert_eq!(ChannelOrder::shuffle(6, 2)?.inverse(), ChannelOrder::shuffle(6, 3)?);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    pub const fn inverse(self) -> Self {
        if self.channels < 3 {
            return self;
        }
        // Extended Euclid over the stride and the modulus, which are coprime: strides are products of divisors of n.
        let modulus = (self.channels - 1) as i128;
        let (mut r, mut next_r) = (modulus, self.stride as i128);
        let (mut t, mut next_t) = (0_i128, 1_i128);
        while next_r != 0 {
            let quotient = r / next_r;
            (r, next_r) = (next_r, r - quotient * next_r);
            (t, next_t) = (next_t, t - quotient * next_t);
        }
        Self::from_stride(self.channels, t.rem_euclid(modulus) as usize)
    }

    /// Channels in the order.
    ///
    /// ```
    /// use kernels::ChannelOrder;
    /// assert_eq!(ChannelOrder::shuffle(6, 2)?.channels(), 6);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    pub const fn channels(self) -> usize {
        self.channels
    }

    /// The modular stride.
    ///
    /// ```
    /// use kernels::ChannelOrder;
    /// assert_eq!(ChannelOrder::shuffle(6, 2)?.stride(), 3);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    pub const fn stride(self) -> usize {
        self.stride
    }

    /// Whether position `p` shows channel `p` throughout.
    ///
    /// ```
    /// use kernels::ChannelOrder;
    /// assert!(ChannelOrder::shuffle(6, 1)?.is_identity());
    /// # Ok::<(), kernels::Error>(())
    /// ```
    pub const fn is_identity(self) -> bool {
        self.stride == 1 || self.channels < 3
    }

    /// The channel at a position.
    ///
    /// ```
    /// use kernels::ChannelOrder;
    /// assert_eq!(ChannelOrder::shuffle(6, 2)?.channel(1), 3);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Panics
    /// If `position` is not below the number of channels.
    #[inline]
    pub const fn channel(self, position: usize) -> usize {
        assert!(position < self.channels, "position beyond the last channel");
        if self.is_identity() || position == self.channels - 1 {
            return position;
        }
        self.multiply(position, self.stride)
    }

    /// The channels in order of position.
    ///
    /// ```
    /// use kernels::ChannelOrder;
    /// assert_eq!(ChannelOrder::shuffle(6, 2)?.iter().nth(3), Some(4));
    /// # Ok::<(), kernels::Error>(())
    /// ```
    pub fn iter(self) -> impl ExactSizeIterator<Item = usize> + Clone {
        Walk::new(self.channels, self.stride)
    }

    /// How many times this order must be applied to give the identity: the multiplicative order of the stride.
    ///
    /// For 2 groups this is the period of the perfect shuffle. Counted step by step, so the time is the answer, below `channels`.
    ///
    /// ```
    /// use kernels::ChannelOrder;
    /// assert_eq!(ChannelOrder::shuffle(52, 2)?.period(), 8); // eight perfect out-shuffles restore a deck of cards
    /// # Ok::<(), kernels::Error>(())
    /// ```
    pub const fn period(self) -> usize {
        let mut count = 1;
        let mut power = self;
        while !power.is_identity() {
            power = Self::from_stride(self.channels, self.multiply(power.stride, self.stride));
            count += 1;
        }
        count
    }

    /// A product modulo `channels - 1`, without overflow; 1 where there are fewer than 3 channels.
    #[inline]
    const fn multiply(self, a: usize, b: usize) -> usize {
        if self.channels < 3 {
            return 1;
        }
        match a.checked_mul(b) {
            Some(product) => product % (self.channels - 1),
            None => (a as u128 * b as u128 % (self.channels - 1) as u128) as usize,
        }
    }
}
