//! From pixels to the numbers that a model takes.

use std::ops::Range;

use weights::{CropMode, Preparation};

use crate::resample::{self, Raster};
use crate::{ImageError, Pixels, Problem};

/// Writes the pixels to `out` as the model takes them: planes of `image_size` x `image_size`, one per channel.
///
/// ```
/// use images::{Pixels, prepare};
/// use weights::Preparation;
///
/// let white = Pixels::new(2, 2, 1, &[255; 4])?;
/// let mut input = [0.0; 16];
/// prepare(&white, &Preparation::new(4, 1), &mut input)?;
/// assert_eq!(input, [1.0; 16]); // (255 / 255 - 0.5) / 0.5
/// # Ok::<(), images::ImageError>(())
/// ```
pub fn prepare(pixels: &Pixels<'_>, preparation: &Preparation, out: &mut [f32]) -> Result<(), ImageError> {
    check(preparation, out)?;
    write(pixels, preparation, out).map_err(|problem| problem.of("the image"))
}

/// Writes what was checked.
pub(crate) fn write(pixels: &Pixels<'_>, preparation: &Preparation, out: &mut [f32]) -> Result<(), Problem> {
    let size = preparation.image_size;
    let channels = preparation.mean.len();
    let data = pixels.with_channels(channels)?;
    let source = Raster { width: pixels.width, height: pixels.height, channels, data: &data };
    let (width, height) = match preparation.crop_mode {
        CropMode::Squash => (preparation.resize, preparation.resize),
        _ => resized(source.width, source.height, preparation.resize),
    };
    let (columns, rows) = (Span::centred(width, size), Span::centred(height, size));
    let window =
        resample::resize(source, (width, height), columns.kept.clone(), rows.kept.clone(), preparation.interpolation)?;
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
pub(crate) fn check(preparation: &Preparation, out: &[f32]) -> Result<(), ImageError> {
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
}
