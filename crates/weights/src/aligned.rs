//! A buffer of f32 on a cache line, without unsafe code: a little more than needed, and where in it the line begins.

use std::ops::{Deref, DerefMut};

/// What vectors of every instruction set like to be aligned to, in bytes.
pub(crate) const ALIGNMENT: usize = 64;

/// Memory for weights, images and scratch: f32 from a 64-byte boundary on. They stay where they are when the buffer itself
/// is moved.
///
/// ```
/// let mut scratch = weights::Aligned::zeroed(100).expect("400 bytes");
/// scratch[99] = 1.0;
/// assert_eq!((scratch.len(), scratch.as_ptr().addr() % 64), (100, 0));
/// ```
#[derive(Debug)]
pub struct Aligned {
    storage: Box<[f32]>,
    start: usize,
    len: usize,
}

impl Aligned {
    /// Zeros, which where the system can do so take no memory until they are written; none if there is not enough.
    ///
    /// ```
    /// assert!(weights::Aligned::zeroed(usize::MAX).is_none());
    /// ```
    pub fn zeroed(len: usize) -> Option<Self> {
        let room = len.checked_add(ALIGNMENT / size_of::<f32>() - 1)?;
        let storage: Box<[f32]> = bytemuck::allocation::try_zeroed_slice_box(room).ok()?;
        let address = storage.as_ptr().addr();
        let start = (address.next_multiple_of(ALIGNMENT) - address) / size_of::<f32>();
        Some(Aligned { storage, start, len })
    }
}

impl Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.storage[self.start..][..self.len]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.storage[self.start..][..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_begins_on_a_cache_line() {
        let mut kept = Vec::new();
        for len in 0..200 {
            let mut buffer = Aligned::zeroed(len).unwrap();
            buffer.fill(1.0);
            kept.push(buffer); // moves it, and keeps the allocator from handing out the same place again
            let slice = &kept[len][..];
            assert_eq!((slice.len(), slice.as_ptr().addr() % ALIGNMENT), (len, 0));
            assert!(slice.iter().all(|x| *x == 1.0));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for len in [1 << 45, 1 << 60, u64::MAX].map(|len| usize::try_from(len).unwrap_or(usize::MAX)) {
            // Seen by nobody, the allocation would be optimised away, and its failure with it.
            assert!(core::hint::black_box(Aligned::zeroed(len)).is_none(), "{len}");
        }
    }
}
