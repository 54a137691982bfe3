//! The headers of frames and scans: what a picture is made of, and which part of it a scan tells.

use super::problem::{damaged, unsupported};
use crate::Problem;

/// How the coefficients of a frame are spread over its scans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Process {
    /// A component's coefficients all in one scan.
    Sequential,
    /// By bands of frequencies and by bits.
    Progressive,
}

/// A component as the frame header has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ComponentSpec {
    pub(super) id: u8,
    /// Samples beside each other in a minimum coded unit, in blocks.
    pub(super) h: u8,
    /// Samples above each other in a minimum coded unit, in blocks.
    pub(super) v: u8,
    pub(super) quantisation: u8,
}

/// The frame header (SOF).
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) process: Process,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) components: Vec<ComponentSpec>,
}

impl Frame {
    /// The largest sampling factors.
    pub(super) fn max_sampling(&self) -> (u8, u8) {
        let largest = |factor: fn(&ComponentSpec) -> u8| self.components.iter().map(factor).max().unwrap_or(1);
        (largest(|c| c.h), largest(|c| c.v))
    }

    /// Minimum coded units of an interleaved scan, across and down.
    pub(super) fn mcus(&self) -> (usize, usize) {
        let (h, v) = self.max_sampling();
        let units = |pixels: u32, factor: u8| pixels.div_ceil(8 * u32::from(factor)) as usize;
        (units(self.width, h), units(self.height, v))
    }
}

/// The scan header (SOS).
#[derive(Debug)]
pub(super) struct ScanHeader {
    /// Indices of the frame's components, and each one's DC and AC table.
    pub(super) components: Vec<(usize, usize, usize)>,
    /// The band of frequencies, in zigzag order.
    pub(super) band: (u8, u8),
    /// The bit above which coefficients are known already, 0 for none.
    pub(super) high_bit: u8,
    /// The lowest bit that the scan tells.
    pub(super) low_bit: u8,
}

/// The frame header that the marker SOF... announces.
pub(super) fn frame(sof: u8, contents: &[u8]) -> Result<Frame, Problem> {
    let process = match sof {
        0xC0 | 0xC1 => Process::Sequential,
        0xC2 => Process::Progressive,
        0xC3 => return Err(unsupported("it is lossless")),
        0xC5..=0xC7 | 0xCD..=0xCF => return Err(unsupported("it is hierarchical")),
        _ => return Err(unsupported("it is coded arithmetically")),
    };
    let Some((&[precision, h1, h0, w1, w0, count], specs)) = contents.split_first_chunk::<6>() else {
        return Err(damaged("its frame header is cut short"));
    };
    if specs.len() != 3 * usize::from(count) {
        return Err(damaged("its frame header is not as long as its components need"));
    }
    if precision != 8 {
        return Err(unsupported(format!("its samples have {precision} bits")));
    }
    let (width, height) = (u16::from_be_bytes([w1, w0]).into(), u16::from_be_bytes([h1, h0]).into());
    if height == 0 {
        return Err(unsupported("its frame header leaves the height open"));
    }
    if !matches!(count, 1 | 3 | 4) {
        return Err(unsupported(format!("it has {count} components")));
    }
    let components: Vec<_> = specs
        .as_chunks::<3>()
        .0
        .iter()
        .map(|&[id, sampling, quantisation]| ComponentSpec { id, h: sampling >> 4, v: sampling & 15, quantisation })
        .collect();
    if width == 0 || components.iter().any(|c| !(1..=4).contains(&c.h) || !(1..=4).contains(&c.v)) {
        return Err(damaged("its frame header has a width of 0 or a sampling factor that is not 1 to 4"));
    }
    Ok(Frame { process, width, height, components })
}

/// A scan header.
pub(super) fn scan(frame: &Frame, contents: &[u8]) -> Result<ScanHeader, Problem> {
    let wrong = || damaged("a scan header is not as long as its components need");
    let (&count, rest) = contents.split_first().ok_or_else(wrong)?;
    let (specs, rest) = rest.split_at_checked(2 * usize::from(count)).ok_or_else(wrong)?;
    let &[first, last, bits] = rest else { return Err(wrong()) };
    let mut components: Vec<(usize, usize, usize)> = Vec::new();
    for &[id, tables] in specs.as_chunks::<2>().0 {
        let mut unused = (0..frame.components.len()).filter(|i| components.iter().all(|(used, ..)| used != i));
        let index = unused.find(|&i| frame.components[i].id == id);
        let index = index.ok_or_else(|| damaged(format!("a scan names a component {id}, which the frame lacks")))?;
        components.push((index, usize::from(tables >> 4), usize::from(tables & 15)));
    }
    let blocks = |&(i, ..): &(usize, usize, usize)| u32::from(frame.components[i].h) * u32::from(frame.components[i].v);
    if components.is_empty() || (components.len() > 1 && components.iter().map(blocks).sum::<u32>() > 10) {
        return Err(damaged("a scan has no components, or more than ten blocks in a unit"));
    }
    let header = ScanHeader { components, band: (first, last), high_bit: bits >> 4, low_bit: bits & 15 };
    match frame.process {
        // Sequential scans have all frequencies, whatever their header says.
        Process::Sequential => Ok(ScanHeader { band: (0, 63), high_bit: 0, low_bit: 0, ..header }),
        Process::Progressive if is_legal_progression(&header) => Ok(header),
        Process::Progressive => Err(damaged("a progressive scan has an impossible band or bits")),
    }
}

/// Either DC alone, or a band of one component's other frequencies; and a refinement tells one bit.
fn is_legal_progression(header: &ScanHeader) -> bool {
    let (first, last) = header.band;
    let band = if first == 0 { last == 0 } else { first <= last && last < 64 && header.components.len() == 1 };
    band && (header.high_bit == 0 || header.low_bit + 1 == header.high_bit) && header.low_bit <= 13
}
