//! The bits of a scan, and the codes and numbers in them.

use super::huffman::{Huffman, MAX_BITS, signed};
use super::marker;
use super::problem::{CUT, damaged};
use crate::Problem;

/// Why a scan's data cannot be read. It is small, so that what reads each coefficient returns it in a register.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// The file ends.
    Cut,
    /// A marker follows too early.
    EndsEarly,
    NoRestart,
    UnknownCode,
    NoTable,
    TooManyCoefficients,
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        damaged(match fault {
            Fault::Cut => CUT,
            Fault::EndsEarly => "the data of a scan ends early",
            Fault::NoRestart => "a restart marker is missing",
            Fault::UnknownCode => "it holds a code that its Huffman table lacks",
            Fault::NoTable => "a scan lacks a Huffman table",
            Fault::TooManyCoefficients => "a block has more than 64 coefficients",
        })
    }
}

/// Bits of the longest code and of the number behind it.
const MAX_CODE_AND_NUMBER: u32 = MAX_BITS as u32 + 15;

/// The bits of a scan, most significant first, up to the next marker.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// Where the next byte to buffer is; never beyond a marker's first byte.
    at: usize,
    /// Bits not yet used, at the top; below them zeros.
    buffer: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, buffer: 0, count: 0 }
    }

    /// Where the bytes behind the bits go on, and how many bytes were read ahead.
    pub(super) fn position(&self) -> (usize, usize) {
        (self.at, (self.count / 8) as usize)
    }

    /// Drops what is left of a byte and goes on behind the restart marker of this number.
    pub(super) fn restart(&mut self, number: u8) -> Result<(), Fault> {
        match marker::next(self.bytes, &mut self.at) {
            Some(found) if found == 0xD0 + number => {}
            Some(_) => return Err(Fault::NoRestart),
            None => return Err(Fault::Cut),
        }
        (self.buffer, self.count) = (0, 0);
        Ok(())
    }

    /// Buffers at least 56 bits, or all up to a marker or the end.
    #[inline(always)]
    fn refill(&mut self) {
        if let Some(&next) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) {
            let word = u64::from_be_bytes(next);
            if !has_ff(word) {
                let bytes = (63 - self.count) / 8;
                self.buffer |= word >> self.count;
                self.at += bytes as usize;
                self.count += 8 * bytes;
                self.buffer &= u64::MAX << (64 - self.count);
                return;
            }
        }
        self.refill_bytewise();
    }

    #[cold]
    #[inline(never)]
    fn refill_bytewise(&mut self) {
        while self.count <= 56 {
            let Some(&byte) = self.bytes.get(self.at) else { return };
            // FF is data where a zero follows; else it begins a marker.
            if byte == 0xFF {
                if self.bytes.get(self.at + 1) != Some(&0) {
                    return;
                }
                self.at += 1;
            }
            self.at += 1;
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    #[inline]
    fn require(&mut self, count: u32) -> Result<(), Fault> {
        if self.count < count {
            self.refill();
            if self.count < count {
                // A single FF at the end is half a marker.
                return Err(if self.at + 1 >= self.bytes.len() { Fault::Cut } else { Fault::EndsEarly });
            }
        }
        Ok(())
    }

    #[inline]
    fn skip(&mut self, count: u32) {
        self.buffer <<= count;
        self.count -= count;
    }

    /// The next `count` bits, at most 16, as a number.
    #[inline]
    pub(super) fn take(&mut self, count: u32) -> Result<u32, Fault> {
        if count == 0 {
            return Ok(0);
        }
        self.require(count)?;
        let value = (self.buffer >> (64 - count)) as u32;
        self.skip(count);
        Ok(value)
    }

    #[inline]
    pub(super) fn take_bit(&mut self) -> Result<bool, Fault> {
        Ok(self.take(1)? != 0)
    }

    /// The value of the next code.
    #[inline]
    pub(super) fn decode(&mut self, table: &Huffman) -> Result<u8, Fault> {
        if self.count < MAX_BITS as u32 {
            self.refill();
        }
        let entry = table.look_up(self.next_16());
        if entry.length == 0 {
            return self.decode_long(table);
        }
        // Behind the last bit stand zeros, which are found missing here.
        self.require(entry.length.into())?;
        self.skip(entry.length.into());
        Ok(entry.value)
    }

    #[cold]
    fn decode_long(&mut self, table: &Huffman) -> Result<u8, Fault> {
        let Some((length, value)) = table.find_long(self.next_16()) else {
            self.require(MAX_BITS as u32)?;
            return Err(Fault::UnknownCode);
        };
        self.require(length)?;
        self.skip(length);
        Ok(value)
    }

    /// The value of the next code, and the number behind it, of as many bits as the value's lower half says.
    #[inline(always)]
    pub(super) fn decode_with_number(&mut self, table: &Huffman) -> Result<(u8, i32), Fault> {
        if self.count < MAX_CODE_AND_NUMBER {
            self.refill();
        }
        let entry = table.look_up(self.next_16());
        let length = u32::from(entry.length) + u32::from(entry.value & 15);
        if entry.coefficient != 0 && length <= self.count {
            self.skip(length);
            return Ok((entry.value, entry.coefficient.into()));
        }
        self.decode_apart(table)
    }

    /// The same, where one look does not tell both.
    #[inline(never)]
    fn decode_apart(&mut self, table: &Huffman) -> Result<(u8, i32), Fault> {
        let value = self.decode(table)?;
        let size = u32::from(value & 15);
        Ok((value, signed(self.take(size)?, size)))
    }

    #[inline]
    fn next_16(&self) -> u16 {
        (self.buffer >> 48) as u16
    }
}

/// Whether one of eight bytes is FF: then its complement is zero, and less one borrows from its highest bit.
#[inline]
fn has_ff(word: u64) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let complement = !word;
    complement.wrapping_sub(ONES) & !complement & (ONES << 7) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ff_is_found_wherever_it_is() {
        for at in 0..8 {
            for (byte, is_there) in [(0xFF, true), (0xFE, false), (0x7F, false), (0, false)] {
                let mut bytes = [0x80; 8];
                bytes[at] = byte;
                assert_eq!(has_ff(u64::from_be_bytes(bytes)), is_there, "{bytes:?}");
            }
        }
    }

    /// Bits come alike, however many are taken at once and wherever a stuffed byte is.
    #[test]
    fn bits_are_those_of_the_bytes() {
        let data: Vec<u8> = (0..200u32).map(|i| (i * i * 37 % 251) as u8).collect();
        let expected: Vec<bool> = data.iter().flat_map(|byte| (0..8).rev().map(move |i| byte >> i & 1 != 0)).collect();
        for stuffed in [0, 1, 7, 8, 63, 199] {
            let mut file = data.clone();
            let mut expected = expected.clone();
            file.splice(stuffed..=stuffed, [0xFF, 0]);
            expected[8 * stuffed..8 * stuffed + 8].fill(true);
            for width in 1..=16 {
                let mut bits = Bits::new(&file, 0);
                for group in expected.chunks_exact(width) {
                    let number = group.iter().fold(0, |number, &bit| number << 1 | u32::from(bit));
                    assert_eq!(bits.take(width as u32).ok(), Some(number), "{stuffed} {width}");
                }
                assert!(matches!(bits.take(16), Err(Fault::Cut)));
            }
        }
    }
}
