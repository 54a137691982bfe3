//! PNG, row by row, so that no more memory is taken than 8-bit pixels need.
//!
//! The decoder is the `png` crate; it sees only the chunks that make the pixels. Of a file's flaws, a checksum of pixel
//! data that is wrong and an end that is missing are overlooked, as Pillow does, since the data have a checksum of their
//! own inside, which is checked. A wrong checksum of the header or the palette is damage.

mod chunks;

use std::io::{self, BufRead, Read, Seek, SeekFrom};

use png::{BitDepth, ColorType, DecodeOptions, Decoder, DecodingError, InterlaceInfo, Reader, Transformations};

use crate::memory::filled;
use crate::metadata::Metadata;
use crate::{Pixels, Problem, size};
use chunks::Chunks;

/// Most pixels that a byte can stand for: deflate shrinks by 1032 at most, to eight pixels of one bit each a byte.
const MAX_PIXELS_PER_BYTE: u64 = 8 * 1032;

/// Decodes a whole file.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Pixels<'static>, Metadata), Problem> {
    let chunks = chunks::read(bytes)?;
    let (width, height) = chunks.size;
    size::check("PNG", (width, height), bytes.len(), Some(MAX_PIXELS_PER_BYTE))?;
    let pixels = pixels(&chunks)?;
    Ok((pixels, chunks.metadata))
}

fn pixels(chunks: &Chunks<'_>) -> Result<Pixels<'static>, Problem> {
    let mut options = DecodeOptions::default();
    options.set_ignore_crc(true);
    options.set_ignore_adler32(false);
    let mut decoder = Decoder::new_with_options(Parts::new(&chunks.parts), options);
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let mut reader = decoder.read_info().map_err(problem)?;
    let (color, depth) = reader.output_color_type();
    let (samples, channels) = match (color, depth) {
        (ColorType::Grayscale, BitDepth::Eight) => (1, 1),
        (ColorType::GrayscaleAlpha, BitDepth::Eight) => (2, 1),
        (ColorType::Rgb, BitDepth::Eight) => (3, 3),
        (ColorType::Rgba, BitDepth::Eight) => (4, 3),
        other => return Err(Problem::unsupported("PNG", format!("its pixels are {other:?}"))),
    };
    let (width, height) = (chunks.size.0 as usize, chunks.size.1 as usize);
    let mut data = filled(0, width * height * channels)?;
    read_rows(&mut reader, width, (samples, channels), &mut data)?;
    Ok(Pixels { width, height, channels, data: data.into() })
}

/// Reads all rows, leaving out alpha: the last of `samples` where they are not as many as `channels`.
fn read_rows(
    reader: &mut Reader<Parts<'_>>,
    width: usize,
    (samples, channels): (usize, usize),
    data: &mut [u8],
) -> Result<(), Problem> {
    let stride = width * channels;
    let mut line = vec![0; stride];
    let mut rows = 0;
    while let Some(row) = reader.next_interlaced_row().map_err(problem)? {
        let count = row.data().len() / samples;
        let line = &mut line[..count * channels];
        for (out, pixel) in line.chunks_exact_mut(channels).zip(row.data().chunks_exact(samples)) {
            out.copy_from_slice(&pixel[..channels]);
        }
        match row.interlace() {
            InterlaceInfo::Null(_) => data[rows * stride..][..stride].copy_from_slice(line),
            InterlaceInfo::Adam7(pass) => png::expand_interlaced_row(data, stride, line, pass, 8 * channels as u8),
        }
        rows += 1;
    }
    Ok(())
}

fn problem(error: DecodingError) -> Problem {
    let reason = match &error {
        DecodingError::IoError(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => "it ends early".into(),
        _ => error.to_string(),
    };
    Problem::damaged("PNG", reason)
}

/// Pieces of a file, read one after the other.
struct Parts<'a> {
    parts: &'a [chunks::Part<'a>],
    /// The part that is being read, and how much of it was read.
    at: (usize, usize),
}

impl<'a> Parts<'a> {
    fn new(parts: &'a [chunks::Part<'a>]) -> Self {
        Self { parts, at: (0, 0) }
    }
}

impl Read for Parts<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Parts<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while let Some(part) = self.parts.get(self.at.0) {
            if self.at.1 < part.len() {
                return Ok(&part[self.at.1..]);
            }
            self.at = (self.at.0 + 1, 0);
        }
        Ok(&[])
    }

    fn consume(&mut self, count: usize) {
        self.at.1 += count;
    }
}

/// Asked for by the decoder's signature, and never used by it.
impl Seek for Parts<'_> {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
