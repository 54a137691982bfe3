//! Scaled dot-product attention, fused per block of queries: scores, softmax and context stay in the cache next to the core.

mod head;
mod operands;
mod queries;
mod skinny;

pub use operands::Attention;

use crate::error::{Error, check_at_least, check_shape};
use crate::gemm::columns::{ColumnBlock, for_each_block};
use crate::isa::level::Level;
use crate::isa::simd::{Kernel, MAX_LANES, Simd};
use crate::matrix::view_mut::ViewMut;
use head::{Head, MAX_BLOCK};
use operands::OPERATION;
use skinny::MAX_QUERIES;

/// Scratch that [`attention`] needs for so many keys, in f32.
///
/// ```
/// assert!(kernels::attention_scratch_len(197) >= 197 * 48);
/// ```
pub const fn attention_scratch_len(keys: usize) -> usize {
    // Scores of a block, or a block of transposed values, or fewer queries' scores and a row beside them.
    let row = keys.div_ceil(MAX_LANES).saturating_mul(MAX_LANES);
    row.saturating_mul(MAX_BLOCK * MAX_LANES + MAX_QUERIES + 1)
}

/// One head of attention:
/// `out[:, i] = sum_j softmax_j(scale * k[:, j] . q[:, i] + bias[j, i] + mask[j, i]) v[:, j]`.
///
/// `out` is Dv x queries with contiguous rows. The division by the softmax's sum is deferred to the output, where it is one
/// multiplication a value. With no keys the output is NaN, as a softmax over nothing is.
///
/// ```
/// use kernels::{Attention, Level, Panels, View, ViewMut, attention, attention_scratch_len};
/// let q = View::new(&[1.0, 0.0], 1, 2)?;           // 1 channel, 2 queries
/// let k = Panels::single(&[0.0, 0.0, 0.0], 1, 3)?; // 3 keys, all the same
/// let v = Panels::single(&[1.0, 2.0, 6.0], 1, 3)?;
/// let operands = Attention::new(q, k, v, 1.0)?;
/// let mut out = [0.0; 2];
/// let mut scratch = vec![0.0; attention_scratch_len(3)];
/// attention(Level::detect(), &operands, &mut ViewMut::new(&mut out, 1, 2)?, &mut scratch)?;
/// assert!(out.iter().all(|y| (y - 3.0).abs() < 1e-6));
/// # Ok::<(), kernels::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] or [`Error::RowsNotContiguous`] for `out`, and [`Error::TooShort`] if `scratch` is shorter than
/// [`attention_scratch_len`].
pub fn attention(level: Level, operands: &Attention, out: &mut ViewMut, scratch: &mut [f32]) -> Result<(), Error> {
    check_shape(OPERATION, "out", [operands.v.rows(), operands.queries()], out.shape())?;
    check_at_least(OPERATION, "scratch", attention_scratch_len(operands.keys()), scratch.len())?;
    if !out.has_contiguous_rows() {
        return Err(Error::RowsNotContiguous { operation: OPERATION, what: "out" });
    }
    if !out.is_empty() {
        level.run(Head { operands: *operands, out, scratch });
    }
    Ok(())
}

impl Kernel for Head<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        for_each_block(s, self.out.columns(), &mut self);
    }
}

impl<S: Simd> ColumnBlock<S> for Head<'_, '_> {
    /// One block of queries: the last may fill no vector.
    #[inline(always)]
    fn block<const V: usize>(&mut self, s: S, column: usize, columns: usize) {
        if V == 1 && columns <= MAX_QUERIES && columns < S::LANES {
            self.skinny_queries(s, column, columns);
        } else {
            self.queries::<S, V>(s, column, columns);
        }
    }
}
