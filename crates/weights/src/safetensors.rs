//! The file format: its header, its values as they are on the disk or in memory, and how a file is written.

pub(crate) mod convert;
mod file;
mod foreign;
mod header;
#[cfg(feature = "write")]
mod rows;
mod source;
#[cfg(feature = "write")]
mod write;

pub use file::TensorFile;
pub use header::TensorInfo;
#[cfg(feature = "write")]
pub use rows::RowWriter;
pub(crate) use source::Source;
#[cfg(feature = "mmap")]
pub(crate) use source::open;
#[cfg(feature = "write")]
pub use write::{save, write_tensors};
