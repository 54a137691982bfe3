//! From the bytes of an image file to upright pixels.

use crate::format::Format;
use crate::metadata::Metadata;
use crate::{Pixels, Problem, format, jpeg, png, webp};

/// The pixels that the bytes of a whole file stand for.
pub(crate) fn decode(bytes: &[u8]) -> Result<Pixels<'static>, Problem> {
    let (pixels, metadata): (_, Metadata) = match format::guess(bytes)? {
        Format::Png => png::decode(bytes)?,
        Format::Jpeg => jpeg::decode(bytes)?,
        Format::WebP => webp::decode(bytes)?,
    };
    metadata.orientation().apply(pixels)
}
