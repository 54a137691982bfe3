//! Turning and mirroring pixels.

use crate::memory::filled;
use crate::{Pixels, Problem};

/// How a stored picture becomes upright: EXIF's numbers 1 to 8.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Orientation {
    /// Rows and columns are exchanged, before anything else.
    is_transposed: bool,
    /// Columns run from right to left.
    is_mirrored: bool,
    /// Rows run from bottom to top.
    is_flipped: bool,
}

impl Orientation {
    /// The orientation of that number.
    pub(crate) fn from_number(number: f64) -> Option<Self> {
        let of = |is_transposed, is_mirrored, is_flipped| Some(Self { is_transposed, is_mirrored, is_flipped });
        [
            of(false, false, false),
            of(false, true, false),
            of(false, true, true),
            of(false, false, true),
            of(true, false, false),
            of(true, true, false),
            of(true, true, true),
            of(true, false, true),
        ]
        .into_iter()
        .zip(1..)
        .find_map(|(orientation, own)| orientation.filter(|_| number == f64::from(own)))
    }

    /// The upright picture.
    pub(crate) fn apply(self, pixels: Pixels<'static>) -> Result<Pixels<'static>, Problem> {
        match pixels.channels {
            1 => self.apply_to::<1>(pixels),
            _ => self.apply_to::<3>(pixels),
        }
    }

    fn apply_to<const C: usize>(self, pixels: Pixels<'static>) -> Result<Pixels<'static>, Problem> {
        let Pixels { mut width, mut height, channels, data } = pixels;
        let mut data = data.into_owned();
        if self.is_transposed {
            data = transposed::<C>(&data, width)?;
            (width, height) = (height, width);
        }
        let (all, _) = data.as_chunks_mut::<C>();
        match (self.is_mirrored, self.is_flipped) {
            (true, true) => all.reverse(),
            (true, false) => all.chunks_exact_mut(width).for_each(<[_]>::reverse),
            (false, true) => flip(all, width),
            (false, false) => {}
        }
        Ok(Pixels { width, height, channels, data: data.into() })
    }
}

fn transposed<const C: usize>(data: &[u8], width: usize) -> Result<Vec<u8>, Problem> {
    let (old, _) = data.as_chunks::<C>();
    let height = old.len() / width;
    let mut out = filled(0, data.len())?;
    let (new, _) = out.as_chunks_mut::<C>();
    for (x, row) in new.chunks_exact_mut(height).enumerate() {
        for (y, pixel) in row.iter_mut().enumerate() {
            *pixel = old[y * width + x];
        }
    }
    Ok(out)
}

fn flip<const C: usize>(pixels: &mut [[u8; C]], width: usize) {
    let mut rows = pixels.chunks_exact_mut(width);
    while let (Some(top), Some(bottom)) = (rows.next(), rows.next_back()) {
        top.swap_with_slice(bottom);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pillow's `Image.transpose` of [[1, 2, 3], [4, 5, 6]].
    #[test]
    fn numbers_turn_as_pillow_does() {
        for (number, width, expected) in [
            (1, 3, [1, 2, 3, 4, 5, 6]),
            (2, 3, [3, 2, 1, 6, 5, 4]),
            (3, 3, [6, 5, 4, 3, 2, 1]),
            (4, 3, [4, 5, 6, 1, 2, 3]),
            (5, 2, [1, 4, 2, 5, 3, 6]),
            (6, 2, [4, 1, 5, 2, 6, 3]),
            (7, 2, [6, 3, 5, 2, 4, 1]),
            (8, 2, [3, 6, 2, 5, 1, 4]),
        ] {
            let pixels = Pixels { width: 3, height: 2, channels: 1, data: vec![1, 2, 3, 4, 5, 6].into() };
            let turned = Orientation::from_number(number.into()).unwrap().apply(pixels).unwrap_or_else(|_| panic!());
            assert_eq!((turned.width, &*turned.data), (width, &expected[..]), "{number}");
        }
        for wrong in [0.0, 9.0, 6.5, -1.0, f64::NAN] {
            assert_eq!(Orientation::from_number(wrong), None);
        }
    }
}
