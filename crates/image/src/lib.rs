//! Image files as a model's input: decoded, resized and normalised to the same numbers as a Pillow and torchvision
//! pipeline.
//!
//! [`load`] is `Compose([Resize(resize, interpolation), CenterCrop(image_size), ToTensor(), Normalize(mean, std)])`
//! on `ImageOps.exif_transpose(Image.open(path)).convert("RGB")` (`"L"` for a model of one channel). For PNG files and
//! pixels in memory ([`prepare`]) the result has the same bits as with Pillow 13. The pixels of a JPEG differ from
//! libjpeg-turbo's by less than half a level on average, and by more than 8 levels only in the last column of images
//! with subsampled chroma.
//!
//! - PNG: 1 to 16 bits, grey, palette, RGB, with or without alpha, interlaced; of an animation the default image.
//!   JPEG: baseline and progressive; grey, YCbCr, RGB, CMYK (as Adobe's programs write it).
//! - The EXIF orientation is applied, of JPEG and of PNG.
//! - Alpha is dropped, not blended: a transparent pixel has the colour that the file stores for it.
//! - 16-bit samples keep their upper 8 bits. Pillow does the same, except for 16-bit grey without alpha, whose values
//!   from 256 on it turns white.
//! - Grey from RGB is ITU-R 601-2 luma; RGB from grey is the same value three times. Colour profiles are ignored.
//! - An image smaller than the crop is padded with zeros before it is normalised.
//! - Limits: 65,535 pixels a side, 178,956,970 in all (where Pillow stops, too), 512 MiB of file.

#![forbid(unsafe_code)]

mod decode;
mod error;
mod resample;

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use resample::Raster;
use weights::{CropMode, Preparation};

pub use error::ImageError;

/// Largest width or height of an image; a JPEG cannot say more.
const MAX_SIDE: u32 = 65_535;

/// Most pixels of an image: where Pillow calls a file a decompression bomb.
const MAX_PIXELS: u64 = 178_956_970;

/// Longest file that is read; three times what a photograph of that many pixels takes at the best quality.
const MAX_FILE_BYTES: u64 = 512 << 20;

/// Grey or RGB pixels, a byte a sample, row by row.
///
/// ```
/// use images::{Pixels, prepare};
/// use weights::Preparation;
///
/// let pixels = [0; 28 * 28];
/// let mut input = vec![0.0; 28 * 28];
/// prepare(&Pixels::new(28, 28, 1, &pixels)?, &Preparation::new(28, 1), &mut input)?;
/// assert_eq!(input[0], -1.0); // (0 / 255 - 0.5) / 0.5
/// # Ok::<(), images::ImageError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels<'a> {
    width: usize,
    height: usize,
    channels: usize,
    data: Cow<'a, [u8]>,
}

impl<'a> Pixels<'a> {
    /// `width * height` pixels of 1 (grey) or 3 (RGB) bytes each.
    pub fn new(width: usize, height: usize, channels: usize, data: &'a [u8]) -> Result<Self, ImageError> {
        let expected = width.checked_mul(height).and_then(|pixels| pixels.checked_mul(channels));
        if !matches!(channels, 1 | 3) || data.is_empty() || expected != Some(data.len()) {
            return Err(ImageError::Raster { width, height, channels, found: data.len() });
        }
        Ok(Self { width, height, channels, data: data.into() })
    }

    /// The same picture with 1 or 3 channels.
    fn with_channels(&self, channels: usize) -> Cow<'_, [u8]> {
        match (self.channels, channels) {
            (3, 1) => self.data.as_chunks::<3>().0.iter().map(luma).collect(),
            (1, 3) => self.data.iter().flat_map(|&grey| [grey; 3]).collect(),
            _ => Cow::Borrowed(&self.data),
        }
    }
}

/// ITU-R 601-2 in Pillow's fixed point: 0.299 R + 0.587 G + 0.114 B.
fn luma(&[red, green, blue]: &[u8; 3]) -> u8 {
    ((u32::from(red) * 19595 + u32::from(green) * 38470 + u32::from(blue) * 7471 + 0x8000) >> 16) as u8
}

/// Reads a PNG or JPEG file and writes it to `out` as [`prepare`] does.
pub fn load(path: &Path, preparation: &Preparation, out: &mut [f32]) -> Result<(), ImageError> {
    check(preparation, out)?;
    prepare(&decode::decode(path)?, preparation, out)
}

