//! A buffer of f32 on a cache line, without unsafe code: a little more than needed, and where in it the line begins.

/// What vectors of every instruction set like to be aligned to, in bytes.
const ALIGNMENT: usize = 64;

/// Zeros to begin with, from a 64-byte boundary on. The values stay where they are when the buffer itself is moved.
pub(crate) struct Aligned {
    storage: Vec<f32>,
    start: usize,
    len: usize,
}

impl Aligned {
    pub(crate) fn zeroed(len: usize) -> Self {
        let storage = vec![0.0; len + ALIGNMENT / size_of::<f32>() - 1];
        let address = storage.as_ptr().addr();
        let start = (address.next_multiple_of(ALIGNMENT) - address) / size_of::<f32>();
        Aligned { storage, start, len }
    }

    pub(crate) fn as_slice(&self) -> &[f32] {
        &self.storage[self.start..][..self.len]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
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
            let mut buffer = Aligned::zeroed(len);
            buffer.as_mut_slice().fill(1.0);
            kept.push(buffer); // moves it, and keeps the allocator from handing out the same place again
            let slice = kept[len].as_slice();
            assert_eq!((slice.len(), slice.as_ptr().addr() % ALIGNMENT), (len, 0));
            assert!(slice.iter().all(|x| *x == 1.0));
        }
    }
}
