//! WebP, lossy and lossless; of an animation the first frame.

use std::io::Cursor;

use image_webp::{DecodingError, WebPDecoder};

use crate::memory::{filled, require};
use crate::metadata::Metadata;
use crate::{Pixels, Problem, size};

/// Memory that the decoder takes for each pixel, beside what it writes to: planes or values of 32 bits.
const DECODER_BYTES_PER_PIXEL: usize = 8;

/// The bit of the header's flags that announces a chunk.
const EXIF_FLAG: u8 = 0x08;
const XMP_FLAG: u8 = 0x04;

/// Decodes a whole file.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Pixels<'static>, Metadata), Problem> {
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(problem)?;
    let (width, height) = decoder.dimensions();
    size::check("WebP", (width, height), bytes.len(), None)?;
    let samples = if decoder.has_alpha() { 4 } else { 3 };
    let (width, height) = (width as usize, height as usize);
    require(width * height * (DECODER_BYTES_PER_PIXEL + samples))?;
    let mut data = filled(0, width * height * samples)?;
    if decoder.is_animated() {
        decoder.read_frame(&mut data).map_err(problem)?;
    } else {
        decoder.read_image(&mut data).map_err(problem)?;
    }
    if samples == 4 {
        drop_alpha(&mut data);
    }
    Ok((Pixels { width, height, channels: 3, data: data.into() }, metadata(bytes)))
}

/// Moves the colours of RGBA together; alpha is dropped and not blended, as Pillow's `convert` does.
fn drop_alpha(data: &mut Vec<u8>) {
    let pixels = data.len() / 4;
    for pixel in 0..pixels {
        data.copy_within(4 * pixel..4 * pixel + 3, 3 * pixel);
    }
    data.truncate(3 * pixels);
}

/// The first chunks of EXIF and XMP data that the header announces.
fn metadata(bytes: &[u8]) -> Metadata {
    let flags = if bytes.get(12..16) == Some(b"VP8X") { bytes.get(20).copied().unwrap_or(0) } else { 0 };
    let chunk = |name: &[u8; 4], flag: u8| {
        (flags & flag != 0)
            .then(|| chunks(bytes).find(|(found, _)| *found == name))
            .flatten()
            .map(|(_, data)| data.to_vec())
    };
    Metadata { exif: chunk(b"EXIF", EXIF_FLAG), xmp: chunk(b"XMP ", XMP_FLAG).unwrap_or_default() }
}

/// The chunks of a RIFF file: each a name, a length, and as many bytes, one more if that is odd.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = bytes.get(12..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (name, behind) = rest.split_at_checked(4)?;
        let (length, behind) = behind.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let data = behind.get(..length)?;
        rest = behind.get(length + length % 2..).unwrap_or_default();
        Some((name, data))
    })
}

fn problem(error: DecodingError) -> Problem {
    match error {
        DecodingError::UnsupportedFeature(reason) => Problem::unsupported("WebP", reason),
        DecodingError::MemoryLimitExceeded | DecodingError::ImageTooLarge => {
            Problem::unsupported("WebP", "it needs too much memory")
        }
        reason => Problem::damaged("WebP", reason.to_string()),
    }
}
