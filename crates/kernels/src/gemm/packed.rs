//! Weights in the order in which register tiles read them.

use core::ops::Range;

use crate::element::Element;
use crate::error::{Error, check_at_least, check_len};
use crate::matrix::view::View;

/// Rows that a packed panel interleaves: the tallest register tile. Shorter tiles read a part of each group, so one packed
/// form serves every level.
pub(super) const PACKED_ROWS: usize = 8;

/// A left factor (M x K, usually weights) in the order in which register tiles read it.
///
/// Rows are taken 8 at a time, the last group filled up with zeros; within a group the 8 values of each column lie side by
/// side: value `(r, k)` is at `(r / 8 * K + k) * 8 + r % 8`. The form is the same at every level.
///
/// Of an element type that is shorter than 32 bits, [`Element::PER_LANE`] neighbours in a row take the place of one value, and
/// the columns are filled up to a multiple of that with zeros.
///
/// ```
/// use kernels::{Epilogue, Level, PackedMatrix, View, ViewMut, packed_matmul};
/// let weight = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]; // 2 x 3
/// let mut buffer = vec![0.0; PackedMatrix::<f32>::packed_len(2, 3)];
/// let packed = PackedMatrix::pack(&View::new(&weight, 2, 3)?, &mut buffer)?;
///
/// let tokens = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]; // 3 channels x 2 tokens
/// let mut out = [0.0; 4];
/// let bias = [10.0, 20.0];
/// let mut out_view = ViewMut::new(&mut out, 2, 2)?;
/// packed_matmul(Level::detect(), &packed, &View::new(&tokens, 3, 2)?, Epilogue::Bias(&bias), &mut out_view)?;
/// assert_eq!(out, [11.0, 12.0, 24.0, 25.0]);
/// # Ok::<(), kernels::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PackedMatrix<'a, T = f32> {
    rows: usize,
    columns: usize,
    data: &'a [T],
}

impl<'a, T: Element> PackedMatrix<'a, T> {
    /// Elements of the packed form of a `rows` x `columns` matrix; `usize::MAX` if there is no such number.
    ///
    /// ```
    /// assert_eq!(kernels::PackedMatrix::<f32>::packed_len(9, 3), 2 * 8 * 3);
    /// ```
    pub const fn packed_len(rows: usize, columns: usize) -> usize {
        let depth = columns.div_ceil(T::PER_LANE).saturating_mul(T::PER_LANE);
        rows.div_ceil(PACKED_ROWS).saturating_mul(PACKED_ROWS).saturating_mul(depth)
    }

    /// Packs a matrix into the front of `buffer`.
    ///
    /// ```
    /// use kernels::{PackedMatrix, View};
    /// let mut buffer = [0.0; 16];
    /// PackedMatrix::pack(&View::new(&[1.0, 2.0, 3.0, 4.0], 2, 2)?, &mut buffer)?;
    /// assert_eq!(buffer[..9], [1.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0]);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::TooShort`] if `buffer` is shorter than [`PackedMatrix::packed_len`].
    pub fn pack(matrix: &View<T>, buffer: &'a mut [T]) -> Result<Self, Error> {
        let [rows, columns] = matrix.shape();
        let len = Self::packed_len(rows, columns);
        check_at_least("PackedMatrix::pack", "buffer", len, buffer.len())?;
        let data = &mut buffer[..len];
        data.fill(T::default());
        // A matrix without columns may have any number of rows.
        let rows_with_values = if matrix.is_empty() { 0 } else { rows };
        for row in 0..rows_with_values {
            let group = &mut data[Self::packed_len(row / PACKED_ROWS * PACKED_ROWS, columns)..];
            let lanes = group.chunks_exact_mut(T::PER_LANE).skip(row % PACKED_ROWS).step_by(PACKED_ROWS);
            let places = lanes.flatten();
            match matrix.row(row) {
                Some(values) => places.zip(values).for_each(|(place, value)| *place = *value),
                None => places.zip(0..columns).for_each(|(place, k)| *place = matrix.at(row, k)),
            }
        }
        Ok(PackedMatrix { rows, columns, data })
    }

    /// A matrix that is packed already, from a file or from flash.
    ///
    /// ```
    /// use kernels::PackedMatrix;
    /// let flash = [0.0; 16];
    /// assert_eq!(PackedMatrix::from_packed(5, 2, &flash)?.shape(), [5, 2]);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Length`] unless `data` holds exactly [`PackedMatrix::packed_len`] values.
    pub fn from_packed(rows: usize, columns: usize, data: &'a [T]) -> Result<Self, Error> {
        check_len("PackedMatrix::from_packed", "data", Self::packed_len(rows, columns), data.len())?;
        Ok(PackedMatrix { rows, columns, data })
    }

    /// A matrix whose data may lack values, to test what relies on them.
    #[cfg(test)]
    pub(super) fn unchecked(rows: usize, columns: usize, data: &'a [T]) -> Self {
        PackedMatrix { rows, columns, data }
    }

    /// Rows and columns.
    ///
    /// ```
    /// use kernels::PackedMatrix;
    /// assert_eq!(PackedMatrix::from_packed(5, 2, &[0.0; 16])?.shape(), [5, 2]);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    pub fn shape(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// Some of the rows, from a multiple of [`PACKED_ROWS`] on.
    pub(super) fn row_range(&self, rows: Range<usize>) -> Self {
        let data = &self.data[Self::packed_len(rows.start, self.columns)..Self::packed_len(rows.end, self.columns)];
        PackedMatrix { rows: rows.len(), columns: self.columns, data }
    }

    /// The elements in the packed order.
    #[inline(always)]
    pub(super) fn data(&self) -> &'a [T] {
        self.data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row's quads stand where single values would, and rows and columns are filled up with zeros.
    #[test]
    fn short_elements_share_lanes() {
        let x: [i8; 18] = core::array::from_fn(|i| i as i8 + 1);
        let (rows, columns) = (3, 6);
        let mut buffer = [-1; 64];
        assert_eq!(PackedMatrix::<i8>::packed_len(rows, columns), 64);
        let packed = PackedMatrix::pack(&View::new(&x, rows, columns).unwrap(), &mut buffer).unwrap();
        for (i, &value) in packed.data().iter().enumerate() {
            let (r, k) = (i / 4 % PACKED_ROWS, i / (4 * PACKED_ROWS) * 4 + i % 4);
            let expected = if r < rows && k < columns { x[r * columns + k] } else { 0 };
            assert_eq!(value, expected, "row {r}, column {k}");
        }
    }
}
