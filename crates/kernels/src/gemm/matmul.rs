//! Products of packed weights and tokens.

use core::ops::Range;

use super::columns::{ColumnBlock, for_each_block};
use super::epilogue::Epilogue;
use super::packed::{PACKED_ROWS, PackedMatrix};
use super::product::PackedProduct;
use super::tile::cover_rows;
use crate::error::{Error, check_len, check_shape};
use crate::isa::level::Level;
use crate::isa::simd::{Kernel, Simd};
use crate::matrix::view::View;
use crate::matrix::view_mut::ViewMut;

/// `out = epilogue(a * b)`: packed weights (M x K) times tokens (K x N).
///
/// `b` is channel-major with contiguous, evenly spaced rows, such as a token panel; `out`'s rows are contiguous and in any
/// order, so that a residual can be scattered through a shuffled view. Each element is one chain of multiply-adds from 0 in
/// order of k, then the epilogue: the same bits at every fused level, for every M and N around it.
///
/// ```
/// use kernels::{Epilogue, Level, PackedMatrix, View, ViewMut, packed_matmul};
/// let mut buffer = [0.0; 16];
/// let swap = PackedMatrix::pack(&View::new(&[0.0, 1.0, 1.0, 0.0], 2, 2)?, &mut buffer)?;
/// let (tokens, mut out) = ([1.0, 2.0, 3.0, 4.0], [0.0; 4]); // 2 channels x 2 tokens
/// let mut view = ViewMut::new(&mut out, 2, 2)?;
/// packed_matmul(Level::detect(), &swap, &View::new(&tokens, 2, 2)?, Epilogue::Bias(&[0.0, 10.0]), &mut view)?;
/// assert_eq!(out, [3.0, 4.0, 11.0, 12.0]);
/// # Ok::<(), kernels::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] or [`Error::Length`] if sizes do not fit, [`Error::RowsNotStrided`], [`Error::RowsNotContiguous`].
pub fn packed_matmul(
    level: Level,
    a: &PackedMatrix,
    b: &View,
    epilogue: Epilogue,
    out: &mut ViewMut,
) -> Result<(), Error> {
    const OPERATION: &str = "packed_matmul";
    check_shape(OPERATION, "b", [a.shape()[1], b.columns()], b.shape())?;
    check_shape(OPERATION, "out", [a.shape()[0], b.columns()], out.shape())?;
    if let Some(bias) = epilogue.bias() {
        check_len(OPERATION, "bias", a.shape()[0], bias.len())?;
    }
    if !b.has_contiguous_rows() {
        return Err(Error::RowsNotContiguous { operation: OPERATION, what: "b" });
    }
    if !out.has_contiguous_rows() {
        return Err(Error::RowsNotContiguous { operation: OPERATION, what: "out" });
    }
    let Some((b, step)) = b.strided_rows() else {
        return Err(Error::RowsNotStrided { operation: OPERATION, what: "b" });
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

/// The rows of `a` that are multiplied together: all, unless there are few columns and `a` outgrows a core's own cache.
///
/// Column blocks would then fetch all of `a` from memory one after the other, and the remainder columns in the last block would
/// take as long as a full block. In groups of rows, the weights are still in the cache for them (4 % of the products of 49 tokens
/// of 384 channels).
fn row_groups(a: &PackedMatrix, columns: usize) -> impl Iterator<Item = Range<usize>> + use<> {
    const FEW_COLUMNS: usize = 64;
    const NEAR_VALUES: usize = 1 << 18;
    const GROUP: usize = 8 * PACKED_ROWS;
    let rows = a.shape()[0];
    let group = if columns <= FEW_COLUMNS && a.data().len() > NEAR_VALUES { GROUP } else { rows.max(1) };
    (0..rows).step_by(group).map(move |first| first..rows.min(first + group))
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
            self.skinny_columns(s, column, columns);
        } else {
            cover_rows::<S, Self, V>(s, self.a.shape()[0], column, columns, self);
        }
    }
}
