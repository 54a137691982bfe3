//! Tables of Huffman codes.

use super::problem::damaged;
use crate::Problem;

/// Codes up to this length are looked up at once; longer ones are rare.
pub(super) const LOOKUP_BITS: u32 = 10;

/// The longest code.
pub(super) const MAX_BITS: usize = 16;

/// What the next [`LOOKUP_BITS`] bits begin with.
#[derive(Clone, Copy, Default)]
pub(super) struct Entry {
    /// The number that follows the code, if it is within these bits, too; else 0, which needs no bits.
    pub(super) coefficient: i16,
    /// The value of the code; its lower half says how many bits the number has.
    pub(super) value: u8,
    /// The length of the code; 0 for none that is as short.
    pub(super) length: u8,
}

/// A table of codes as a DHT segment has it.
#[derive(Clone)]
pub(super) struct Huffman {
    lookup: [Entry; 1 << LOOKUP_BITS],
    /// For each length, one more than its largest code, as the upper bits of 16.
    limits: [u32; MAX_BITS + 1],
    /// For each length, the index of its first value less its first code.
    offsets: [i32; MAX_BITS + 1],
    values: Vec<u8>,
}

impl Huffman {
    /// A table with `counts[i]` codes of `i + 1` bits.
    pub(super) fn new(counts: &[u8; MAX_BITS], values: &[u8]) -> Result<Self, Problem> {
        let mut table = Self {
            lookup: [Entry::default(); 1 << LOOKUP_BITS],
            limits: [0; MAX_BITS + 1],
            offsets: [0; MAX_BITS + 1],
            values: values.to_vec(),
        };
        let (mut code, mut index) = (0u32, 0usize);
        for length in 1..=MAX_BITS {
            let count = usize::from(counts[length - 1]);
            table.offsets[length] = index as i32 - code as i32;
            for &value in values.get(index..index + count).ok_or_else(|| damaged("a Huffman table is cut short"))? {
                table.enter(code, length as u32, value);
                code += 1;
            }
            if code > 1 << length {
                return Err(damaged("a Huffman table has more codes than bits allow"));
            }
            index += count;
            table.limits[length] = code << (MAX_BITS - length);
            code <<= 1;
        }
        Ok(table)
    }

    /// Enters a short code at every index that begins with it.
    fn enter(&mut self, code: u32, length: u32, value: u8) {
        if length > LOOKUP_BITS {
            return;
        }
        let free = LOOKUP_BITS - length;
        let first = (code << free) as usize;
        let size = u32::from(value & 15);
        for (index, entry) in self.lookup.iter_mut().enumerate().skip(first).take(1 << free) {
            let coefficient = match free.checked_sub(size) {
                Some(unused) if size > 0 => signed(index as u32 >> unused & ((1 << size) - 1), size) as i16,
                _ => 0,
            };
            *entry = Entry { coefficient, value, length: length as u8 };
        }
    }

    /// Whether every value is a number of bits that a DC difference can have.
    pub(super) fn fits_dc(&self) -> bool {
        self.values.iter().all(|&value| value <= 15)
    }

    /// What the first bits of 16 are.
    #[inline]
    pub(super) fn look_up(&self, bits: u16) -> Entry {
        self.lookup[usize::from(bits >> (MAX_BITS as u32 - LOOKUP_BITS))]
    }

    /// The length and value of the code that 16 bits begin with, if it is longer than [`LOOKUP_BITS`].
    pub(super) fn find_long(&self, bits: u16) -> Option<(u32, u8)> {
        let bits = u32::from(bits);
        let length = (LOOKUP_BITS as usize + 1..=MAX_BITS).find(|&length| bits < self.limits[length])?;
        let index = (bits >> (MAX_BITS - length)) as i32 + self.offsets[length];
        Some((length as u32, *self.values.get(usize::try_from(index).ok()?)?))
    }
}

/// A number of `size` bits: negative ones are stored as one less than their complement.
#[inline]
pub(super) fn signed(value: u32, size: u32) -> i32 {
    let is_negative = size > 0 && value < 1 << (size - 1);
    value as i32 - if is_negative { (1 << size) - 1 } else { 0 }
}

/// The tables that motion JPEG frames leave out (annex K.3 of the standard): counts of codes by length, and values.
pub(super) fn standard(is_dc: bool, slot: usize) -> Option<Huffman> {
    const DC_VALUES: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
    let (counts, values): (&[u8; 16], &[u8]) = match (is_dc, slot) {
        (true, 0) => (&[0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], &DC_VALUES),
        (true, 1) => (&[0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], &DC_VALUES),
        (false, 0) => (&[0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7D], &LUMA_AC_VALUES),
        (false, 1) => (&[0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77], &CHROMA_AC_VALUES),
        _ => return None,
    };
    Huffman::new(counts, values).ok()
}

#[rustfmt::skip]
const LUMA_AC_VALUES: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71,
    0x14, 0x32, 0x81, 0x91, 0xA1, 0x08, 0x23, 0x42, 0xB1, 0xC1, 0x15, 0x52, 0xD1, 0xF0, 0x24, 0x33, 0x62, 0x72,
    0x82, 0x09, 0x0A, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x34, 0x35, 0x36, 0x37,
    0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
    0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x83,
    0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0xA2, 0xA3,
    0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA, 0xC2, 0xC3,
    0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA, 0xE1, 0xE2,
    0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA,
];

#[rustfmt::skip]
const CHROMA_AC_VALUES: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22,
    0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xA1, 0xB1, 0xC1, 0x09, 0x23, 0x33, 0x52, 0xF0, 0x15, 0x62, 0x72, 0xD1,
    0x0A, 0x16, 0x24, 0x34, 0xE1, 0x25, 0xF1, 0x17, 0x18, 0x19, 0x1A, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x35, 0x36,
    0x37, 0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58,
    0x59, 0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A,
    0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A,
    0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA,
    0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA,
    0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA,
];
