//! Matrix products: packed weights times token panels with fused epilogues, and arbitrary strided views.

mod few;
mod strided;
pub(crate) mod tile;

pub use strided::matmul;

use core::ops::Range;

use crate::columns::{ColumnBlock, for_each_block, load, store};
use crate::error::{check_at_least, check_len, check_shape};
use crate::math::gelu;
use crate::simd::{Kernel, Simd};
use crate::{Error, Level, View, ViewMut};
use tile::{At, Left, Right, Tile, Tiles, accumulate, cover_rows};

/// Rows that a packed panel interleaves: the tallest register tile. Shorter tiles read a part of each group, so one packed
/// form serves every level.
const PACKED_ROWS: usize = 8;

/// A left factor (M x K, usually weights) in the order in which register tiles read it.
///
/// Rows are taken 8 at a time, the last group filled up with zeros; within a group the 8 values of each column lie side by
/// side: value `(r, k)` is at `(r / 8 * K + k) * 8 + r % 8`. The form is the same at every level.
///
/// ```
/// use kernels::{Epilogue, Level, PackedMatrix, View, ViewMut, packed_matmul};
/// let weight = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]; // 2 x 3
/// let mut buffer = vec![0.0; PackedMatrix::packed_len(2, 3)];
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
pub struct PackedMatrix<'a> {
    rows: usize,
    columns: usize,
    data: &'a [f32],
}

impl<'a> PackedMatrix<'a> {
    /// Values of the packed form of a `rows` x `columns` matrix; `usize::MAX` if there is no such number.
    pub const fn packed_len(rows: usize, columns: usize) -> usize {
        rows.div_ceil(PACKED_ROWS).saturating_mul(PACKED_ROWS).saturating_mul(columns)
    }

    /// Packs a matrix into the front of `buffer`.
    ///
    /// # Errors
    /// [`Error::Length`] if `buffer` is shorter than [`PackedMatrix::packed_len`].
    pub fn pack(matrix: &View, buffer: &'a mut [f32]) -> Result<Self, Error> {
        let [rows, columns] = matrix.shape();
        let len = Self::packed_len(rows, columns);
        check_at_least("PackedMatrix::pack", "buffer", len, buffer.len())?;
        let data = &mut buffer[..len];
        data.fill(0.0);
        // A matrix without columns may have any number of rows.
        let rows_with_values = if matrix.is_empty() { 0 } else { rows };
        for row in 0..rows_with_values {
            let group = &mut data[row / PACKED_ROWS * PACKED_ROWS * columns..];
            let places = group.iter_mut().skip(row % PACKED_ROWS).step_by(PACKED_ROWS);
            match matrix.row(row) {
                Some(values) => places.zip(values).for_each(|(place, value)| *place = *value),
                None => places.zip(0..columns).for_each(|(place, k)| *place = matrix.at(row, k)),
            }
        }
        Ok(PackedMatrix { rows, columns, data })
    }

    /// A matrix that is packed already, from a file or from flash.
    ///
    /// # Errors
    /// [`Error::Length`] unless `data` holds exactly [`PackedMatrix::packed_len`] values.
    pub fn from_packed(rows: usize, columns: usize, data: &'a [f32]) -> Result<Self, Error> {
        check_len("PackedMatrix::from_packed", "data", Self::packed_len(rows, columns), data.len())?;
        Ok(PackedMatrix { rows, columns, data })
    }

    /// Rows and columns.
    pub fn shape(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// Some of the rows, from a multiple of [`PACKED_ROWS`] on.
    fn row_range(&self, rows: Range<usize>) -> Self {
        let data = &self.data[rows.start * self.columns..Self::packed_len(rows.end, self.columns)];
        PackedMatrix { rows: rows.len(), columns: self.columns, data }
    }

    /// The rows from `row` on, as a tile reads them; `row` is a multiple of the tile's height.
    #[inline(always)]
    fn left(&self, row: usize) -> Left<'a> {
        let group = row / PACKED_ROWS * PACKED_ROWS * self.columns;
        Left { data: &self.data[group + row % PACKED_ROWS..], row: 1, step: PACKED_ROWS }
    }
}

