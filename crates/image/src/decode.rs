//! From a PNG or JPEG file to upright 8-bit pixels, within limits that a hostile file cannot talk its way past.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::{ImageError, MAX_FILE_BYTES, MAX_PIXELS, MAX_SIDE, Pixels};

/// Pixels that a byte of a file can stand for at most, so that a short file cannot ask for much memory. Deflate shrinks
/// by 1032 at most, to eight pixels of one bit each a byte. A JPEG spends at least a bit on each block of 8x8 samples,
/// which covers 16x8 pixels where no component has full resolution both ways.
fn max_pixels_per_byte(format: ImageFormat) -> u64 {
    match format {
        ImageFormat::Png => 8 * 1032,
        _ => 8 * 16 * 8,
    }
}

/// What a PNG's metadata (a compressed colour profile, say) may grow to while it is read.
const MAX_METADATA_BYTES: u64 = 64 << 20;

/// Long enough for every signature.
const SIGNATURE_BYTES: u64 = 64;

/// The pixels of an image file, upright.
pub(super) fn decode(path: &Path) -> Result<Pixels<'static>, ImageError> {
    let (bytes, format) = read(path)?;
    let image = match format {
        ImageFormat::Png => decode_as(&bytes, format, "PNG"),
        _ if jpeg_is_complete(&bytes) => decode_as(&bytes, format, "JPEG"),
        _ => Err(Failure::Damaged("JPEG", "it ends before its end-of-image marker".into())),
    };
    image.and_then(flatten).map_err(|failure| failure.of(path))
}

/// An [`ImageError`] without the path.
enum Failure {
    Damaged(&'static str, String),
    Unsupported(&'static str, String),
    TooLarge(u32, u32),
}

impl Failure {
    fn decoding(format: &'static str, error: image::ImageError) -> Self {
        match error {
            image::ImageError::Unsupported(reason) => Self::Unsupported(format, reason.to_string()),
            reason => Self::Damaged(format, reason.to_string()),
        }
    }

    fn of(self, path: &Path) -> ImageError {
        let path = path.to_path_buf();
        match self {
            Self::Damaged(format, reason) => ImageError::Damaged { path, format, reason },
            Self::Unsupported(format, reason) => ImageError::Unsupported { path, format, reason },
            Self::TooLarge(width, height) => ImageError::TooLarge { path, width, height },
        }
    }
}

/// The whole file, once its first bytes have said that it is a PNG or a JPEG.
fn read(path: &Path) -> Result<(Vec<u8>, ImageFormat), ImageError> {
    let refused = |error: std::io::Error| ImageError::Read { path: path.into(), reason: error.to_string() };
    if path.is_dir() {
        return Err(ImageError::Folder { path: path.into() });
    }
    let file = File::open(path).map_err(refused)?;
    let mut bytes = Vec::new();
    (&file).take(SIGNATURE_BYTES).read_to_end(&mut bytes).map_err(refused)?;
    if bytes.is_empty() {
        return Err(ImageError::Empty { path: path.into() });
    }
    let format = match image::guess_format(&bytes) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg)) => format,
        other => return Err(ImageError::Format { path: path.into(), found: describe(&bytes, other.ok()) }),
    };
    (&file).take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(refused)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(ImageError::TooLong { path: path.into() });
    }
    Ok((bytes, format))
}

/// What a file is that is neither PNG nor JPEG.
fn describe(bytes: &[u8], format: Option<ImageFormat>) -> String {
    match format.and_then(|format| format.extensions_str().first()) {
        Some(extension) => format!("is a {} file", extension.to_uppercase()),
        None if bytes.get(4..8) == Some(b"ftyp") => "is a HEIC image or a video".into(),
        None => "is no image that its first bytes would tell".into(),
    }
}

fn decode_as(bytes: &[u8], format: ImageFormat, name: &'static str) -> Result<DynamicImage, Failure> {
    let failed = |error| Failure::decoding(name, error);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_METADATA_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(failed)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if width.max(height) > MAX_SIDE || pixels > MAX_PIXELS {
        return Err(Failure::TooLarge(width, height));
    }
    if pixels > bytes.len() as u64 * max_pixels_per_byte(format) {
        let reason = format!("its header says {width}x{height} pixels, more than {} bytes can hold", bytes.len());
        return Err(Failure::Damaged(name, reason));
    }
    let orientation = match format {
        ImageFormat::Png => png_exif(bytes).and_then(Orientation::from_exif_chunk),
        _ => decoder.orientation().ok(),
    };
    let mut image = DynamicImage::from_decoder(decoder).map_err(failed)?;
    image.apply_orientation(orientation.unwrap_or(Orientation::NoTransforms));
    Ok(image)
}

/// Grey or RGB bytes: alpha is dropped and not blended, as Pillow's `convert` does, and of 16 bits the upper 8 are
/// kept, as Pillow does for all but plain 16-bit grey (which it clips to white from 256 on).
fn flatten(image: DynamicImage) -> Result<Pixels<'static>, Failure> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let high = |values: Vec<u16>| values.into_iter().map(|value| (value >> 8) as u8).collect::<Vec<u8>>();
    let (channels, data) = match image {
        DynamicImage::ImageLuma8(grey) => (1, grey.into_raw()),
        DynamicImage::ImageRgb8(rgb) => (3, rgb.into_raw()),
        DynamicImage::ImageLumaA8(grey) => (1, opaque::<2>(grey.into_raw())),
        DynamicImage::ImageRgba8(rgb) => (3, opaque::<4>(rgb.into_raw())),
        DynamicImage::ImageLuma16(grey) => (1, high(grey.into_raw())),
        DynamicImage::ImageRgb16(rgb) => (3, high(rgb.into_raw())),
        DynamicImage::ImageLumaA16(grey) => (1, opaque::<2>(high(grey.into_raw()))),
        DynamicImage::ImageRgba16(rgb) => (3, opaque::<4>(high(rgb.into_raw()))),
        other => return Err(Failure::Unsupported("image", format!("its pixels are {:?}", other.color()))),
    };
    Ok(Pixels { width, height, channels, data: data.into() })
}

/// All but the last of every `SAMPLES` bytes.
fn opaque<const SAMPLES: usize>(data: Vec<u8>) -> Vec<u8> {
    data.as_chunks::<SAMPLES>().0.iter().flat_map(|pixel| &pixel[..SAMPLES - 1]).copied().collect()
}

/// The eXIf chunk, wherever it stands: some writers put it behind the pixels, where the decoder does not look.
fn png_exif(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes.get(8..)?;
    loop {
        let (length, chunk) = rest.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        let data = chunk.get(4..)?.get(..length)?;
        if chunk.starts_with(b"eXIf") {
            return Some(data);
        }
        rest = chunk.get(4 + length + 4..)?;
    }
}

/// Whether a JPEG has an end-of-image marker behind its scans. The decoder would fill a missing rest with grey.
fn jpeg_is_complete(bytes: &[u8]) -> bool {
    const END: u8 = 0xD9;
    // In a scan FF is followed by 00 where it is data; FF pads, and 01 and D0 to D7 have no segment to skip.
    let has_segment = |pair: &[u8]| pair[0] == 0xFF && !matches!(pair[1], 0 | 1 | 0xD0..=0xD7 | 0xFF);
    let mut rest = &bytes[2..];
    while let Some(at) = rest.windows(2).position(has_segment) {
        if rest[at + 1] == END {
            return true;
        }
        let segment = &rest[at + 2..];
        let length = segment.first_chunk().map_or(usize::MAX, |&length| u16::from_be_bytes(length).into());
        rest = segment.get(length..).unwrap_or_default();
    }
    false
}
