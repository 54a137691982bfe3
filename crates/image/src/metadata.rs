//! Which way is up, as EXIF and XMP say it, by the rules of Pillow's `ImageOps.exif_transpose`.
//!
//! EXIF's tag counts first, whatever its type, as long as it is a number; XMP's `tiff:Orientation` only where EXIF has no
//! such tag. What cannot be read says nothing: where Pillow would raise an error, the picture stays as it is stored.

use crate::orientation::Orientation;

/// The metadata of a file that can hold an orientation.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    /// A TIFF file with the tags, perhaps behind one or more `Exif\0\0`.
    pub(crate) exif: Option<Vec<u8>>,
    /// An XML document.
    pub(crate) xmp: Vec<u8>,
}

/// What precedes EXIF data in a JPEG, and by mistake elsewhere.
pub(crate) const EXIF_PREFIX: &[u8] = b"Exif\0\0";

impl Metadata {
    /// The orientation, upright where nothing says it.
    pub(crate) fn orientation(&self) -> Orientation {
        let number = match self.exif.as_deref().map_or(Tag::Absent, exif_orientation) {
            Tag::Number(number) => Some(number),
            Tag::Absent => xmp_orientation(&self.xmp),
            Tag::Other | Tag::Unreadable => None,
        };
        number.and_then(Orientation::from_number).unwrap_or_default()
    }
}

/// What EXIF data say about the orientation.
#[derive(Debug, PartialEq)]
enum Tag {
    Absent,
    Number(f64),
    /// A text or bytes.
    Other,
    /// The data are no TIFF file.
    Unreadable,
}

fn exif_orientation(mut data: &[u8]) -> Tag {
    while let Some(rest) = data.strip_prefix(EXIF_PREFIX) {
        data = rest;
    }
    if data.is_empty() {
        return Tag::Absent;
    }
    Tiff::new(data).map_or(Tag::Unreadable, |tiff| tiff.orientation())
}

/// The first directory of a TIFF file.
struct Tiff<'a> {
    data: &'a [u8],
    is_big_endian: bool,
    directory: usize,
}

impl<'a> Tiff<'a> {
    const ORIENTATION: u16 = 0x0112;

    fn new(data: &'a [u8]) -> Option<Self> {
        let is_big_endian = match data.first_chunk()? {
            b"MM\0\x2a" | b"MM\x2a\0" | b"MM\0\x2b" => true,
            b"II\x2a\0" | b"II\0\x2a" => false,
            _ => return None,
        };
        let mut tiff = Self { data, is_big_endian, directory: 0 };
        tiff.directory = tiff.u32(4)? as usize;
        Some(tiff)
    }

    fn bytes<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        let mut bytes: [u8; N] = *self.data.get(at..)?.first_chunk()?;
        if !self.is_big_endian {
            bytes.reverse();
        }
        Some(bytes)
    }

    fn u16(&self, at: usize) -> Option<u16> {
        self.bytes(at).map(u16::from_be_bytes)
    }

    fn u32(&self, at: usize) -> Option<u32> {
        self.bytes(at).map(u32::from_be_bytes)
    }

    /// The tag's value; the last one counts, and a directory ends where it is cut short.
    fn orientation(&self) -> Tag {
        let mut found = Tag::Absent;
        let Some(count) = self.u16(self.directory) else { return found };
        for entry in (0..usize::from(count)).map(|i| self.directory + 2 + 12 * i) {
            if self.data.len() < entry + 12 {
                break;
            }
            match self.entry(entry) {
                Some(Tag::Absent) => {}
                Some(tag) => found = tag,
                // A value that lies beyond the end ends the directory, too.
                None => break,
            }
        }
        found
    }

    /// The value of an entry if it is the orientation's; `None` where it lies beyond the end.
    fn entry(&self, at: usize) -> Option<Tag> {
        let (tag, kind, count) = (self.u16(at)?, self.u16(at + 2)?, self.u32(at + 4)?);
        let Some(unit) = unit_size(kind) else { return Some(Tag::Absent) };
        let size = u64::from(count) * unit;
        let value = if size > 4 { self.u32(at + 8)? as usize } else { at + 8 };
        let end = usize::try_from(size).ok().and_then(|size| value.checked_add(size))?;
        if end > self.data.len() {
            return None;
        }
        if tag != Self::ORIENTATION || size == 0 {
            return Some(Tag::Absent);
        }
        Some(self.number(kind, value).map_or(Tag::Other, Tag::Number))
    }

    /// The first number of a value.
    fn number(&self, kind: u16, at: usize) -> Option<f64> {
        let fraction = |above: f64, below: f64| above / below;
        Some(match kind {
            3 => self.u16(at)?.into(),
            4 | 13 => self.u32(at)?.into(),
            5 => fraction(self.u32(at)?.into(), self.u32(at + 4)?.into()),
            6 => i8::from_be_bytes(self.bytes(at)?).into(),
            8 => i16::from_be_bytes(self.bytes(at)?).into(),
            9 => i32::from_be_bytes(self.bytes(at)?).into(),
            10 => fraction(i32::from_be_bytes(self.bytes(at)?).into(), i32::from_be_bytes(self.bytes(at + 4)?).into()),
            11 => f32::from_be_bytes(self.bytes(at)?).into(),
            12 => f64::from_be_bytes(self.bytes(at)?),
            16 => u64::from_be_bytes(self.bytes(at)?) as f64,
            _ => return None,
        })
    }
}

