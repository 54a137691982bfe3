//! What a packed file's header names.

/// The only tensor, and the metadata entry with the version of its order.
pub(super) const PACKED: &str = "packed";
/// The metadata entry with the checksum.
pub(super) const CHECKSUM: &str = "checksum";
