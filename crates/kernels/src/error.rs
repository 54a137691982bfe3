//! What can be wrong with a kernel's arguments.

use crate::level::AvailableLevels;

/// An argument that a kernel cannot work with. Nothing has been written when one is returned.
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
        "{operation}: the rows of {what} must be contiguous (column stride 1, unshuffled columns): materialise it first"
    )]
    RowsNotContiguous {
        /// The function that was called.
        operation: &'static str,
        /// The argument.
        what: &'static str,
    },
    /// A kernel that steps from row to row got a view whose rows are shuffled.
    #[error("{operation}: the rows of {what} must be evenly spaced (unshuffled): materialise it first")]
    RowsNotEven {
        /// The function that was called.
        operation: &'static str,
        /// The argument.
        what: &'static str,
    },
    /// Two matrices are cut into different panels, or into panels that are no whole vectors, or are not whole.
    #[error(
        "{operation}: both matrices must be whole and cut alike, all panels but the last into whole vectors of the level"
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
    /// The name of a level that this CPU or build lacks, or that no CPU has.
    #[error("no such instruction-set level here; available here: {}", AvailableLevels)]
    UnavailableLevel,
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

/// Fails unless there are at least `expected` values.
pub(crate) fn check_at_least(
    operation: &'static str,
    what: &'static str,
    expected: usize,
    found: usize,
) -> Result<(), Error> {
    if found >= expected { Ok(()) } else { Err(Error::Length { operation, what, expected, found }) }
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
