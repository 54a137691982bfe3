//! Memory for images and scratch: on a cache line, and refused politely when there is not enough.

use std::ops::{Deref, DerefMut};

use anyhow::{Result, anyhow};

/// What vectors of every instruction set like to be aligned to, in bytes.
const ALIGNMENT: usize = 64;

/// f32 from a 64-byte boundary on. They stay where they are when the buffer itself is moved.
#[derive(Debug)]
pub(crate) struct Buffer {
    storage: Vec<f32>,
    start: usize,
    len: usize,
}

impl Buffer {
    /// Zeros. `what` is what a refusal calls them.
    pub fn zeroed(len: usize, what: &str) -> Result<Self> {
        let mut storage = Vec::new();
        let room = len.saturating_add(ALIGNMENT / size_of::<f32>() - 1);
        storage.try_reserve_exact(room).map_err(|_| {
            let mib = len as f64 * size_of::<f32>() as f64 / f64::from(1 << 20);
            anyhow!("{what} would take {mib:.0} MiB, more than there is; use fewer images at a time or a smaller model")
        })?;
        storage.resize(room, 0.0);
        let address = storage.as_ptr().addr();
        let start = (address.next_multiple_of(ALIGNMENT) - address) / size_of::<f32>();
        Ok(Self { storage, start, len })
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.storage[self.start..][..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.storage[self.start..][..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_begin_on_a_cache_line() {
        for len in [0, 1, 15, 16, 17, 1000] {
            let buffer = Buffer::zeroed(len, "a test").unwrap();
            assert_eq!((buffer.len(), buffer.as_ptr().addr() % ALIGNMENT), (len, 0));
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        for len in [1 << 60, usize::MAX] {
            let error = Buffer::zeroed(len, "the batch").unwrap_err().to_string();
            assert!(error.starts_with("the batch would take ") && error.contains("fewer images"), "{error}");
        }
    }
}
