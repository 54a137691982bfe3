//! Products of arbitrary views.

use super::columns::{load, store};
use super::tile::{At, Left, Right, Tile, accumulate};
use crate::error::{Error, check_shape};
use crate::isa::level::Level;
use crate::isa::simd::{Kernel, MAX_LANES, Simd};
use crate::matrix::view::View;
use crate::matrix::view_mut::ViewMut;

/// `out = a * b` for any strided, transposed, ranged or shuffled views.
///
/// With the feature `matrixmultiply` (default), evenly strided views go to that crate, which packs into buffers it
/// allocates and whose results may differ from ours in the last bits; everything else, and all of it without the feature, is
/// gathered block by block onto the stack for the same register tile that packed products use.
///
/// ```
/// use kernels::{Level, View, ViewMut, matmul};
/// let a = [1.0, 2.0, 3.0, 4.0];
/// let a = View::new(&a, 2, 2)?;
/// let mut out = [0.0; 4];
/// matmul(Level::detect(), &a, &a.transpose(), &mut ViewMut::new(&mut out, 2, 2)?)?;
/// assert_eq!(out, [5.0, 11.0, 11.0, 25.0]);
/// # Ok::<(), kernels::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] if the shapes do not fit.
pub fn matmul(level: Level, a: &View, b: &View, out: &mut ViewMut) -> Result<(), Error> {
    check_shape("matmul", "b", [a.columns(), b.columns()], b.shape())?;
    check_shape("matmul", "out", [a.rows(), b.columns()], out.shape())?;
    if out.is_empty() {
        return Ok(());
    }
    #[cfg(feature = "matrixmultiply")]
    if sgemm(a, b, out) {
        return Ok(());
    }
    level.run(GatheredProduct { a, b, out });
    Ok(())
}

/// The product by `matrixmultiply`, if all three views are evenly strided; says whether it was.
#[cfg(feature = "matrixmultiply")]
fn sgemm(a: &View, b: &View, out: &mut ViewMut) -> bool {
    let (Some((a_data, a_strides)), Some((b_data, b_strides))) = (a.strided(), b.strided()) else {
        return false;
    };
    let [m, k, n] = [a.rows(), a.columns(), b.columns()];
    let Some((out_data, out_strides)) = out.strided_mut() else {
        return false;
    };
    // SAFETY: a view's construction proved that its last element lies within its data, ranges only shrink it, and a
    // `ViewMut` reaches no element twice; the strides are those of the views and fit isize as offsets into slices do.
    unsafe {
        matrixmultiply::sgemm(
            m,
            k,
            n,
            1.0,
            a_data.as_ptr(),
            a_strides[0] as isize,
            a_strides[1] as isize,
            b_data.as_ptr(),
            b_strides[0] as isize,
            b_strides[1] as isize,
            0.0,
            out_data.as_mut_ptr(),
            out_strides[0] as isize,
            out_strides[1] as isize,
        );
    }
    true
}

/// Depth of a gathered block: B's block, A's and the sums are 5 KB of stack at the widest level.
const DEPTH: usize = 32;
/// Rows of a gathered block of A: with 2 vectors, or one where a level's tiles are that narrow, a tile that fits its registers.
const ROWS: usize = 4;
/// Columns of a gathered block of B at most.
const COLUMNS: usize = 2 * MAX_LANES;

struct GatheredProduct<'a, 'b> {
    a: &'a View<'a>,
    b: &'a View<'a>,
    out: &'a mut ViewMut<'b>,
}

impl Kernel for GatheredProduct<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        // A constant: the other arm is not compiled in.
        if S::TILE_VECTORS == 1 {
            self.columns::<S, 1>(s);
        } else {
            self.columns::<S, 2>(s);
        }
    }
}

impl GatheredProduct<'_, '_> {
    /// All columns, V vectors at a time.
    #[inline(always)]
    fn columns<S: Simd, const V: usize>(&mut self, s: S) {
        let mut b_block = [0.0; DEPTH * COLUMNS];
        for column in (0..self.b.columns()).step_by(V * S::LANES) {
            self.column_block::<S, V>(s, column, &mut b_block);
        }
    }

    /// V vectors of columns: gathers B a block of K at a time and carries the sums in `out` from block to block.
    #[inline(always)]
    fn column_block<S: Simd, const V: usize>(&mut self, s: S, column: usize, b_block: &mut [f32; DEPTH * COLUMNS]) {
        let width = V * S::LANES;
        let columns = width.min(self.b.columns() - column);
        for r in 0..self.a.rows() {
            (0..columns).for_each(|c| *self.out.at_mut(r, column + c) = 0.0);
        }
        for k in (0..self.b.rows()).step_by(DEPTH) {
            let depth = DEPTH.min(self.b.rows() - k);
            gather(self.b, [k, column], [depth, columns], b_block, width);
            for row in (0..self.a.rows()).step_by(ROWS) {
                let rows = ROWS.min(self.a.rows() - row);
                self.row_block::<S, V>(s, At { row, rows, column, columns }, k, depth, b_block);
            }
        }
    }

    /// `out += A block * B block`
    #[inline(always)]
    fn row_block<S: Simd, const V: usize>(
        &mut self,
        s: S,
        at: At,
        k: usize,
        depth: usize,
        b_block: &[f32; DEPTH * COLUMNS],
    ) {
        let width = V * S::LANES;
        let mut a_block = [0.0; ROWS * DEPTH];
        gather(self.a, [at.row, k], [at.rows, depth], &mut a_block, DEPTH);
        let mut sums = [0.0; ROWS * COLUMNS];
        gather(&self.out.as_view(), [at.row, at.column], [at.rows, at.columns], &mut sums, width);

        let mut acc: Tile<S, ROWS, V> = [[s.splat(0.0); V]; ROWS];
        for (r, acc) in acc.iter_mut().enumerate() {
            *acc = load(s, &sums[r * width..][..width]);
        }
        let a = Left { data: &a_block, row: DEPTH, step: 1 };
        let b = Right { data: b_block, step: width, columns: width };
        accumulate(s, depth, a, b, &mut acc);
        for (r, acc) in acc.into_iter().enumerate() {
            store(s, acc, &mut sums[r * width..][..width]);
        }
        for r in 0..at.rows {
            for c in 0..at.columns {
                *self.out.at_mut(at.row + r, at.column + c) = sums[r * width + c];
            }
        }
    }
}

/// Copies a block of a view into rows `stride` apart.
#[inline(always)]
fn gather(view: &View, [row, column]: [usize; 2], [rows, columns]: [usize; 2], block: &mut [f32], stride: usize) {
    for r in 0..rows {
        for c in 0..columns {
            block[r * stride + c] = view.at(row + r, column + c);
        }
    }
}
