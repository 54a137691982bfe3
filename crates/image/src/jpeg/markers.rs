//! The segments of a JPEG file: what a marker announces, with its length and contents.

use super::huffman::{self, Huffman};
use super::{damaged, unsupported};
use crate::Problem;
use crate::metadata::{EXIF_PREFIX, Metadata};

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

/// What follows a scan.
pub(super) enum Segment {
    /// Another one.
    Scan(ScanHeader),
    /// The end-of-image marker.
    End,
    /// No further marker.
    Nothing,
}

/// The application markers that say how colours are stored.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ApplicationMarkers {
    pub(super) is_jfif: bool,
    /// The transform that Adobe's marker names.
    pub(super) adobe: Option<u8>,
}

/// A place in the file, and the tables that hold there.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Whether more than half a marker follows the last scan's data.
    has_trailer: bool,
    application_markers: ApplicationMarkers,
    metadata: Metadata,
    /// In natural order of the frequencies.
    quantisation: [Option<[u16; 64]>; 4],
    dc: [Option<Huffman>; 4],
    ac: [Option<Huffman>; 4],
    restart_interval: usize,
    has_scan: bool,
}

mod marker {
    pub(super) const TEM: u8 = 0x01;
    pub(super) const SOF0: u8 = 0xC0;
    pub(super) const SOF2: u8 = 0xC2;
    pub(super) const DHT: u8 = 0xC4;
    pub(super) const JPG: u8 = 0xC8;
    pub(super) const DAC: u8 = 0xCC;
    pub(super) const SOF15: u8 = 0xCF;
    pub(super) const RST0: u8 = 0xD0;
    pub(super) const RST7: u8 = 0xD7;
    pub(super) const SOI: u8 = 0xD8;
    pub(super) const EOI: u8 = 0xD9;
    pub(super) const SOS: u8 = 0xDA;
    pub(super) const DQT: u8 = 0xDB;
    pub(super) const DNL: u8 = 0xDC;
    pub(super) const DRI: u8 = 0xDD;
    pub(super) const APP0: u8 = 0xE0;
    pub(super) const APP1: u8 = 0xE1;
    pub(super) const APP14: u8 = 0xEE;
    pub(super) const APP15: u8 = 0xEF;
    pub(super) const COM: u8 = 0xFE;
}

