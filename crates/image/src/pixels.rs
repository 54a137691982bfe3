//! Pixels in memory.

use std::borrow::Cow;

use crate::memory::filled;
use crate::{ImageError, Problem};

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
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) channels: usize,
    pub(crate) data: Cow<'a, [u8]>,
}

impl<'a> Pixels<'a> {
    /// `width * height` pixels of 1 (grey) or 3 (RGB) bytes each.
    ///
    /// ```
    /// use images::Pixels;
    ///
    /// let red_and_blue = Pixels::new(2, 1, 3, &[255, 0, 0, 0, 0, 255])?;
    /// assert!(Pixels::new(2, 1, 3, &[0; 5]).is_err());
    /// # Ok::<(), images::ImageError>(())
    /// ```
    pub fn new(width: usize, height: usize, channels: usize, data: &'a [u8]) -> Result<Self, ImageError> {
        let expected = width.checked_mul(height).and_then(|pixels| pixels.checked_mul(channels));
        if !matches!(channels, 1 | 3) || data.is_empty() || expected != Some(data.len()) {
            return Err(ImageError::Raster { width, height, channels, found: data.len() });
        }
        Ok(Self { width, height, channels, data: data.into() })
    }

    /// Pixels a row.
    ///
    /// ```
    /// assert_eq!(images::Pixels::new(2, 1, 1, &[7, 8])?.width(), 2);
    /// # Ok::<(), images::ImageError>(())
    /// ```
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    ///
    /// ```
    /// assert_eq!(images::Pixels::new(2, 1, 1, &[7, 8])?.height(), 1);
    /// # Ok::<(), images::ImageError>(())
    /// ```
    pub fn height(&self) -> usize {
        self.height
    }

    /// Bytes a pixel: 1 for grey, 3 for RGB.
    ///
    /// ```
    /// assert_eq!(images::Pixels::new(2, 1, 1, &[7, 8])?.channels(), 1);
    /// # Ok::<(), images::ImageError>(())
    /// ```
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// All bytes: the channels of a pixel beside each other, row by row.
    ///
    /// ```
    /// assert_eq!(images::Pixels::new(2, 1, 1, &[7, 8])?.data(), [7, 8]);
    /// # Ok::<(), images::ImageError>(())
    /// ```
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The bytes of the same picture with 1 or 3 channels.
    pub(crate) fn with_channels(&self, channels: usize) -> Result<Cow<'_, [u8]>, Problem> {
        if self.channels == channels {
            return Ok(Cow::Borrowed(&self.data));
        }
        let mut data = filled(0, self.width * self.height * channels)?;
        if channels == 1 {
            for (grey, rgb) in data.iter_mut().zip(self.data.as_chunks::<3>().0) {
                *grey = luma(rgb);
            }
        } else {
            for (rgb, &grey) in data.as_chunks_mut::<3>().0.iter_mut().zip(&*self.data) {
                *rgb = [grey; 3];
            }
        }
        Ok(data.into())
    }
}

/// ITU-R 601-2 in Pillow's fixed point: 0.299 R + 0.587 G + 0.114 B.
fn luma(&[red, green, blue]: &[u8; 3]) -> u8 {
    ((u32::from(red) * 19595 + u32::from(green) * 38470 + u32::from(blue) * 7471 + 0x8000) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luma_is_pillows() {
        assert_eq!([luma(&[255; 3]), luma(&[255, 0, 0]), luma(&[0, 255, 0]), luma(&[0, 0, 255])], [255, 76, 150, 29]);
    }
}
