//! Packed weights: in memory of their own, borrowed from bytes, or in the map of a file.

use std::ops::Deref;

use crate::aligned::{ALIGNMENT, Aligned};
use crate::safetensors::Source;
use crate::safetensors::convert::borrow;
use crate::{Error, TensorFile, TensorInfo};

pub(crate) enum Packed<'a> {
    Owned(Aligned),
    Borrowed(&'a [f32]),
    #[cfg(feature = "mmap")]
    Mapped(Mapped),
}

impl<'a> Packed<'a> {
    /// The values of a file's F32 tensor: used where they are in memory if they begin on a cache line there, else read
    /// into a buffer that does.
    pub(crate) fn of(file: TensorFile<'a>, info: &TensorInfo) -> Result<Self, Error> {
        if file.borrowed(info).is_none_or(|values| !values.as_ptr().addr().is_multiple_of(ALIGNMENT)) {
            let mut values = Aligned::zeroed(info.len()).ok_or_else(|| Error::memory(file.label(), info.len()))?;
            file.read_into(info, &mut values)?;
            return Ok(Packed::Owned(values));
        }
        let (source, range) = file.into_source(info);
        match source {
            Source::Bytes(bytes) => Ok(Packed::Borrowed(borrow(info.dtype, &bytes[range]).unwrap_or_default())),
            #[cfg(feature = "mmap")]
            Source::Map(map) => Ok(Packed::Mapped(Mapped { map, range })),
            // Nothing is borrowed from it.
            Source::File(_) => Ok(Packed::Borrowed(&[])),
        }
    }
}

impl Packed<'_> {
    /// Copies what is borrowed; fails with the number of values if there is no memory for them.
    pub(crate) fn into_owned(self) -> Result<Packed<'static>, usize> {
        Ok(match self {
            Packed::Owned(values) => Packed::Owned(values),
            Packed::Borrowed(values) => {
                let mut copy = Aligned::zeroed(values.len()).ok_or(values.len())?;
                copy.copy_from_slice(values);
                Packed::Owned(copy)
            }
            #[cfg(feature = "mmap")]
            Packed::Mapped(values) => Packed::Mapped(values),
        })
    }
}

impl Deref for Packed<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Packed::Owned(values) => values,
            Packed::Borrowed(values) => values,
            #[cfg(feature = "mmap")]
            Packed::Mapped(values) => bytemuck::cast_slice(&values.map[values.range.clone()]),
        }
    }
}

/// A map and where in it the values are.
#[cfg(feature = "mmap")]
pub(crate) struct Mapped {
    map: memmap2::Mmap,
    range: std::ops::Range<usize>,
}
