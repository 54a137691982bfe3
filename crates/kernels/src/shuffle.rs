//! The channel shuffle as a number: any composition of shuffles is one modular stride, so no channel ever moves.

mod order;
mod walk;

pub use order::ChannelOrder;
