//! The checksum of a packed file.

use core::convert::Infallible;
use core::fmt;

use crc32fast::Hasher;

use crate::floats::little_endian;

/// What the written form begins with.
const ALGORITHM: &str = "crc32:";

/// A CRC-32, written as `crc32:1c2d3e4f`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checksum(u32);

impl Checksum {
    /// Of a description's text.
    pub(crate) fn of_text(text: &str) -> Self {
        Checksum(crc32fast::hash(text.as_bytes()))
    }

    /// Of what this is the checksum of and the text after it.
    pub(super) fn then_text(self, text: &str) -> Self {
        let mut hasher = Hasher::new_with_initial(self.0);
        hasher.update(text.as_bytes());
        Checksum(hasher.finalize())
    }

    /// Of what this is the checksum of and the values after it.
    pub(crate) fn then(self, values: &[f32]) -> Self {
        let mut hasher = Hasher::new_with_initial(self.0);
        let Ok(()) = little_endian(values, |bytes| {
            hasher.update(bytes);
            Ok::<_, Infallible>(())
        });
        Checksum(hasher.finalize())
    }

    /// Reads the written form: eight lower-case hexadecimal digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(ALGORITHM)?;
        let written = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (digits.len() == 8 && digits.bytes().all(written)).then_some(())?;
        u32::from_str_radix(digits, 16).ok().map(Checksum)
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{ALGORITHM}{:08x}", self.0)
    }
}
