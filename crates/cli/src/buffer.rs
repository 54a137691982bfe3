//! Memory for images and scratch. Not enough of it is an error, not an abort.

use anyhow::{Result, anyhow};
use weights::Aligned;

/// Zeros that begin on a cache line. An error calls them `what`.
pub(crate) fn zeroed(len: usize, what: &str) -> Result<Aligned> {
    Aligned::zeroed(len).ok_or_else(|| {
        let mib = len as f64 * size_of::<f32>() as f64 / f64::from(1 << 20);
        anyhow!("{what} would take {mib:.0} MiB, more than there is; use fewer images at a time or a smaller model")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_an_error() {
        for len in [1 << 60, usize::MAX] {
            let error = zeroed(len, "the batch").unwrap_err().to_string();
            assert!(error.starts_with("the batch would take ") && error.contains("fewer images"), "{error}");
        }
    }
}
