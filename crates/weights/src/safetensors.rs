//! The file format: its header, its values as they are on the disk or in memory, and how a file is written.

pub(crate) mod convert;
mod file;
mod header;
mod source;
#[cfg(feature = "write")]
mod write;

pub use file::TensorFile;
pub use header::TensorInfo;
pub(crate) use source::Source;
#[cfg(feature = "mmap")]
pub(crate) use source::open;
#[cfg(feature = "write")]
pub use write::{RowWriter, save, write_tensors};
