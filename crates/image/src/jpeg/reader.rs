//! The segments of a JPEG file: what a marker announces, with its length and contents.

use super::header::{self, Frame, Process, ScanHeader};
use super::huffman::{self, Huffman};
use super::idct::NATURAL_ORDER;
use super::marker;
use super::problem::{damaged, unsupported};
use crate::Problem;
use crate::metadata::{EXIF_PREFIX, Metadata};

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
            match marker::next(self.bytes, &mut self.at) {
                Some(sof @ marker::SOF0..=marker::SOF15) if !matches!(sof, marker::DHT | marker::JPG | marker::DAC) => {
                    return header::frame(sof, self.segment()?);
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
            match marker::next(self.bytes, &mut self.at) {
                Some(marker::SOS) => return Ok(Segment::Scan(header::scan(frame, self.segment()?)?)),
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
