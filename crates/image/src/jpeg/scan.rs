//! The data of a scan: which blocks stand in it, and their coefficients.

use super::bits::{Bits, Fault};
use super::component::Component;
use super::header::{Frame, Process, ScanHeader};
use super::huffman::Huffman;
use super::idct::NATURAL_ORDER;
use super::reader::Reader;
use crate::Problem;

/// A component's part in a scan.
struct Part {
    index: usize,
    dc: Option<Huffman>,
    ac: Option<Huffman>,
    /// The DC of the block before, from which the next one's differs.
    prediction: i32,
}

/// Reads a scan into the components.
pub(super) fn read(
    reader: &mut Reader<'_>,
    frame: &Frame,
    header: &ScanHeader,
    components: &mut [Component],
) -> Result<(), Problem> {
    let mut parts = parts(reader, frame, header, components)?;
    let (bytes, at) = reader.data();
    let mut decoder = Decoder { bits: Bits::new(bytes, at), kind: Kind::of(frame, header), end_of_band_run: 0 };
    let interval = reader.restart_interval();
    let (across, down) = match &parts[..] {
        // A component alone has no units that only fill up.
        [part] => components[part.index].blocks,
        _ => frame.mcus(),
    };
    let is_interleaved = parts.len() > 1;
    for unit in 0..across * down {
        if interval != 0 && unit != 0 && unit % interval == 0 {
            decoder.restart((unit / interval - 1) % 8)?;
            parts.iter_mut().for_each(|part| part.prediction = 0);
        }
        let (x, y) = (unit % across, unit / across);
        for part in &mut parts {
            let component = &mut components[part.index];
            let (h, v) = if is_interleaved { (component.h, component.v) } else { (1, 1) };
            for block in 0..h * v {
                decoder.block(part, component, (x * h + block % h, y * v + block / h))?;
            }
        }
    }
    reader.resume(decoder.bits.position());
    Ok(())
}

fn parts(
    reader: &Reader<'_>,
    frame: &Frame,
    header: &ScanHeader,
    components: &mut [Component],
) -> Result<Vec<Part>, Problem> {
    let (needs_dc, needs_ac) = (header.band.0 == 0 && header.high_bit == 0, header.band.1 != 0);
    let mut parts = Vec::new();
    for &(index, dc, ac) in &header.components {
        components[index].begin_scan(reader, header.band, header.low_bit)?;
        let table =
            |is_needed: bool, is_dc, slot| is_needed.then(|| reader.huffman(frame.process, is_dc, slot)).transpose();
        let (dc, ac) = (table(needs_dc, true, dc)?, table(needs_ac, false, ac)?);
        parts.push(Part { index, dc, ac, prediction: 0 });
    }
    Ok(parts)
}

/// What a block's data are.
#[derive(Clone, Copy)]
enum Kind {
    /// All coefficients.
    Whole,
    /// The mean, down to a bit.
    Dc(u8),
    /// The next bit of the mean.
    DcBit(u8),
    /// A band of frequencies, down to a bit.
    Band((usize, usize), u8),
    /// The next bit of a band.
    BandBit((usize, usize), u8),
}

impl Kind {
    fn of(frame: &Frame, header: &ScanHeader) -> Self {
        let band = (usize::from(header.band.0), usize::from(header.band.1));
        match (frame.process, band.0, header.high_bit) {
            (Process::Sequential, ..) => Self::Whole,
            (_, 0, 0) => Self::Dc(header.low_bit),
            (_, 0, _) => Self::DcBit(header.low_bit),
            (_, _, 0) => Self::Band(band, header.low_bit),
            _ => Self::BandBit(band, header.low_bit),
        }
    }
}

struct Decoder<'a> {
    bits: Bits<'a>,
    kind: Kind,
    /// Blocks, from the next on, that have no further coefficients in this band.
    end_of_band_run: u32,
}

