//! Orders of any number of channels, as far as `usize` goes, against the formula in 128 bits.

use arbitrary::Arbitrary;
use kernels::ChannelOrder;

/// A number of channels by its factors, and shuffles whose groups are products of some of them.
#[derive(Arbitrary, Debug)]
pub struct Case {
    factors: Vec<u8>,
    shuffles: Vec<u64>,
    positions: Vec<usize>,
}

impl Case {
    pub fn run(&self) {
        let mut channels = 1_usize;
        let mut factors = Vec::new();
        for &factor in &self.factors {
            let factor = usize::from(factor) + 1;
            let Some(product) = channels.checked_mul(factor) else { break };
            channels = product;
            factors.push(factor);
        }
        let (identity, modulus) = (ChannelOrder::identity(channels), (channels as u128 - 1).max(1));
        let (mut order, mut stride) = (identity, 1 % modulus);
        for chosen in &self.shuffles {
            let chosen = factors.iter().enumerate().filter(|(i, _)| *i < 64 && chosen >> i & 1 == 1);
            let groups: usize = chosen.map(|(_, factor)| factor).product();
            let next = ChannelOrder::shuffle(channels, groups).expect("the groups divide the channels");
            order = order.then(next).expect("the same channels");
            stride = stride * (channels / groups) as u128 % modulus;
        }
        let inverse = order.inverse();
        assert_eq!(order.then(inverse), Ok(identity));
        assert_eq!(inverse.then(order), Ok(identity));
        for position in self.positions.iter().map(|position| position % channels) {
            let channel = order.channel(position);
            let moves = channels > 2 && position < channels - 1;
            let expected = if moves { (position as u128 * stride % modulus) as usize } else { position };
            assert_eq!(channel, expected, "position {position} of {order:?}");
            assert_eq!(inverse.channel(channel), position);
        }
        let walked = order.iter().take(8).enumerate();
        walked.for_each(|(position, channel)| assert_eq!(channel, order.channel(position), "{order:?}"));
    }
}
