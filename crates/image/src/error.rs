//! Why an image could not become a model's input.

use std::fmt::Write;
use std::path::Path;

use crate::limits::{MAX_FILE_BYTES, MAX_PIXELS, MAX_SIDE};

/// What was wrong, with which picture, what was expected, and what to do.
///
/// ```
/// use images::{ImageError, Problem};
///
/// let error = images::decode(b"GIF89a").unwrap_err();
/// assert_eq!(error.to_string(), "the image: is a GIF image, expected PNG, JPEG or WebP; convert the image first");
/// assert!(matches!(error, ImageError::Picture { problem: Problem::Format { .. }, .. }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// A picture cannot be read.
    #[error("{name}: {problem}")]
    Picture {
        /// Its path, with control characters escaped, or what else it is called.
        name: String,
        /// What is wrong with it.
        problem: Problem,
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

/// What is wrong with a picture.
///
/// ```
/// let problem = images::Problem::Empty;
/// assert_eq!(problem.to_string(), "is empty, expected PNG, JPEG or WebP; copy or download it again");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The operating system refused.
    #[error("cannot be read: {reason}; check the path and its permissions")]
    Read {
        /// The system's message.
        reason: String,
    },
    /// The path is a folder.
    #[error("is a folder, expected a PNG, JPEG or WebP file; name the images inside it")]
    Folder,
    /// The path is a pipe, a device or a socket, which might never end.
    #[error(
        "is no regular file but a pipe, a device or a socket; save the image to a file, or give it as standard input"
    )]
    NoFile,
    /// There are no bytes.
    #[error("is empty, expected PNG, JPEG or WebP; copy or download it again")]
    Empty,
    /// The bytes are another format, told by their beginning and not by the name.
    #[error("{found}, expected PNG, JPEG or WebP; {advice}")]
    Format {
        /// What it is.
        found: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// There are more bytes than any image within the limits needs.
    #[error("is longer than {} MiB, the limit for a file; shrink it first", MAX_FILE_BYTES >> 20)]
    TooLong,
    /// The image has too many pixels.
    #[error("is {width}x{height} pixels, expected at most {MAX_SIDE} a side and {MAX_PIXELS} in all; shrink it first")]
    TooLarge {
        /// Its width as the header has it.
        width: u32,
        /// Its height as the header has it.
        height: u32,
    },
    /// The file breaks its format's rules or ends early.
    #[error("is a damaged {format} file: {reason}; copy, download or export it again")]
    Damaged {
        /// PNG, JPEG or WebP.
        format: &'static str,
        /// What the decoder met.
        reason: String,
    },
    /// The file is sound but uses a part of its format that the decoder lacks.
    #[error("this kind of {format} is not supported: {reason}; save it as an ordinary PNG or JPEG")]
    Unsupported {
        /// PNG, JPEG or WebP.
        format: &'static str,
        /// What the decoder met.
        reason: String,
    },
    /// There is not enough memory for the pixels.
    #[error("its pixels need {} MiB more than there are; shrink it first, or give it more memory", bytes.div_ceil(1 << 20))]
    Memory {
        /// What was asked for at last.
        bytes: usize,
    },
}

impl Problem {
    pub(crate) fn damaged(format: &'static str, reason: impl Into<String>) -> Self {
        Self::Damaged { format, reason: reason.into() }
    }

    pub(crate) fn unsupported(format: &'static str, reason: impl Into<String>) -> Self {
        Self::Unsupported { format, reason: reason.into() }
    }

    pub(crate) fn of(self, name: &str) -> ImageError {
        ImageError::Picture { name: name.into(), problem: self }
    }

    pub(crate) fn of_file(self, path: &Path) -> ImageError {
        self.of(&printable(path))
    }
}

/// A path for people: control characters and those that change the direction of text are escaped, so that a file's name
/// cannot drive the terminal of whoever reads the message.
fn printable(path: &Path) -> String {
    let mut name = String::new();
    for c in path.display().to_string().chars() {
        let is_direction = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || is_direction {
            // Writing to a string does not fail.
            let _ = write!(name, "{}", c.escape_default());
        } else {
            name.push(c);
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_drive_a_terminal() {
        let error = Problem::Empty.of_file(Path::new("caf\u{e9}\u{1b}[2J\n\u{202e}gpj.png"));
        assert!(error.to_string().starts_with("caf\u{e9}\\u{1b}[2J\\n\\u{202e}gpj.png: is empty"), "{error}");
    }
}
