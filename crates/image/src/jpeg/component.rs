//! One component of a picture: its blocks of coefficients, and the samples that they become.

use super::header::{ComponentSpec, Frame, Process};
use super::idct;
use super::reader::Reader;
use crate::Problem;
use crate::memory::filled;

/// A component's place in the frame, what is known of it, and its samples.
pub(super) struct Component {
    pub(super) h: usize,
    pub(super) v: usize,
    /// Blocks that hold a part of the picture, across and down: those of a scan of this component alone.
    pub(super) blocks: (usize, usize),
    /// Samples that are a part of the picture, across and down.
    pub(super) size: (usize, usize),
    /// Blocks in a row, those included that only fill a minimum coded unit.
    stride: usize,
    slot: u8,
    /// In natural order; as it was when the component's first scan began.
    quantisation: Option<[u16; 64]>,
    /// The lowest bit that is known of each frequency, in zigzag order.
    known: [Option<u8>; 64],
    /// Of a progressive frame, until all are known: coefficients in natural order.
    coefficients: Vec<[i16; 64]>,
    /// Rows of `8 * stride`.
    samples: Vec<u8>,
}

impl Component {
    pub(super) fn new(frame: &Frame, spec: &ComponentSpec) -> Result<Self, Problem> {
        let (h, v) = (usize::from(spec.h), usize::from(spec.v));
        let (h_max, v_max) = frame.max_sampling();
        let length = |pixels: u32, factor: usize, max: u8| (pixels as usize * factor).div_ceil(max.into());
        let size = (length(frame.width, h, h_max), length(frame.height, v, v_max));
        let mcus = frame.mcus();
        let (stride, rows) = (mcus.0 * h, mcus.1 * v);
        let mut component = Self {
            h,
            v,
            blocks: (size.0.div_ceil(8), size.1.div_ceil(8)),
            size,
            stride,
            slot: spec.quantisation,
            quantisation: None,
            known: [None; 64],
            coefficients: Vec::new(),
            samples: Vec::new(),
        };
        match frame.process {
            Process::Sequential => component.samples = filled(0, 64 * stride * rows)?,
            Process::Progressive => component.coefficients = filled([0; 64], stride * rows)?,
        }
        Ok(component)
    }

    /// Notes that a scan tells the frequencies of `band` down to `low_bit`, and keeps the table that holds for it.
    pub(super) fn begin_scan(&mut self, reader: &Reader<'_>, band: (u8, u8), low_bit: u8) -> Result<(), Problem> {
        if self.quantisation.is_none() {
            self.quantisation = Some(reader.quantisation(self.slot)?);
        }
        self.known[usize::from(band.0)..=usize::from(band.1)].fill(Some(low_bit));
        Ok(())
    }

    /// Whether every bit of every coefficient is known.
    pub(super) fn is_complete(&self) -> bool {
        self.known == [Some(0); 64]
    }

    /// Whether nothing is known.
    pub(super) fn is_absent(&self) -> bool {
        self.known[0].is_none()
    }

    /// Whether a low frequency is not known exactly; libjpeg then estimates it from the blocks around.
    pub(super) fn is_imprecise(&self) -> bool {
        self.known[1..10] != [Some(0); 9]
    }

    /// The coefficients of a block.
    pub(super) fn coefficients(&mut self, x: usize, y: usize) -> &mut [i16; 64] {
        &mut self.coefficients[y * self.stride + x]
    }

    /// Transforms a block of a sequential frame at once, which needs no memory for coefficients.
    pub(super) fn put(&mut self, x: usize, y: usize, block: &[i16; 64]) {
        let width = 8 * self.stride;
        if let Some(table) = &self.quantisation {
            idct::transform(block, table, &mut self.samples[8 * (y * width + x)..], width);
        }
    }

    /// Transforms what is left to transform: the blocks of a progressive frame.
    pub(super) fn transform(&mut self) -> Result<(), Problem> {
        let coefficients = std::mem::take(&mut self.coefficients);
        if let (Some(table), false) = (&self.quantisation, coefficients.is_empty()) {
            self.samples = filled(0, 64 * coefficients.len())?;
            let width = 8 * self.stride;
            let rows = coefficients.chunks_exact(self.stride).zip(self.samples.chunks_exact_mut(8 * width));
            for (blocks, lines) in rows {
                for (x, block) in blocks.iter().enumerate() {
                    idct::transform(block, table, &mut lines[8 * x..], width);
                }
            }
        }
        Ok(())
    }

    /// The samples of a row that are a part of the picture; a row beyond the last is the last.
    pub(super) fn row(&self, y: usize) -> &[u8] {
        let start = 8 * self.stride * y.min(self.size.1 - 1);
        &self.samples[start..start + self.size.0]
    }
}