/// Where a coefficient's place in zigzag order is in a block of rows.
#[rustfmt::skip]
pub(super) const NATURAL_ORDER: [u8; 64] = [
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

impl<'a> Reader<'a> {
    /// A reader behind the start-of-image marker.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 2,
            has_trailer: false,
            application_markers: ApplicationMarkers::default(),
            metadata: Metadata::default(),
            quantisation: [None; 4],
            dc: [const { None }; 4],
            ac: [const { None }; 4],
            restart_interval: 0,
            has_scan: false,
        }
    }

    /// Reads up to the frame header.
    pub(super) fn frame(&mut self) -> Result<Frame, Problem> {
        loop {
            match next_marker(self.bytes, &mut self.at) {
                Some(sof @ marker::SOF0..=marker::SOF15) if !matches!(sof, marker::DHT | marker::JPG | marker::DAC) => {
                    return frame(sof, self.segment()?);
                }
                Some(marker::SOS) => return Err(damaged("a scan stands before the frame header")),
                Some(marker::EOI) | None => return Err(damaged("it ends before its frame header")),
                Some(other) => self.table(other)?,
            }
        }
    }

    /// Reads up to the next scan's data.
    pub(super) fn next_scan(&mut self, frame: &Frame) -> Result<Segment, Problem> {
        loop {
            match next_marker(self.bytes, &mut self.at) {
                Some(marker::SOS) => return Ok(Segment::Scan(scan_header(frame, self.segment()?)?)),
                Some(marker::EOI) => return Ok(Segment::End),
                Some(marker::SOF0..=marker::SOF2) => return Err(unsupported("it has several frames")),
                Some(other) => self.table(other)?,
                None => return Ok(Segment::Nothing),
            }
        }
    }

    pub(super) fn application_markers(&self) -> ApplicationMarkers {
        self.application_markers
    }

    /// What was read that may say which way is up.
    pub(super) fn metadata(self) -> Metadata {
        self.metadata
    }

    pub(super) fn restart_interval(&self) -> usize {
        self.restart_interval
    }

    /// The table that a scan names. Motion JPEG leaves out the usual ones of sequential frames.
    pub(super) fn huffman(&self, process: Process, is_dc: bool, slot: usize) -> Result<Huffman, Problem> {
        let tables = if is_dc { &self.dc } else { &self.ac };
        let table = tables.get(slot).and_then(Option::as_ref).cloned();
        let table =
            table.or_else(|| (process == Process::Sequential).then(|| huffman::standard(is_dc, slot)).flatten());
        let table = table.ok_or_else(|| damaged(format!("a scan names Huffman table {slot}, which is not defined")))?;
        if is_dc && !table.fits_dc() {
            return Err(damaged("a Huffman table for DC holds more than 15 bits"));
        }
        Ok(table)
    }

    /// The quantisation table of that number, in natural order.
    pub(super) fn quantisation(&self, slot: u8) -> Result<[u16; 64], Problem> {
        let table = self.quantisation.get(usize::from(slot)).copied().flatten();
        table.ok_or_else(|| damaged(format!("a component names quantisation table {slot}, which is not defined")))
    }

    /// The file, and where a scan's data begin.
    pub(super) fn data(&self) -> (&'a [u8], usize) {
        (self.bytes, self.at)
    }

    /// Goes on where a scan's data ended, after it read some bytes ahead.
    pub(super) fn resume(&mut self, (at, read_ahead): (usize, usize)) {
        self.at = at;
        self.has_scan = true;
        self.has_trailer = self.bytes.len().saturating_sub(at) + read_ahead >= 2;
    }

    /// Whether more than half a marker follows the last scan's data. What it is matters to a picture only while its
    /// coefficients are not complete.
    pub(super) fn has_trailer(&self) -> bool {
        self.has_trailer
    }

    /// The contents of the segment behind its marker.
    fn segment(&mut self) -> Result<&'a [u8], Problem> {
        let cut = || damaged("a segment is longer than the file");
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = usize::from(u16::from_be_bytes(*rest.first_chunk().ok_or_else(cut)?));
        if length < 2 {
            return Err(damaged(format!("a segment says that it is {length} bytes long, expected at least 2")));
        }
        let contents = rest.get(2..length).ok_or_else(cut)?;
        self.at += length;
        Ok(contents)
    }

    /// Reads a segment other than frames and scans.
    fn table(&mut self, marker: u8) -> Result<(), Problem> {
        match marker {
            marker::TEM | marker::RST0..=marker::RST7 => {}
            marker::DQT => self.quantisation_tables()?,
            marker::DHT => self.huffman_tables()?,
            marker::DRI => {
                let contents = self.segment()?;
                let interval = contents.try_into().map_err(|_| damaged("a DRI segment is not 4 bytes long"))?;
                self.restart_interval = u16::from_be_bytes(interval).into();
            }
            marker::APP0 => self.application_markers.is_jfif |= self.segment()?.starts_with(b"JFIF\0"),
            marker::APP1 => {
                let contents = self.segment()?;
                // Pillow looks no further than the first scan.
                if !self.has_scan {
                    note_metadata(&mut self.metadata, contents);
                }
            }
            marker::APP14 => {
                // "Adobe", version, two flags, transform.
                let contents = self.segment()?;
                if contents.starts_with(b"Adobe") && contents.len() >= 12 {
                    self.application_markers.adobe = Some(contents[11]);
                }
            }
            marker::APP0..=marker::APP15 | marker::COM | marker::DNL | marker::DAC => {
                self.segment()?;
            }
            marker::SOI => return Err(damaged("it has a second start-of-image marker")),
            other => return Err(unsupported(format!("it has a marker {other:02X}"))),
        }
        Ok(())
    }

    fn quantisation_tables(&mut self) -> Result<(), Problem> {
        let mut rest = self.segment()?;
        while let Some((&head, behind)) = rest.split_first() {
            let bytes_each = if head >> 4 == 0 { 1 } else { 2 };
            let cut = || damaged("a quantisation table is cut short");
            let (steps, behind) = behind.split_at_checked(64 * bytes_each).ok_or_else(cut)?;
            let slot = self.quantisation.get_mut(usize::from(head & 15));
            let mut table = [0; 64];
            for (step, &place) in steps.chunks_exact(bytes_each).zip(&NATURAL_ORDER) {
                table[usize::from(place)] = step.iter().fold(0, |value, &byte| value << 8 | u16::from(byte));
            }
            *slot.ok_or_else(|| damaged("a quantisation table has a number above 3"))? = Some(table);
            rest = behind;
        }
        Ok(())
    }

    fn huffman_tables(&mut self) -> Result<(), Problem> {
        let mut rest = self.segment()?;
        while let Some((&head, behind)) = rest.split_first() {
            let cut = || damaged("a Huffman table is cut short");
            let (counts, behind) = behind.split_first_chunk::<16>().ok_or_else(cut)?;
            let total = counts.iter().map(|&count| usize::from(count)).sum();
            let (values, behind) = behind.split_at_checked(total).ok_or_else(cut)?;
            let tables = if head & 0x10 == 0 { &mut self.dc } else { &mut self.ac };
            let slot = tables.get_mut(usize::from(head & !0x10));
            *slot.ok_or_else(|| damaged("a Huffman table has a number above 3"))? = Some(Huffman::new(counts, values)?);
            rest = behind;
        }
        Ok(())
    }
}

/// Several segments of EXIF are one; of XMP the last counts.
fn note_metadata(metadata: &mut Metadata, contents: &[u8]) {
    if let Some(data) = contents.strip_prefix(EXIF_PREFIX) {
        metadata.exif.get_or_insert_default().extend_from_slice(data);
    } else if let Some(xmp) = contents.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0") {
        metadata.xmp = xmp.to_vec();
    }
}

/// The next marker, and `at` behind it; what stands before it is skipped, as libjpeg does.
pub(super) fn next_marker(bytes: &[u8], at: &mut usize) -> Option<u8> {
    loop {
        let rest = bytes.get(*at..)?;
        let start = rest.iter().position(|&byte| byte == 0xFF)?;
        let fill = rest[start..].iter().position(|&byte| byte != 0xFF)?;
        *at += start + fill + 1;
        match rest[start + fill] {
            0 => {} // A byte of data.
            found => return Some(found),
        }
    }
}

fn frame(sof: u8, contents: &[u8]) -> Result<Frame, Problem> {
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

fn scan_header(frame: &Frame, contents: &[u8]) -> Result<ScanHeader, Problem> {
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
