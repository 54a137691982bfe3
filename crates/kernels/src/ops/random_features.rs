//! The performer's positive random features, which turn softmax attention into products along tokens.

use core::ops::Range;

use crate::error::{Error, check_shape};
use crate::gemm::columns::{ColumnBlock, for_each_block, load, store};
use crate::gemm::epilogue::Epilogue;
use crate::gemm::matmul::packed_matmul;
use crate::gemm::packed::PackedMatrix;
use crate::isa::level::Level;
use crate::isa::simd::{Kernel, Simd};
use crate::math::exp::{LARGEST, LEAST_NORMAL, exp};
use crate::matrix::view::View;
use crate::matrix::view_mut::ViewMut;

/// `out[:, t] = exp(w x[:, t] - |x[:, t]|^2 / 2) / sqrt(m)` for each token t (Choromanski et al. 2021, lemma 1).
///
/// `w` is m x d, `x` d x tokens as [`packed_matmul`] takes it, `out` m x tokens.
///
/// ```
/// use kernels::{Level, PackedMatrix, View, ViewMut, random_features};
/// let mut buffer = vec![0.0; PackedMatrix::<f32>::packed_len(1, 2)];
/// let w = PackedMatrix::pack(&View::new(&[1.0, 0.0], 1, 2)?, &mut buffer)?;
/// let mut out = [0.0];
/// random_features(Level::detect(), &w, &View::new(&[1.0, 1.0], 2, 1)?, &mut ViewMut::new(&mut out, 1, 1)?)?;
/// assert_eq!(out, [1.0]); // exp(1 - 1)
/// # Ok::<(), kernels::Error>(())
/// ```
///
/// # Errors
/// As [`packed_matmul`].
pub fn random_features(level: Level, w: &PackedMatrix, x: &View, out: &mut ViewMut) -> Result<(), Error> {
    check_shape("random_features", "x", [w.shape()[1], x.columns()], x.shape())?;
    packed_matmul(level, w, x, Epilogue::Store, out)?;
    if !out.is_empty() {
        level.run(Exponentials { x, out });
    }
    Ok(())
}

/// `out = exp(out - |x|^2 / 2) / sqrt(rows of out)`, column by column.
struct Exponentials<'a, 'b> {
    x: &'a View<'a>,
    out: &'a mut ViewMut<'b>,
}

impl Kernel for Exponentials<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        for_each_block(s, self.out.columns(), &mut self);
    }
}

impl<S: Simd> ColumnBlock<S> for Exponentials<'_, '_> {
    #[inline(always)]
    fn block<const V: usize>(&mut self, s: S, column: usize, columns: usize) {
        let block = column..column + columns;
        let squares = self.squares::<S, V>(s, &block);
        let scale = s.splat(1.0 / libm::sqrtf(self.out.rows() as f32));
        for row in self.out.each_row_mut(0..self.out.rows(), block) {
            let mut y = load::<S, V>(s, row);
            for v in 0..V {
                y[v] = s.min(s.splat(LARGEST), s.mul_add(squares[v], s.splat(-0.5), y[v]));
            }
            y = exp(s, y, LEAST_NORMAL);
            for y in &mut y {
                *y = s.mul(*y, scale);
            }
            store(s, y, row);
        }
    }
}

impl Exponentials<'_, '_> {
    /// `sum_r x[r]^2`
    #[inline(always)]
    fn squares<S: Simd, const V: usize>(&self, s: S, block: &Range<usize>) -> [S::F32; V] {
        let mut sum = [s.splat(0.0); V];
        for x in self.x.each_row(0..self.x.rows(), block.clone()) {
            let x = load::<S, V>(s, x);
            for v in 0..V {
                sum[v] = s.mul_add(x[v], x[v], sum[v]);
            }
        }
        sum
    }
}
