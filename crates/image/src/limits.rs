//! How large a picture may be, so that a hostile file cannot ask for more time or memory than it is worth.

use crate::Problem;

/// Largest width or height of an image; a JPEG cannot say more.
pub(crate) const MAX_SIDE: u32 = 65_535;

/// Most pixels of an image: where Pillow calls a file a decompression bomb.
pub(crate) const MAX_PIXELS: u64 = 178_956_970;

/// Longest file that is read; three times what a photograph of that many pixels takes at the best quality.
pub(crate) const MAX_FILE_BYTES: u64 = 512 << 20;

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