/// What becomes of a product's value while it is still in a register. `r` is the row of the product.
///
/// ```
/// use kernels::{Epilogue, Level, PackedMatrix, View, ViewMut, packed_matmul};
/// // A residual that joins the attended half of a shuffled stream, in place: 4 channels of 1 token, attended 0 and 2.
/// let mut stream = [1.0, 2.0, 3.0, 4.0];
/// let mut attended = ViewMut::new(&mut stream, 4, 1)?.shuffle_rows(2)?.row_range(0..2)?;
/// let mut buffer = vec![0.0; PackedMatrix::packed_len(2, 1)];
/// let weight = PackedMatrix::pack(&View::new(&[10.0, 20.0], 2, 1)?, &mut buffer)?;
/// let epilogue = Epilogue::Residual { bias: &[0.0, 0.0], scale: 0.5 };
/// packed_matmul(Level::detect(), &weight, &View::new(&[1.0], 1, 1)?, epilogue, &mut attended)?;
/// assert_eq!(stream, [10.5, 2.0, 21.5, 4.0]); // channels 1 and 3 stay idle
/// # Ok::<(), kernels::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Epilogue<'a> {
    /// `out = product`
    Store,
    /// `out = product + bias[r]`
    Bias(&'a [f32]),
    /// `out = gelu(product + bias[r])`
    BiasGelu(&'a [f32]),
    /// `out = scale * out + product + bias[r]`: the residual connection with channel rescaling, in place.
    Residual {
        /// One value a row.
        bias: &'a [f32],
        /// The factor on what `out` held.
        scale: f32,
    },
}

impl<'a> Epilogue<'a> {
    fn bias(&self) -> Option<&'a [f32]> {
        match *self {
            Epilogue::Store => None,
            Epilogue::Bias(bias) | Epilogue::BiasGelu(bias) | Epilogue::Residual { bias, .. } => Some(bias),
        }
    }

    /// The epilogue of some of the rows.
    fn row_range(self, rows: Range<usize>) -> Self {
        match self {
            Epilogue::Store => Epilogue::Store,
            Epilogue::Bias(bias) => Epilogue::Bias(&bias[rows]),
            Epilogue::BiasGelu(bias) => Epilogue::BiasGelu(&bias[rows]),
            Epilogue::Residual { bias, scale } => Epilogue::Residual { bias: &bias[rows], scale },
        }
    }

    /// What a vector of the product becomes, given its bias and what `out` held.
    #[inline(always)]
    fn apply<S: Simd>(&self, s: S, product: S::F32, bias: S::F32, before: S::F32) -> S::F32 {
        match *self {
            Epilogue::Store => product,
            Epilogue::Bias(_) => s.add(product, bias),
            Epilogue::BiasGelu(_) => gelu(s, s.add(product, bias)),
            Epilogue::Residual { scale, .. } => s.mul_add(s.splat(scale), before, s.add(product, bias)),
        }
    }
}

/// `out = epilogue(a * b)`: packed weights (M x K) times tokens (K x N).
///
/// `b` is channel-major with contiguous, evenly spaced rows, such as a token panel; `out`'s rows are contiguous and in any
/// order, so that a residual can be scattered through a shuffled view. Each element is one chain of multiply-adds from 0 in
/// order of k, then the epilogue: the same bits at every fused level, for every M and N around it.
///
/// # Errors
/// [`Error::Shape`] or [`Error::Length`] if sizes do not fit, [`Error::RowsNotEven`], [`Error::RowsNotContiguous`].
pub fn packed_matmul(
    level: Level,
    a: &PackedMatrix,
    b: &View,
    epilogue: Epilogue,
    out: &mut ViewMut,
) -> Result<(), Error> {
    const OPERATION: &str = "packed_matmul";
    check_shape(OPERATION, "b", [a.columns, b.columns()], b.shape())?;
    check_shape(OPERATION, "out", [a.rows, b.columns()], out.shape())?;
    if let Some(bias) = epilogue.bias() {
        check_len(OPERATION, "bias", a.rows, bias.len())?;
    }
    if !b.has_contiguous_rows() {
        return Err(Error::RowsNotContiguous { operation: OPERATION, what: "b" });
    }
    if !out.has_contiguous_rows() {
        return Err(Error::RowsNotContiguous { operation: OPERATION, what: "out" });
    }
    let Some((b, step)) = b.even_rows() else {
        return Err(Error::RowsNotEven { operation: OPERATION, what: "b" });
    };
    if out.is_empty() {
        return Ok(());
    }
    for rows in row_groups(a, out.columns()) {
        let (a, epilogue) = (&a.row_range(rows.clone()), epilogue.row_range(rows.clone()));
        level.run(PackedProduct { a, b, step, epilogue, out: &mut out.reborrow().row_range(rows)? });
    }
    Ok(())
}

