//! Whether a picture is too large, or larger than its file can tell.

use crate::Problem;
use crate::limits::{MAX_PIXELS, MAX_SIDE};

/// Refuses a picture of more pixels than the limits allow, or, where a format has such a bound, than its bytes can hold.
pub(crate) fn check(
    format: &'static str,
    (width, height): (u32, u32),
    bytes: usize,
    max_pixels_per_byte: Option<u64>,
) -> Result<(), Problem> {
    let pixels = u64::from(width) * u64::from(height);
    if width.max(height) > MAX_SIDE || pixels > MAX_PIXELS {
        return Err(Problem::TooLarge { width, height });
    }
    if max_pixels_per_byte.is_some_and(|most| pixels > most.saturating_mul(bytes as u64)) {
        let reason = format!("its header says {width}x{height} pixels, more than {bytes} bytes can hold");
        return Err(Problem::damaged(format, reason));
    }
    Ok(())
}