impl Decoder<'_> {
    /// Goes on behind the restart marker of this number.
    fn restart(&mut self, number: usize) -> Result<(), Fault> {
        self.end_of_band_run = 0;
        self.bits.restart(number as u8)
    }

    fn block(&mut self, part: &mut Part, component: &mut Component, (x, y): (usize, usize)) -> Result<(), Fault> {
        match self.kind {
            Kind::Whole => {
                let mut block = [0; 64];
                block[0] = self.mean(part)? as i16;
                self.frequencies(table(&part.ac)?, &mut block)?;
                component.put(x, y, &block);
            }
            Kind::Dc(low) => component.coefficients(x, y)[0] = (self.mean(part)? << low) as i16,
            Kind::DcBit(low) => {
                if self.bits.take_bit()? {
                    component.coefficients(x, y)[0] |= 1 << low;
                }
            }
            Kind::Band(band, low) => self.band(table(&part.ac)?, band, low, component.coefficients(x, y))?,
            Kind::BandBit(band, low) => self.band_bit(table(&part.ac)?, band, low, component.coefficients(x, y))?,
        }
        Ok(())
    }

    /// The mean of a block, which is stored as the difference to the block before.
    fn mean(&mut self, part: &mut Part) -> Result<i32, Fault> {
        let (_, difference) = self.bits.decode_with_number(table(&part.dc)?)?;
        part.prediction = part.prediction.wrapping_add(difference);
        Ok(part.prediction)
    }

    /// All frequencies but the mean. A code says how many zeros precede a coefficient, and how many bits it has.
    fn frequencies(&mut self, table: &Huffman, block: &mut [i16; 64]) -> Result<(), Fault> {
        let mut at = 1;
        while at < 64 {
            let (code, value) = self.bits.decode_with_number(table)?;
            let (zeros, size) = (usize::from(code >> 4), code & 15);
            if size == 0 {
                if zeros != 15 {
                    break; // The rest is zero.
                }
                at += 16;
                continue;
            }
            at += zeros;
            *coefficient(block, at)? = value as i16;
            at += 1;
        }
        Ok(())
    }

    /// A band of a progressive scan: as above, but a code can also end the band of many blocks at once.
    fn band(
        &mut self,
        table: &Huffman,
        (first, last): (usize, usize),
        low: u8,
        block: &mut [i16; 64],
    ) -> Result<(), Fault> {
        if self.end_of_band_run > 0 {
            self.end_of_band_run -= 1;
            return Ok(());
        }
        let mut at = first;
        while at <= last {
            let (code, value) = self.bits.decode_with_number(table)?;
            let (zeros, size) = (u32::from(code >> 4), code & 15);
            if size == 0 {
                if zeros != 15 {
                    self.end_of_band_run = (1 << zeros) - 1 + self.bits.take(zeros)?;
                    break;
                }
                at += 16;
                continue;
            }
            at += zeros as usize;
            *coefficient(block, at)? = (value << low) as i16;
            at += 1;
        }
        Ok(())
    }

    /// The next bit of a band: each coefficient that is known not to be zero has a bit, between codes for those that
    /// become 1 or -1 in this place.
    fn band_bit(
        &mut self,
        table: &Huffman,
        (first, last): (usize, usize),
        low: u8,
        block: &mut [i16; 64],
    ) -> Result<(), Fault> {
        let mut at = first;
        if self.end_of_band_run == 0 {
            while at <= last {
                let code = self.bits.decode(table)?;
                let (zeros, size) = (u32::from(code >> 4), code & 15);
                let mut fresh = 0;
                if size != 0 {
                    // libjpeg takes any size for 1, too.
                    fresh = if self.bits.take_bit()? { 1 << low } else { -1 << low };
                } else if zeros != 15 {
                    self.end_of_band_run = (1 << zeros) + self.bits.take(zeros)?;
                    break;
                }
                at = self.refine(block, at, last, low, Some(zeros))?;
                if fresh != 0 {
                    *coefficient(block, at)? = fresh;
                }
                at += 1;
            }
        }
        if self.end_of_band_run > 0 {
            self.refine(block, at, last, low, None)?;
            self.end_of_band_run -= 1;
        }
        Ok(())
    }

    /// Reads the next bit of the coefficients from `at` on that are not zero, past `zeros` that are (or all that there
    /// are), and returns the place of the next zero.
    fn refine(
        &mut self,
        block: &mut [i16; 64],
        mut at: usize,
        last: usize,
        low: u8,
        zeros: Option<u32>,
    ) -> Result<usize, Fault> {
        let mut passed = 0;
        while at <= last {
            let value = coefficient(block, at)?;
            if *value == 0 {
                if zeros == Some(passed) {
                    break;
                }
                passed += 1;
            } else if self.bits.take_bit()? && *value & (1 << low) == 0 {
                *value = value.wrapping_add(if *value > 0 { 1 << low } else { -1 << low });
            }
            at += 1;
        }
        Ok(at)
    }
}

fn table(table: &Option<Huffman>) -> Result<&Huffman, Fault> {
    table.as_ref().ok_or(Fault::NoTable)
}

/// The coefficient at a place in zigzag order.
fn coefficient(block: &mut [i16; 64], at: usize) -> Result<&mut i16, Fault> {
    let place = NATURAL_ORDER.get(at).ok_or(Fault::TooManyCoefficients)?;
    // The places are below 64; said here, it costs less than to check it.
    Ok(&mut block[usize::from(place % 64)])
}