/// Writes the pixels to `out` as the model takes them: planes of `image_size` x `image_size`, one per channel.
pub fn prepare(pixels: &Pixels<'_>, preparation: &Preparation, out: &mut [f32]) -> Result<(), ImageError> {
    check(preparation, out)?;
    let size = preparation.image_size;
    let channels = preparation.mean.len();
    let data = pixels.with_channels(channels);
    let source = Raster { width: pixels.width, height: pixels.height, channels, data: &data };
    let (width, height) = match preparation.crop_mode {
        CropMode::Squash => (preparation.resize, preparation.resize),
        _ => resized(source.width, source.height, preparation.resize),
    };
    let (columns, rows) = (Span::centred(width, size), Span::centred(height, size));
    let window =
        resample::resize(source, (width, height), columns.kept.clone(), rows.kept.clone(), preparation.interpolation);
    for (channel, plane) in out.chunks_exact_mut(size * size).enumerate() {
        let normal = normalised(preparation.mean[channel], preparation.std[channel]);
        plane.fill(normal[0]);
        let lines = plane.chunks_exact_mut(size).skip(rows.padding);
        for (line, row) in lines.zip(window.chunks_exact(columns.kept.len() * channels)) {
            for (value, pixel) in line[columns.padding..].iter_mut().zip(row.chunks_exact(channels)) {
                *value = normal[usize::from(pixel[channel])];
            }
        }
    }
    Ok(())
}

/// Refuses what no image could satisfy, before any file is read.
fn check(preparation: &Preparation, out: &[f32]) -> Result<(), ImageError> {
    let problems = preparation.problems();
    if !problems.is_empty() {
        return Err(ImageError::Preparation { problems: problems.join(", ") });
    }
    let (channels, size) = (preparation.mean.len(), preparation.image_size);
    if !matches!(channels, 1 | 3) {
        return Err(ImageError::Channels { channels });
    }
    let expected = channels * size * size;
    if out.len() != expected {
        return Err(ImageError::Output { channels, size, expected, found: out.len() });
    }
    Ok(())
}

/// Width and height once the short side is `short`: torchvision's `int(short * long / short_before)`.
fn resized(width: usize, height: usize, short: usize) -> (usize, usize) {
    let long = |long: usize, before: usize| ((short * long) as f64 / before as f64) as usize;
    if width <= height { (short, long(height, width)) } else { (long(width, height), short) }
}

/// One axis of torchvision's centre crop: what is kept, and how many zeros stand in front of it.
struct Span {
    kept: Range<usize>,
    padding: usize,
}

impl Span {
    fn centred(length: usize, size: usize) -> Self {
        if length < size {
            return Self { kept: 0..length, padding: (size - length) / 2 };
        }
        // Python's `round`: halves go to the even number.
        let start = ((length - size) as f64 / 2.0).round_ties_even() as usize;
        Self { kept: start..start + size, padding: 0 }
    }
}

/// What each byte becomes, rounded to f32 after every operation as torch does.
fn normalised(mean: f32, std: f32) -> [f32; 256] {
    std::array::from_fn(|byte| (byte as f32 / 255.0 - mean) / std)
}

/// The examples of docs/library.md, so that they are compiled and run as everything else is.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/library.md")]
struct Libraries;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_follow_torchvision() {
        assert_eq!(resized(640, 480, 248), (330, 248)); // 330.67
        assert_eq!(resized(480, 640, 248), (248, 330));
        assert_eq!(resized(28, 28, 31), (31, 31));
        assert_eq!(resized(3, 1, 7), (21, 7));
    }

    #[test]
    fn a_squashed_picture_keeps_its_edges() {
        // The right column alone is white, and not in the centre.
        let pixels: Vec<u8> = (0..4 * 2).map(|i| if i % 4 < 3 { 0 } else { 255 }).collect();
        let source = Pixels::new(4, 2, 1, &pixels).unwrap();
        let prepared = |crop_mode| {
            let interpolation = weights::Interpolation::Nearest;
            let preparation = Preparation { resize: 2, crop_mode, interpolation, ..Preparation::new(2, 1) };
            let mut out = [0.0; 4];
            prepare(&source, &preparation, &mut out).unwrap();
            out
        };
        assert_eq!(prepared(CropMode::Center), [-1.0; 4]);
        assert_eq!(prepared(CropMode::Squash), [-1.0, 1.0, -1.0, 1.0]);
    }

    #[test]
    fn crops_round_halves_to_even() {
        let start = |length, size| Span::centred(length, size).kept.start;
        assert_eq!([start(225, 224), start(227, 224), start(229, 224)], [0, 2, 2]);
        let padded = Span::centred(5, 8);
        assert_eq!((padded.kept, padded.padding), (0..5, 1));
    }

    #[test]
    fn luma_is_pillows() {
        assert_eq!([luma(&[255; 3]), luma(&[255, 0, 0]), luma(&[0, 255, 0]), luma(&[0, 0, 255])], [255, 76, 150, 29]);
    }
}
