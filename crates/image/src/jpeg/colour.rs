//! From a picture's components to grey or RGB.

use super::header::Frame;
use super::problem::unsupported;
use super::reader::ApplicationMarkers;
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
            (Self::YCbCr, [y, cb, cr, ..]) => ycbcr_to_rgb(y, cb, cr, pixels),
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

/// Converts a row a few pixels at a time: first computed colour by colour, then brought together.
fn ycbcr_to_rgb(y: &[u8], cb: &[u8], cr: &[u8], pixels: &mut [[u8; 3]]) {
    const PIXELS: usize = 32;
    let chunks = y.chunks(PIXELS).zip(cb.chunks(PIXELS)).zip(cr.chunks(PIXELS));
    for (out, ((y, cb), cr)) in pixels.chunks_mut(PIXELS).zip(chunks) {
        let mut planes = [[0; PIXELS]; 3];
        let [red, green, blue] = &mut planes;
        for (((red, green), blue), ((&y, &cb), &cr)) in
            red.iter_mut().zip(&mut *green).zip(&mut *blue).zip(y.iter().zip(cb).zip(cr))
        {
            [*red, *green, *blue] = rgb(y, cb, cr);
        }
        for (pixel, ((&red, &green), &blue)) in out.iter_mut().zip(red.iter().zip(&*green).zip(&*blue)) {
            *pixel = [red, green, blue];
        }
    }
}

/// ITU-R 601-1 in libjpeg's fixed point: R = Y + 1.402 Cr, G = Y - 0.34414 Cb - 0.71414 Cr, B = Y + 1.772 Cb.
///
/// The factors are written as a whole number and a fraction of 16 bits, which changes no result; such products are what
/// processors compute eight of at once.
#[inline(always)]
fn rgb(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let (y, cb, cr) = (i16::from(y), i16::from(cb) - 128, i16::from(cr) - 128);
    let product = |value: i16, fraction: i16| i32::from(value) * i32::from(fraction);
    let rounded = |value: i32| ((value + (1 << 15)) >> 16) as i16;
    let red = y + cr + rounded(product(cr, 26_345));
    let green = y - cr + rounded(product(cb, -22_554) + product(cr, 18_734));
    let blue = y + 2 * cb + rounded(product(cb, -14_942));
    [red, green, blue].map(|value| value.clamp(0, 255) as u8)
}

/// Pillow's `cmyk2rgb` for one ink: what is left of the light `k` that black lets through.
fn without_ink(ink: u8, k: u8) -> u8 {
    let product = u32::from(ink) * u32::from(k) + 128;
    k - (((product >> 8) + product) >> 8) as u8
}
