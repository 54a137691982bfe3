//! The chunks of a PNG file: those that make its pixels, and those that may say which way is up.

use std::borrow::Cow;
use std::io::Read;

use flate2::Crc;
use flate2::read::ZlibDecoder;

use crate::Problem;
use crate::metadata::Metadata;

/// Longest text that is unpacked; Pillow refuses longer ones.
const MAX_TEXT_BYTES: u64 = 1 << 20;

/// A piece of the file for the decoder.
pub(super) type Part<'a> = Cow<'a, [u8]>;

/// What a file is made of.
pub(super) struct Chunks<'a> {
    pub(super) size: (u32, u32),
    /// The signature, the header, the palette, the pixels and an end.
    pub(super) parts: Vec<Part<'a>>,
    pub(super) metadata: Metadata,
}

/// One chunk: its name, its contents, and all of it.
struct Chunk<'a> {
    name: [u8; 4],
    contents: &'a [u8],
    whole: &'a [u8],
    /// The length as the chunk has it, more than there is if the file is cut.
    length: usize,
}

const SIGNATURE_BYTES: usize = 8;

/// An end-of-image chunk, for files that lack it.
const END: &[u8] = b"\0\0\0\0IEND\xae\x42\x60\x82";

/// Walks over the chunks.
pub(super) fn read(bytes: &[u8]) -> Result<Chunks<'_>, Problem> {
    let (signature, mut rest) = bytes.split_at(SIGNATURE_BYTES);
    let header = take(&mut rest).filter(|chunk| &chunk.name == b"IHDR" && chunk.contents.len() == 13);
    let header = header.ok_or_else(|| damaged("it has no header chunk"))?;
    check_crc(&header)?;
    let number = |at: usize| header.contents[at..].first_chunk().map_or(0, |&bytes| u32::from_be_bytes(bytes));
    let (size, is_palette) = ((number(0), number(4)), header.contents[9] == 3);
    let mut parts: Vec<Part<'_>> = vec![signature.into(), header.whole.into()];
    let mut texts = Texts::default();
    let mut has_pixels = false;
    while let Some(chunk) = take(&mut rest) {
        match &chunk.name {
            b"IEND" => break,
            b"IDAT" => {
                has_pixels = true;
                parts.extend(pixel_parts(&chunk));
            }
            // Behind the pixels nothing can change them; some files have a second palette elsewhere, as a suggestion.
            b"PLTE" if is_palette && !has_pixels => {
                check_crc(&chunk)?;
                parts.push(chunk.whole.into());
            }
            name if name.iter().all(u8::is_ascii_alphabetic) => texts.read(&chunk),
            _ if has_pixels => break,
            _ => return Err(damaged("it has a chunk without a name")),
        }
    }
    parts.push(END.into());
    Ok(Chunks { size, parts, metadata: texts.metadata() })
}

/// The next chunk; a cut one as far as it is there.
fn take<'a>(rest: &mut &'a [u8]) -> Option<Chunk<'a>> {
    let (length, behind) = rest.split_first_chunk::<4>()?;
    let (name, behind) = behind.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes(*length) as usize;
    let contents = &behind[..length.min(behind.len())];
    let whole = &rest[..(12 + length).min(rest.len())];
    *rest = &rest[whole.len()..];
    Some(Chunk { name: *name, contents, whole, length })
}

/// A chunk of pixels as it is, or, if the file ends inside it, made whole: the data may be complete all the same.
fn pixel_parts<'a>(chunk: &Chunk<'a>) -> Vec<Part<'a>> {
    if chunk.whole.len() == 12 + chunk.length {
        return vec![chunk.whole.into()];
    }
    let head = [(chunk.contents.len() as u32).to_be_bytes(), chunk.name].concat();
    vec![head.into(), chunk.contents.into(), vec![0; 4].into()]
}

