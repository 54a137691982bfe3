//! What a file is, by its first bytes: an image that can be read, or what else people have by that name.

use crate::Problem;

/// A format that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Png,
    Jpeg,
    WebP,
}

/// The format of a file, or what it is instead.
pub(crate) fn guess(bytes: &[u8]) -> Result<Format, Problem> {
    if bytes.is_empty() {
        return Err(Problem::Empty);
    }
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Ok(Format::Png)
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        Ok(Format::Jpeg)
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Ok(Format::WebP)
    } else {
        let (found, advice) = describe(bytes);
        Err(Problem::Format { found, advice })
    }
}

const CONVERT: &str = "convert the image first";
const AGAIN: &str = "download the image itself";

/// First bytes, what a file is that begins with them, and what to do.
const SIGNATURES: [(&[u8], &str, &str); 25] = [
    (b"version https://git-lfs.github.com/", "is a Git LFS pointer", "fetch the file itself with `git lfs pull`"),
    (b"GIF8", "is a GIF image", CONVERT),
    (b"BM", "is a BMP image", CONVERT),
    (b"II\x2a\0", "is a TIFF image", CONVERT),
    (b"MM\0\x2a", "is a TIFF image", CONVERT),
    (b"II\x2b\0", "is a BigTIFF image", CONVERT),
    (b"MM\0\x2b", "is a BigTIFF image", CONVERT),
    (b"\0\0\x01\0", "is an ICO image", CONVERT),
    (b"\xff\x0a", "is a JPEG XL image", CONVERT),
    (b"\0\0\0\x0cJXL ", "is a JPEG XL image", CONVERT),
    (b"\0\0\0\x0cjP  ", "is a JPEG 2000 image", CONVERT),
    (b"8BPS", "is a Photoshop document", CONVERT),
    (b"qoif", "is a QOI image", CONVERT),
    (b"\x76\x2f\x31\x01", "is an OpenEXR image", CONVERT),
    (b"%PDF", "is a PDF document", "export its picture first"),
    (b"PK\x03\x04", "is a zip archive", "unpack it first"),
    (b"PK\x05\x06", "is an empty zip archive", AGAIN),
    (b"\x1f\x8b", "is compressed by gzip", "unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive", "unpack it first"),
    (b"Rar!", "is a RAR archive", "unpack it first"),
    (b"\0\x05\x16\x07", "is what macOS keeps beside a file (AppleDouble)", "name the file without `._`"),
    (b"\x93NUMPY", "is a NumPy array", "save it as PNG first"),
    (b"\0\0\x08\x03", "is an IDX file of images", "give it to `eval`"),
    (b"\x7fELF", "is a program", "name an image"),
    (b"\x89PNG", "is a PNG damaged by a change of line ends", AGAIN),
];

/// What a file is that is none of the formats.
fn describe(bytes: &[u8]) -> (&'static str, &'static str) {
    if let Some(&(_, found, advice)) = SIGNATURES.iter().find(|(signature, ..)| bytes.starts_with(signature)) {
        return (found, advice);
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        return match bytes.get(8..12) {
            Some(b"avif" | b"avis") => ("is an AVIF image", CONVERT),
            Some(b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"mif1" | b"msf1") => ("is a HEIC image", CONVERT),
            _ => ("is a video", "extract a frame as an image first"),
        };
    }
    let start = &bytes[..bytes.len().min(1024)];
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start().to_ascii_lowercase();
    if text.starts_with(b"<!doctype html") || text.starts_with(b"<html") || text.starts_with(b"<head") {
        return ("is a web page (HTML)", AGAIN);
    }
    if text.starts_with(b"<svg") || (text.starts_with(b"<?xml") && text.windows(4).any(|word| word == b"<svg")) {
        return ("is an SVG drawing", CONVERT);
    }
    if start.iter().all(|&byte| byte == 0) {
        return ("is filled with zeros", AGAIN);
    }
    if start.iter().all(|&byte| byte >= b' ' || matches!(byte, b'\t' | b'\n' | b'\r')) && str_prefix(start) {
        return ("is text", AGAIN);
    }
    ("is no image that its first bytes would tell", CONVERT)
}

/// Whether the bytes are UTF-8, perhaps cut inside the last character.
fn str_prefix(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true)
}