/// The rows of `a` that are multiplied together: all, unless there are few columns and `a` outgrows a core's own cache. Column
/// blocks would then fetch all of it one after the other, so that the few columns in a last block take as long as many: in groups,
/// weights are still near for them (4 % of the products of 49 tokens of 384 channels).
fn row_groups(a: &PackedMatrix, columns: usize) -> impl Iterator<Item = Range<usize>> + use<> {
    const FEW_COLUMNS: usize = 64;
    const NEAR_VALUES: usize = 1 << 18;
    const GROUP: usize = 8 * PACKED_ROWS;
    let rows = a.rows;
    let group = if columns <= FEW_COLUMNS && a.data.len() > NEAR_VALUES { GROUP } else { rows.max(1) };
    (0..rows).step_by(group).map(move |first| first..rows.min(first + group))
}

struct PackedProduct<'a, 'b> {
    a: &'a PackedMatrix<'a>,
    b: &'a [f32],
    step: usize,
    epilogue: Epilogue<'a>,
    out: &'a mut ViewMut<'b>,
}

impl Kernel for PackedProduct<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        for_each_block(s, self.out.columns(), &mut self);
    }
}

impl<S: Simd> ColumnBlock<S> for PackedProduct<'_, '_> {
    #[inline(always)]
    fn block<const V: usize>(&mut self, s: S, column: usize, columns: usize) {
        if V == 1 && columns < S::LANES {
            self.few_columns(s, column, columns);
        } else {
            cover_rows::<S, Self, V>(s, self.a.rows, column, columns, self);
        }
    }
}

impl<S: Simd> Tiles<S> for PackedProduct<'_, '_> {
    const PADDED_ROWS: bool = true;

    #[inline(always)]
    fn tile<const R: usize, const V: usize>(&mut self, s: S, at: At) {
        let mut acc: Tile<S, R, V> = [[s.splat(0.0); V]; R];
        // An empty sum reads nothing of b, which may then have no data to index.
        if self.a.columns > 0 {
            let b = Right { data: &self.b[at.column..], step: self.step, columns: at.columns };
            accumulate(s, self.a.columns, self.a.left(at.row), b, &mut acc);
        }
        let epilogue = self.epilogue;
        let outs = self.out.each_row_mut(at.row..at.row + at.rows, at.column..at.column + at.columns);
        // Over the constant R, so that the accumulators stay in registers.
        for (r, (acc, out)) in acc.iter().zip(outs).enumerate() {
            finish_row(s, epilogue, at.row + r, acc, out);
        }
    }
}

/// The epilogue of V vectors of a row.
#[inline(always)]
fn finish_row<S: Simd, const V: usize>(s: S, epilogue: Epilogue, row: usize, acc: &[S::F32; V], out: &mut [f32]) {
    let bias = s.splat(epilogue.bias().map_or(0.0, |bias| bias[row]));
    let mut y = match epilogue {
        Epilogue::Residual { .. } => load::<S, V>(s, out),
        _ => [s.splat(0.0); V],
    };
    for v in 0..V {
        y[v] = epilogue.apply(s, acc[v], bias, y[v]);
    }
    store(s, y, out);
}
