//! Image files as a model's input: decoded, resized and normalised to the same numbers as a Pillow and torchvision
//! pipeline.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = weights::load("deit_tiny.safetensors")?;
//! let preparation = &model.description().preparation;
//! let mut input = vec![0.0; 3 * preparation.image_size * preparation.image_size];
//! images::load("photo.jpg", preparation, &mut input)?;
//! # Ok(())
//! # }
//! ```
//!
//! [`load`] is `Compose([Resize(resize, interpolation), CenterCrop(image_size), ToTensor(), Normalize(mean, std)])` on
//! `ImageOps.exif_transpose(Image.open(path)).convert("RGB")` (`"L"` for a model of one channel), with the bits of Pillow 13.
//! [`open`], [`decode`] and [`read()`] give the pixels of a file, of bytes and of a stream; [`prepare`] makes them a model's
//! input.
//!
//! # What is read
//!
//! - **PNG**: 1 to 16 bits, grey, palette or RGB, with or without alpha, interlaced or not; of an animation the default image.
//! - **JPEG**: 8-bit baseline, extended and progressive, Huffman-coded; grey, YCbCr, RGB, CMYK and YCCK (inverted, as Adobe's
//!   programs write them); any sampling of whole ratios, any order of scans, restart markers; frames of webcams without
//!   Huffman tables; panoramas without an end but with something behind it. Refused as unsupported: arithmetic coding, 12-bit,
//!   lossless and hierarchical files, ratios that are not whole (3x1 beside 2x1), a height that only a DNL marker tells, and
//!   progressive files whose scans leave low frequencies out.
//! - **WebP**: lossy and lossless, with or without alpha; of an animation the first frame.
//! - The **orientation** is that of `exif_transpose`: of EXIF, else of XMP, in JPEG, PNG and WebP.
//!
//! # What becomes of the pixels
//!
//! - Alpha is dropped, not blended: a transparent pixel has the colour that the file stores for it.
//! - 16-bit samples keep their upper 8 bits. Pillow does the same, except for 16-bit grey without alpha, whose values from
//!   256 on it turns white.
//! - Grey from RGB is ITU-R 601-2 luma; RGB from grey is the same value three times. Colour profiles are ignored.
//! - An image smaller than the crop is padded with zeros before it is normalised.
//!
//! # Damage and limits
//!
//! - A file that ends before its pixels do is refused. A PNG whose pixels are complete is read even if it lacks an end, or if
//!   checksums of chunks other than its header and palette are wrong, for the pixels have a checksum of their own.
//! - At most 65,535 pixels a side, 178,956,970 in all (where Pillow stops, too), and 512 MiB of file.
//! - Decoding takes at most three bytes for each pixel of a PNG, six of a JPEG (nine of a progressive one, three more for four
//!   components) and twelve of a WebP, beside the file; turning it by its orientation three more. Where there is less memory,
//!   an error says so, and nothing aborts.
//! - A path must be a regular file: a pipe or a device is refused instead of waited for.

#![forbid(unsafe_code)]

mod decode;
mod error;
mod format;
mod jpeg;
mod limits;
mod memory;
mod metadata;
mod orientation;
mod pixels;
mod png;
mod prepare;
mod resample;
mod size;
mod source;
mod webp;

use std::io::Read;
use std::path::Path;

use weights::Preparation;

pub use error::{ImageError, Problem};
pub use pixels::Pixels;
pub use prepare::prepare;

/// The pixels of an image file, upright.
///
/// ```
/// # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/");
/// let pixels = images::open(format!("{folder}grey.jpg"))?;
/// assert_eq!((pixels.width(), pixels.height(), pixels.channels()), (61, 43, 1));
/// # Ok::<(), images::ImageError>(())
/// ```
pub fn open(path: impl AsRef<Path>) -> Result<Pixels<'static>, ImageError> {
    let path = path.as_ref();
    source::file(path).and_then(|bytes| decode::decode(&bytes)).map_err(|problem| problem.of_file(path))
}

/// The pixels of an image file's bytes, upright. Errors call it "the image".
///
/// ```
/// # let file = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/rgb8.png"))?;
/// let pixels = images::decode(&file)?;
/// assert_eq!(pixels.data().len(), 61 * 43 * 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn decode(bytes: &[u8]) -> Result<Pixels<'static>, ImageError> {
    decode::decode(bytes).map_err(|problem| problem.of("the image"))
}

/// The pixels of an image that a stream ends with, upright. Errors call it by `name`.
///
/// ```no_run
/// let pixels = images::read("standard input", std::io::stdin().lock())?;
/// # Ok::<(), images::ImageError>(())
/// ```
pub fn read(name: &str, reader: impl Read) -> Result<Pixels<'static>, ImageError> {
    source::stream(reader).and_then(|bytes| decode::decode(&bytes)).map_err(|problem| problem.of(name))
}

/// Reads an image file and writes it to `out` as [`prepare`] does.
///
/// ```
/// use weights::Preparation;
///
/// # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/");
/// let mut input = vec![0.0; 3 * 32 * 32];
/// images::load(format!("{folder}colour420.jpg"), &Preparation::new(32, 3), &mut input)?;
/// # Ok::<(), images::ImageError>(())
/// ```
pub fn load(path: impl AsRef<Path>, preparation: &Preparation, out: &mut [f32]) -> Result<(), ImageError> {
    let path = path.as_ref();
    prepare::check(preparation, out)?;
    prepare::write(&open(path)?, preparation, out).map_err(|problem| problem.of_file(path))
}

/// The examples of docs/library.md, so that they are compiled and run as everything else is.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/library.md")]
struct Libraries;

/// The example of the README, so that it is compiled as everything else is.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