fn check_crc(chunk: &Chunk<'_>) -> Result<(), Problem> {
    let mut crc = Crc::new();
    crc.update(&chunk.name);
    crc.update(chunk.contents);
    if !chunk.whole.ends_with(&crc.sum().to_be_bytes()) || chunk.contents.len() != chunk.length {
        return Err(damaged(format!("the checksum of its {} chunk is wrong", String::from_utf8_lossy(&chunk.name))));
    }
    Ok(())
}

/// The chunks that can hold an orientation; the last one of each kind counts.
#[derive(Default)]
struct Texts {
    exif: Option<Vec<u8>>,
    /// What ImageMagick writes instead: EXIF data as hexadecimal text.
    raw_profile: Option<Vec<u8>>,
    /// XMP as text of any kind, and as the contents of an iTXt chunk.
    xmp: [Vec<u8>; 2],
}

impl Texts {
    fn read(&mut self, chunk: &Chunk<'_>) {
        if &chunk.name == b"eXIf" {
            self.exif = Some(chunk.contents.to_vec());
            return;
        }
        let Some((key, text)) = text(chunk) else { return };
        match key {
            b"exif" if &chunk.name == b"tEXt" => self.exif = Some(text),
            b"Raw profile type exif" => self.raw_profile = Some(text),
            b"XML:com.adobe.xmp" => {
                if &chunk.name != b"iTXt" {
                    self.xmp[0] = text;
                } else {
                    // Pillow keeps it as text as well if it is UTF-8.
                    if std::str::from_utf8(&text).is_ok() {
                        self.xmp[0].clone_from(&text);
                    }
                    self.xmp[1] = text;
                }
            }
            _ => {}
        }
    }

    fn metadata(self) -> Metadata {
        let [text, contents] = self.xmp;
        let exif =
            self.exif.or_else(|| self.raw_profile.map(|profile| hexadecimal(&profile).unwrap_or_else(|| vec![0])));
        Metadata { exif, xmp: if text.is_empty() { contents } else { text } }
    }
}

/// The keyword and text of a text chunk.
fn text<'a>(chunk: &Chunk<'a>) -> Option<(&'a [u8], Vec<u8>)> {
    let split = |bytes: &'a [u8]| {
        let end = bytes.iter().position(|&byte| byte == 0)?;
        Some((&bytes[..end], &bytes[end + 1..]))
    };
    let (key, rest) = split(chunk.contents)?;
    if !matches!(key, b"exif" | b"Raw profile type exif" | b"XML:com.adobe.xmp") {
        return None;
    }
    match &chunk.name {
        b"tEXt" => Some((key, rest.to_vec())),
        b"zTXt" => Some((key, unpacked(rest.strip_prefix(&[0])?).unwrap_or_default())),
        b"iTXt" => {
            let (&[is_packed, method], rest) = rest.split_first_chunk::<2>()?;
            let (_language, rest) = split(rest)?;
            let (_translated_key, text) = split(rest)?;
            match (is_packed, method) {
                (0, _) => Some((key, text.to_vec())),
                (_, 0) => Some((key, unpacked(text)?)),
                _ => None,
            }
        }
        _ => None,
    }
}

fn unpacked(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    ZlibDecoder::new(bytes).take(MAX_TEXT_BYTES + 1).read_to_end(&mut text).ok()?;
    (text.len() as u64 <= MAX_TEXT_BYTES).then_some(text)
}

/// The bytes behind the first three lines (empty, kind and length), two digits each.
fn hexadecimal(profile: &[u8]) -> Option<Vec<u8>> {
    let lines = profile.splitn(4, |&byte| byte == b'\n').nth(3).unwrap_or_default();
    let digits: Vec<u8> = lines.iter().filter(|byte| !byte.is_ascii_whitespace()).copied().collect();
    let (pairs, odd) = digits.as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let bytes = pairs.iter().map(|&[high, low]| Some((digit(high)? << 4 | digit(low)?) as u8));
    if odd.is_empty() { bytes.collect() } else { None }
}

fn damaged(reason: impl Into<String>) -> Problem {
    Problem::damaged("PNG", reason.into())
}