/// The bytes of a value of a TIFF type, if Pillow knows the type.
fn unit_size(kind: u16) -> Option<u64> {
    match kind {
        1 | 2 | 6 | 7 => Some(1),
        3 | 8 => Some(2),
        4 | 9 | 11 | 13 => Some(4),
        5 | 10 | 12 | 16 => Some(8),
        _ => None,
    }
}

/// The digit behind the first `tiff:Orientation="` or `tiff:Orientation>`.
fn xmp_orientation(xmp: &[u8]) -> Option<f64> {
    const NAME: &[u8] = b"tiff:Orientation";
    let mut rest = xmp;
    while let Some(at) = rest.windows(NAME.len()).position(|window| window == NAME) {
        rest = &rest[at + NAME.len()..];
        let value = rest.strip_prefix(b"=\"").or_else(|| rest.strip_prefix(b">"));
        if let Some(&digit @ b'0'..=b'9') = value.and_then(<[u8]>::first) {
            return Some((digit - b'0').into());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A TIFF file, most significant byte first, with one entry and what it points to.
    fn tiff(kind: u16, count: u32, value: &[u8]) -> Vec<u8> {
        let mut entry = [0; 4];
        if value.len() > 4 {
            entry = 26u32.to_be_bytes();
        } else {
            entry[..value.len()].copy_from_slice(value);
        }
        let behind = if value.len() > 4 { value } else { &[] };
        let head =
            [b"MM\0\x2a".as_slice(), &8u32.to_be_bytes(), &1u16.to_be_bytes(), &0x0112u16.to_be_bytes()].concat();
        [head.as_slice(), &kind.to_be_bytes(), &count.to_be_bytes(), entry.as_slice(), &[0; 4], behind].concat()
    }

    #[test]
    fn any_number_counts_and_nothing_else() {
        let rational = [6u32.to_be_bytes(), 1u32.to_be_bytes()].concat();
        for (kind, count, value) in [
            (3, 1, vec![0, 6]),
            (3, 2, vec![0, 6, 0, 8]),
            (4, 1, vec![0, 0, 0, 6]),
            (5, 1, rational.clone()),
            (6, 1, vec![6]),
            (8, 1, vec![0, 6]),
            (9, 1, vec![0, 0, 0, 6]),
            (10, 1, rational),
            (11, 1, 6f32.to_be_bytes().to_vec()),
            (12, 1, 6f64.to_be_bytes().to_vec()),
            (13, 1, vec![0, 0, 0, 6]),
        ] {
            assert_eq!(exif_orientation(&tiff(kind, count, &value)), Tag::Number(6.0), "type {kind}");
        }
        for (kind, value) in [(1, vec![6]), (2, b"6\0".to_vec()), (7, vec![6])] {
            assert_eq!(exif_orientation(&tiff(kind, 1, &value)), Tag::Other, "type {kind}");
        }
        assert_eq!(exif_orientation(&tiff(14, 1, &[6])), Tag::Absent);
        assert_eq!(exif_orientation(&tiff(3, 0, &[0, 6])), Tag::Absent);
        assert_eq!(exif_orientation(&tiff(3, 1 << 31, &[0, 0, 1, 0])), Tag::Absent);
    }

    #[test]
    fn prefixes_are_stripped_however_many() {
        let data = [EXIF_PREFIX, EXIF_PREFIX, &tiff(3, 1, &[0, 6])].concat();
        assert_eq!(exif_orientation(&data), Tag::Number(6.0));
        assert_eq!(exif_orientation(EXIF_PREFIX), Tag::Absent);
        assert_eq!(exif_orientation(b"nonsense"), Tag::Unreadable);
    }

    #[test]
    fn no_cut_of_the_data_panics() {
        let whole = tiff(12, 1, &6f64.to_be_bytes());
        for length in 0..whole.len() {
            assert_ne!(exif_orientation(&whole[..length]), Tag::Number(6.0));
        }
    }

    #[test]
    fn xmp_has_it_as_an_attribute_or_an_element() {
        assert_eq!(xmp_orientation(b"<x tiff:Orientation=\"8\"/>"), Some(8.0));
        assert_eq!(xmp_orientation(b"tiff:Orientation tiff:Orientation='3' <tiff:Orientation>6</"), Some(6.0));
        assert_eq!(xmp_orientation(b"tiff:Orientation"), None);
        let metadata = Metadata { exif: Some(tiff(3, 1, &[0, 1])), xmp: b"tiff:Orientation=\"6\"".to_vec() };
        assert_eq!(metadata.orientation(), Orientation::default());
    }
}
