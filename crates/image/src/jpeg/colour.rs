//! From a picture's components to grey or RGB.

use super::markers::{ApplicationMarkers, Frame};
use super::unsupported;
use crate::Problem;

/// What the components are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    Grey,
    /// Luma and two differences of colour.
    YCbCr,
    Rgb,
    /// Four inks, inverted as Adobe's programs write them.
    Cmyk,
    /// The same, three of them as luma and differences.
    Ycck,
}

impl Space {
    /// As libjpeg tells it: JFIF has one choice; else Adobe's marker says it, and without one the components' names do.
    pub(super) fn of(frame: &Frame, markers: ApplicationMarkers) -> Result<Self, Problem> {
        let ids: Vec<u8> = frame.components.iter().map(|c| c.id).collect();
        Ok(match (ids.len(), markers.is_jfif, markers.adobe) {
            (1, ..) => Self::Grey,
            (3, true, _) => Self::YCbCr,
            (3, false, Some(0)) => Self::Rgb,
            (3, false, None) if ids == *b"RGB" => Self::Rgb,
            (3, ..) => Self::YCbCr,
            (4, _, Some(0) | None) => Self::Cmyk,
            (4, ..) => Self::Ycck,
            (count, ..) => return Err(unsupported(format!("it has {count} components"))),
        })
    }

    /// Bytes a pixel once converted.
    pub(super) fn channels(self) -> usize {
        if self == Self::Grey { 1 } else { 3 }
    }

    /// Converts one row; `rows` are as long as the picture is wide, or longer.
    pub(super) fn convert(self, rows: &[Vec<u8>], out: &mut [u8]) {
        let (pixels, _) = out.as_chunks_mut::<3>();
        match (self, rows) {
            (Self::Grey, [grey, ..]) => out.copy_from_slice(&grey[..out.len()]),
            (Self::YCbCr, [y, cb, cr, ..]) => {
                for (((pixel, &y), &cb), &cr) in pixels.iter_mut().zip(y).zip(cb).zip(cr) {
                    *pixel = rgb(y, cb, cr);
                }
            }
            (Self::Rgb, [r, g, b, ..]) => {
                for (((pixel, &r), &g), &b) in pixels.iter_mut().zip(r).zip(g).zip(b) {
                    *pixel = [r, g, b];
                }
            }
            (Self::Cmyk, [c, m, y, k]) => {
                for ((((pixel, &c), &m), &y), &k) in pixels.iter_mut().zip(c).zip(m).zip(y).zip(k) {
                    *pixel = [c, m, y].map(|ink| without_ink(255 - ink, k));
                }
            }
            (Self::Ycck, [y, cb, cr, k]) => {
                for ((((pixel, &y), &cb), &cr), &k) in pixels.iter_mut().zip(y).zip(cb).zip(cr).zip(k) {
                    // What libjpeg makes of it is the complement of RGB, which Pillow inverts again.
                    *pixel = rgb(y, cb, cr).map(|ink| without_ink(ink, k));
                }
            }
            _ => {}
        }
    }
}

/// ITU-R 601-1 in libjpeg's fixed point: R = Y + 1.402 Cr, G = Y - 0.34414 Cb - 0.71414 Cr, B = Y + 1.772 Cb.
fn rgb(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let red = y + ((91_881 * cr + HALF) >> 16);
    let green = y + ((HALF - 22_554 * cb - 46_802 * cr) >> 16);
    let blue = y + ((116_130 * cb + HALF) >> 16);
    [red, green, blue].map(|value| value.clamp(0, 255) as u8)
}

/// Pillow's `cmyk2rgb` for one ink: what is left of the light `k` that black lets through.
fn without_ink(ink: u8, k: u8) -> u8 {
    let product = u32::from(ink) * u32::from(k) + 128;
    k - (((product >> 8) + product) >> 8) as u8
}
