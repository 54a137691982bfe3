//! How large a picture may be, so that a hostile file cannot ask for more time or memory than it is worth.

/// Largest width or height of an image; a JPEG cannot say more.
pub(crate) const MAX_SIDE: u32 = 65_535;

/// Most pixels of an image: where Pillow calls a file a decompression bomb.
pub(crate) const MAX_PIXELS: u64 = 178_956_970;

/// Longest file that is read; three times what a photograph of that many pixels takes at the best quality.
pub(crate) const MAX_FILE_BYTES: u64 = 512 << 20;
