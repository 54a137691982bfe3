//! Why an image could not become a model's input.

use std::path::PathBuf;

use crate::{MAX_FILE_BYTES, MAX_PIXELS, MAX_SIDE};

/// What was wrong, with which file, what was expected, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The operating system refused.
    #[error("{}: cannot be read: {reason}; check the path and its permissions", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's message.
        reason: String,
    },
    /// The path is a folder.
    #[error("{}: is a folder, expected a PNG or JPEG file; name the images inside it", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// The file has no bytes.
    #[error("{}: is empty, expected a PNG or JPEG file; copy or download it again", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file is another format, told by its first bytes and not by its name.
    #[error("{}: {found}, expected PNG or JPEG; convert the image first", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The format, if its first bytes are known.
        found: String,
    },
    /// The file is larger than any image within the limits needs.
    #[error("{}: is longer than {} MiB, the limit for a file; shrink it first", path.display(), MAX_FILE_BYTES >> 20)]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// The image has too many pixels.
    #[error(
        "{}: is {width}x{height} pixels, expected at most {MAX_SIDE} a side and {MAX_PIXELS} in all; shrink it first",
        path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its width as the header has it.
        width: u32,
        /// Its height as the header has it.
        height: u32,
    },
    /// The file breaks its format's rules or ends early.
    #[error("{}: is a damaged {format} file: {reason}; copy, download or export it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// PNG or JPEG.
        format: &'static str,
        /// What the decoder met.
        reason: String,
    },
    /// The file uses a part of its format that the decoder lacks.
    #[error("{}: this kind of {format} is not supported: {reason}; save it as an ordinary PNG or JPEG", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// PNG or JPEG.
        format: &'static str,
        /// What the decoder met.
        reason: String,
    },
    /// The model takes neither grey nor RGB.
    #[error("the model takes {channels} channels, but images have 1 (grey) or 3 (RGB); give it raw tensors with `run`")]
    Channels {
        /// The model's channels.
        channels: usize,
    },
    /// The preparation that came with the model is impossible.
    #[error("the model's image preparation is impossible: {problems}; correct its configuration")]
    Preparation {
        /// All that is wrong.
        problems: String,
    },
    /// A raster's bytes do not make its shape.
    #[error(
        "{found} bytes given for {width}x{height} pixels of {channels} channels, expected {channels} (1 or 3) x \
         {width} x {height}, and neither zero"
    )]
    Raster {
        /// Pixels a row.
        width: usize,
        /// Rows.
        height: usize,
        /// Bytes a pixel.
        channels: usize,
        /// Bytes given.
        found: usize,
    },
    /// The output slice has the wrong length.
    #[error("the prepared image is {channels}x{size}x{size}, but the output holds {found} values; make it {expected}")]
    Output {
        /// The model's channels.
        channels: usize,
        /// The side of its input.
        size: usize,
        /// Their product.
        expected: usize,
        /// The slice's length.
        found: usize,
    },
}
