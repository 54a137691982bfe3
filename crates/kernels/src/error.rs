//! What can be wrong with a kernel's arguments.

use core::fmt::{self, Write};

/// An argument that an operation cannot work with. Nothing has been written when one is returned.
///
/// ```
/// use kernels::{Error, View};
/// let error = View::new(&[0.0; 11], 3, 4).unwrap_err();
/// assert!(matches!(error, Error::OutOfBounds { last: 11, len: 11, .. }));
/// assert_eq!(error.to_string(), "View: 3x4 with strides 4 and 1 reaches value 11, but there are 11");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Two shapes do not fit.
    #[error("{operation}: {what} is {found_rows}x{found_columns}, expected {rows}x{columns}")]
    Shape {
        /// The function that was called.
        operation: &'static str,
        /// The argument.
        what: &'static str,
        /// Rows expected.
        rows: usize,
        /// Columns expected.
        columns: usize,
        /// Rows found.
        found_rows: usize,
        /// Columns found.
        found_columns: usize,
    },
    /// A slice has the wrong length.
    #[error("{operation}: {what} holds {found} values, expected {expected}")]
    Length {
        /// The function that was called.
        operation: &'static str,
        /// The argument.
        what: &'static str,
        /// Values expected.
        expected: usize,
        /// Values found.
        found: usize,
    },
    /// A slice is too short for what is to be written into it or read from it.
    #[error("{operation}: {what} holds {found} values, expected at least {needed}")]
    TooShort {
        /// The function that was called.
        operation: &'static str,
        /// The argument.
        what: &'static str,
        /// Values needed; `usize::MAX` when there is no such number.
        needed: usize,
        /// Values found.
        found: usize,
    },
    /// A slice is too short for a shape and its strides.
    #[error(
        "{what}: {rows}x{columns} with strides {row_stride} and {column_stride} reaches value {last}, but there are {len}"
    )]
    OutOfBounds {
        /// The view that was asked for.
        what: &'static str,
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        columns: usize,
        /// Values from one row to the next.
        row_stride: usize,
        /// Values from one column to the next.
        column_stride: usize,
        /// The index of the last value reached; `usize::MAX` when it does not fit.
        last: usize,
        /// Values there are.
        len: usize,
    },
    /// A mutable view's elements would share memory.
    #[error(
        "ViewMut: {rows}x{columns} with strides {row_stride} and {column_stride} could reach a value twice: the larger stride must exceed the other axis's extent"
    )]
    Overlap {
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        columns: usize,
        /// Values from one row to the next.
        row_stride: usize,
        /// Values from one column to the next.
        column_stride: usize,
    },
    /// A range reaches past the end of an axis.
    #[error("{what}: range {start}..{end} of an axis of {len}")]
    Range {
        /// The method that was called.
        what: &'static str,
        /// First index asked for.
        start: usize,
        /// One past the last index asked for.
        end: usize,
        /// Length of the axis.
        len: usize,
    },
    /// A kernel that runs along rows got a view whose rows are not contiguous.
    #[error(
        "{operation}: the rows of {what} must be contiguous (column stride 1, unshuffled columns): copy it with to_contiguous first"
    )]
    RowsNotContiguous {
        /// The function that was called.
        operation: &'static str,
        /// The argument.
        what: &'static str,
    },
    /// A kernel that steps from row to row by one stride got a view whose rows are shuffled.
    #[error(
        "{operation}: the rows of {what} must follow each other at one distance (unshuffled): copy it with to_contiguous first"
    )]
    RowsNotStrided {
        /// The function that was called.
        operation: &'static str,
        /// The argument.
        what: &'static str,
    },
    /// Two matrices have different panels, or panels that are no whole vectors, or a range of columns was taken.
    #[error(
        "{operation}: both matrices must have all their columns in the same panels, each but the last of whole vectors of the level"
    )]
    Layout {
        /// The function that was called.
        operation: &'static str,
    },
    /// The number added to a variance is negative, infinite or NaN.
    #[error("{operation}: eps is {found}, expected 0 or a finite positive number such as 1e-6")]
    Epsilon {
        /// The function that was called.
        operation: &'static str,
        /// The number given.
        found: f32,
    },
    /// The number of groups does not divide the number of channels.
    #[error("channel shuffle: {groups} groups do not divide {channels} channels")]
    Groups {
        /// Groups asked for.
        groups: usize,
        /// Channels there are.
        channels: usize,
    },
    /// Two shuffles of different numbers of channels were composed, or a shuffle of one number applied to another.
    #[error(
        "channel shuffle: an order of {found} channels does not fit {expected} channels, which must be all of an axis"
    )]
    Channels {
        /// Channels expected.
        expected: usize,
        /// Channels found.
        found: usize,
    },
    /// Panels of no columns were asked for.
    #[error("panels of width 0 hold no columns: the width must be at least 1")]
    PanelWidth,
    /// The name of a level that this CPU or build lacks, or that no CPU has.
    #[error("no instruction-set level {name:?} here; available here: {available}")]
    UnavailableLevel {
        /// The name asked for.
        name: ShortText<24>,
        /// The names of the levels that exist here.
        available: ShortText<64>,
    },
}

