//! Softmax down the columns of a matrix, a lane per column.

use crate::error::Error;
use crate::gemm::columns::{ColumnBlock, for_each_block, load, store};
use crate::isa::level::Level;
use crate::isa::simd::{Kernel, Simd};
use crate::math::exp::{LEAST_NORMAL, exp};
use crate::matrix::view_mut::ViewMut;

/// Softmax down each column, in place: `y[k] = exp(x[k] - max_j x[j]) / sum_j exp(x[j] - max_j x[j])`.
///
/// With scores as keys x queries this is attention's softmax over the keys. Results below 1e-38 are 0. A column with a NaN, with
/// +infinity or with nothing but -infinity becomes NaN, as in PyTorch.
///
/// ```
/// use kernels::{Level, ViewMut, softmax};
/// let mut x = [0.0, 1.0, 0.0, 1.0]; // 2 rows x 2 columns
/// softmax(Level::detect(), &mut ViewMut::new(&mut x, 2, 2)?)?;
/// assert_eq!(x[..2], [0.5, 0.5]);
/// # Ok::<(), kernels::Error>(())
/// ```
///
/// # Errors
/// [`Error::RowsNotContiguous`].
pub fn softmax(level: Level, x: &mut ViewMut) -> Result<(), Error> {
    if !x.has_contiguous_rows() {
        return Err(Error::RowsNotContiguous { operation: "softmax", what: "x" });
    }
    if !x.is_empty() {
        level.run(Softmax(x));
    }
    Ok(())
}

struct Softmax<'a, 'b>(&'a mut ViewMut<'b>);

impl Kernel for Softmax<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        for_each_block(s, self.0.columns(), &mut self);
    }
}

impl<S: Simd> ColumnBlock<S> for Softmax<'_, '_> {
    #[inline(always)]
    fn block<const V: usize>(&mut self, s: S, column: usize, columns: usize) {
        let block = column..column + columns;
        let mut max = [s.splat(f32::NEG_INFINITY); V];
        let rows = 0..self.0.rows();
        for row in self.0.as_view().each_row(rows.clone(), block.clone()) {
            let row = load::<S, V>(s, row);
            for v in 0..V {
                max[v] = s.max(row[v], max[v]);
            }
        }
        let mut sums = [s.splat(0.0); V];
        for row in self.0.each_row_mut(rows.clone(), block.clone()) {
            exponentials(s, row, &max, [LEAST_NORMAL, 0.0], &mut sums);
        }
        for row in self.0.each_row_mut(rows, block) {
            let mut y = load::<S, V>(s, row);
            for v in 0..V {
                // exp is clamped to MIN_POSITIVE; clamped entries become 0.
                let quotient = s.div(y[v], sums[v]);
                y[v] = s.select_lt(s.splat(f32::MIN_POSITIVE), y[v], quotient, s.sub(quotient, quotient));
            }
            store(s, y, row);
        }
    }
}

/// Replaces each `x` of a row by `max(exp(x - max of its column), 2^lowest) - less`, and adds it to its column's sum.
#[inline(always)]
pub(crate) fn exponentials<S: Simd, const V: usize>(
    s: S,
    row: &mut [f32],
    max: &[S::F32],
    [lowest, less]: [f32; 2],
    sums: &mut [S::F32; V],
) {
    let mut e = load::<S, V>(s, row);
    for v in 0..V {
        e[v] = s.sub(e[v], max[v]);
    }
    e = exp(s, e, lowest);
    for v in 0..V {
        e[v] = s.sub(e[v], s.splat(less));
        sums[v] = s.add(sums[v], e[v]);
    }
    store(s, e, row);
}
