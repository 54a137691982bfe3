//! JPEG, decoded to the same bits as libjpeg-turbo, which is what Pillow decodes with.
//!
//! A decoder of our own, because a picture that is slightly or entirely another one changes what a model answers, and
//! because no decoder in safe Rust gave Pillow's picture for every valid file: of the thousand files that
//! `tools/jpeg_matrix.py` makes, `zune-jpeg` 0.5.15 decodes 250 wrongly without an error, `jpeg-decoder` 0.3.2 more than
//! 40, `libjpeg-turbo-rs` 0.8.0 more than 20. libjpeg-turbo itself would need a C compiler for every target.
//!
//! What is decoded: 8-bit baseline, extended and progressive files with Huffman codes (SOF0, SOF1, SOF2) of one, three or
//! four components, in any order of scans, with any sampling whose ratios are whole numbers. What is refused as
//! unsupported: arithmetic coding, 12 bits, lossless and hierarchical files, fractional sampling, a height that only a DNL
//! marker tells, and progressive files that leave out the precision of low frequencies, where libjpeg guesses.
//!
//! - [`reader`] reads the segments that each [`marker`] announces: tables, and the headers of frame and scans ([`header`]).
//! - [`huffman`] keeps tables of codes, [`bits`] reads them; [`scan`] walks over a scan's blocks and reads their coefficients.
//! - [`component`] keeps them; [`idct`] turns them into samples.
//! - [`upsample`] brings components to full size, [`colour`] makes them RGB.

mod bits;
mod colour;
mod component;
mod header;
mod huffman;
mod idct;
mod marker;
mod problem;
mod reader;
mod scan;
mod upsample;

use crate::memory::filled;
use crate::metadata::Metadata;
use crate::{Pixels, Problem};
use component::Component;
use header::{Frame, Process};
use problem::{CUT, damaged, unsupported};
use reader::{Reader, Segment};
use upsample::Upsampler;

/// Most scans of a picture. A progressive file needs a dozen; each costs a pass over the picture, however short it is.
const MAX_SCANS: usize = 500;

/// Most pixels that a byte can stand for. A block takes at least a bit in some scan, and covers 114 pixels at most (4x1,
/// 1x4 and 1x1 samples: nine blocks for 32x32 pixels).
const MAX_PIXELS_PER_BYTE: u64 = 8 * 128;

/// Decodes a whole file, which begins with a start-of-image marker.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Pixels<'static>, Metadata), Problem> {
    let mut reader = Reader::new(bytes);
    let frame = reader.frame()?;
    crate::size::check("JPEG", (frame.width, frame.height), bytes.len(), Some(MAX_PIXELS_PER_BYTE))?;
    let mut components =
        frame.components.iter().map(|spec| Component::new(&frame, spec)).collect::<Result<Vec<_>, _>>()?;
    let upsamplers = components.iter().map(|c| Upsampler::new(&frame, c)).collect::<Result<Vec<_>, _>>()?;
    let space = colour::Space::of(&frame, reader.application_markers())?;
    read_scans(&mut reader, &frame, &mut components)?;
    components.iter_mut().try_for_each(Component::transform)?;
    Ok((paint(&frame, &components, &upsamplers, space)?, reader.metadata()))
}

/// Reads scans until the end of the image, or until what is left is no JPEG but the picture is complete.
fn read_scans(reader: &mut Reader<'_>, frame: &Frame, components: &mut [Component]) -> Result<(), Problem> {
    for _ in 0..MAX_SCANS {
        let header = match reader.next_scan(frame) {
            Ok(Segment::Scan(header)) => header,
            Ok(Segment::End) => return check_complete(components),
            Ok(Segment::Nothing) | Err(_) if reader.has_trailer() && components.iter().all(Component::is_complete) => {
                return Ok(());
            }
            Ok(Segment::Nothing) => return Err(damaged(CUT)),
            Err(problem) => return Err(problem),
        };
        scan::read(reader, frame, &header, components)?;
        // libjpeg looks no further either, so whatever follows does not matter.
        let whole = frame.process == Process::Sequential && header.components.len() == components.len();
        if whole && reader.has_trailer() {
            return Ok(());
        }
    }
    Err(unsupported(format!("it has more than {MAX_SCANS} scans")))
}

fn check_complete(components: &[Component]) -> Result<(), Problem> {
    if components.iter().any(Component::is_absent) {
        return Err(damaged("it ends before the data of all its components"));
    }
    if components.iter().any(Component::is_imprecise) {
        return Err(unsupported("its scans leave out low frequencies"));
    }
    Ok(())
}

/// Upsamples and converts row by row.
fn paint(
    frame: &Frame,
    components: &[Component],
    upsamplers: &[Upsampler],
    space: colour::Space,
) -> Result<Pixels<'static>, Problem> {
    let (width, height) = (frame.width as usize, frame.height as usize);
    let channels = space.channels();
    let mut data = filled(0, width * height * channels)?;
    // Upsampling writes whole groups of samples, so a row may be a few samples longer than the picture.
    let mut rows = vec![vec![0; width + 2 * usize::from(upsample::MAX_FACTOR)]; components.len()];
    let mut sums = Vec::new();
    for (y, line) in data.chunks_exact_mut(width * channels).enumerate() {
        for ((row, component), upsampler) in rows.iter_mut().zip(components).zip(upsamplers) {
            upsampler.row(component, y, &mut sums, row);
        }
        space.convert(&rows, line);
    }
    Ok(Pixels { width, height, channels, data: data.into() })
}