/// A text inside an error, which owns no heap memory: what does not fit is cut off, and an ellipsis shows that.
///
/// ```
/// let error = "avx9000".parse::<kernels::Level>().unwrap_err();
/// let kernels::Error::UnavailableLevel { name, .. } = error else { unreachable!() };
/// assert_eq!(name.to_string(), "avx9000");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ShortText<const N: usize> {
    bytes: [u8; N],
    len: u8,
    is_cut: bool,
}

impl<const N: usize> ShortText<N> {
    /// What a value displays as.
    pub(crate) fn new(value: impl fmt::Display) -> Self {
        const { assert!(N <= u8::MAX as usize) };
        let mut text = ShortText { bytes: [0; N], len: 0, is_cut: false };
        // A text that does not fit ends the formatting, having been noted in `is_cut`.
        _ = write!(text, "{value}");
        text
    }

    fn as_str(&self) -> &str {
        // Whole characters are written, so there is no other case.
        core::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }

    fn ellipsis(&self) -> &'static str {
        if self.is_cut { "..." } else { "" }
    }
}

impl<const N: usize> Write for ShortText<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            let start = usize::from(self.len);
            let Some(place) = self.bytes.get_mut(start..start + c.len_utf8()) else {
                self.is_cut = true;
                return Err(fmt::Error);
            };
            c.encode_utf8(place);
            self.len += c.len_utf8() as u8;
        }
        Ok(())
    }
}

impl<const N: usize> fmt::Display for ShortText<N> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}{}", self.as_str(), self.ellipsis())
    }
}

/// In quotes, with control characters escaped.
impl<const N: usize> fmt::Debug for ShortText<N> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:?}{}", self.as_str(), self.ellipsis())
    }
}

/// Fails unless `found` values are `expected`.
pub(crate) fn check_len(
    operation: &'static str,
    what: &'static str,
    expected: usize,
    found: usize,
) -> Result<(), Error> {
    if expected == found { Ok(()) } else { Err(Error::Length { operation, what, expected, found }) }
}

/// Fails unless there are at least `needed` values.
pub(crate) fn check_at_least(
    operation: &'static str,
    what: &'static str,
    needed: usize,
    found: usize,
) -> Result<(), Error> {
    if found >= needed { Ok(()) } else { Err(Error::TooShort { operation, what, needed, found }) }
}

/// Fails unless a shape is as expected.
pub(crate) fn check_shape(
    operation: &'static str,
    what: &'static str,
    expected: [usize; 2],
    found: [usize; 2],
) -> Result<(), Error> {
    if expected == found {
        return Ok(());
    }
    Err(Error::Shape {
        operation,
        what,
        rows: expected[0],
        columns: expected[1],
        found_rows: found[0],
        found_columns: found[1],
    })
}
