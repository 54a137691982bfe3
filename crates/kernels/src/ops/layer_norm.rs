//! Layer norm over the channels of a channel-major matrix, a lane per token.

use core::ops::Range;

use crate::error::{Error, check_len, check_shape};
use crate::gemm::columns::{ColumnBlock, for_each_block, load, store};
use crate::isa::level::Level;
use crate::isa::simd::{Kernel, Simd};
use crate::matrix::view::View;
use crate::matrix::view_mut::ViewMut;

/// Normalises each column over its rows: `out[r] = (x[r] - mean) / sqrt(variance + eps) * gamma[r] + beta[r]`.
///
/// `x` is channels x tokens in any row order: a shuffled view costs nothing here. `out` may be the panel that the next product
/// reads.
///
/// Mean and variance come from one pass over deviations from a center, the mean of the first eighth of the rows. That mean is
/// within sqrt(8) standard deviations of the whole's, whatever the values, so the variance keeps all but the rounding of 9
/// times itself: no offset of the values is lost, as it would be in a difference of their own squares.
///
/// ```
/// use kernels::{Level, View, ViewMut, layer_norm};
/// let x = [1.0, 5.0, 3.0, 5.0]; // 2 channels x 2 tokens
/// let mut out = [0.0; 4];
/// layer_norm(Level::detect(), &View::new(&x, 2, 2)?, &[1.0, 1.0], &[0.0, 0.0], 1e-6, &mut ViewMut::new(&mut out, 2, 2)?)?;
/// assert!((out[0] + 1.0).abs() < 1e-5 && (out[2] - 1.0).abs() < 1e-5 && out[1] == 0.0);
/// # Ok::<(), kernels::Error>(())
/// ```
///
/// With an `eps` of 0 a column whose values are all equal becomes NaN, since its variance is 0.
///
/// # Errors
/// [`Error::Shape`] or [`Error::Length`] if the sizes differ, [`Error::RowsNotContiguous`], and [`Error::Epsilon`] if `eps`
/// is negative, infinite or NaN.
pub fn layer_norm(
    level: Level,
    x: &View,
    gamma: &[f32],
    beta: &[f32],
    eps: f32,
    out: &mut ViewMut,
) -> Result<(), Error> {
    const OPERATION: &str = "layer_norm";
    check_shape(OPERATION, "out", x.shape(), out.shape())?;
    if !(0.0..f32::INFINITY).contains(&eps) {
        return Err(Error::Epsilon { operation: OPERATION, found: eps });
    }
    check_len(OPERATION, "gamma", x.rows(), gamma.len())?;
    check_len(OPERATION, "beta", x.rows(), beta.len())?;
    for (what, contiguous) in [("x", x.has_contiguous_rows()), ("out", out.has_contiguous_rows())] {
        if !contiguous {
            return Err(Error::RowsNotContiguous { operation: OPERATION, what });
        }
    }
    if !x.is_empty() {
        level.run(LayerNorm { x, gamma, beta, eps, out });
    }
    Ok(())
}

struct LayerNorm<'a, 'b> {
    x: &'a View<'a>,
    gamma: &'a [f32],
    beta: &'a [f32],
    eps: f32,
    out: &'a mut ViewMut<'b>,
}

impl Kernel for LayerNorm<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        for_each_block(s, self.x.columns(), &mut self);
    }
}

impl<S: Simd> ColumnBlock<S> for LayerNorm<'_, '_> {
    #[inline(always)]
    fn block<const V: usize>(&mut self, s: S, column: usize, columns: usize) {
        let block = column..column + columns;
        let center = self.center::<S, V>(s, &block);
        let [mut mean, mut scale] = self.moments(s, &block, center);
        for v in 0..V {
            let variance = s.sub(scale[v], s.mul(mean[v], mean[v]));
            let variance = s.max(s.splat(0.0), variance);
            scale[v] = s.div(s.splat(1.0), s.sqrt(s.add(variance, s.splat(self.eps))));
            mean[v] = s.add(center[v], mean[v]);
        }
        let rows = 0..self.x.rows();
        let xs = self.x.each_row(rows.clone(), block.clone());
        let outs = self.out.each_row_mut(rows, block);
        for ((x, out), (gamma, beta)) in xs.zip(outs).zip(self.gamma.iter().zip(self.beta)) {
            let mut y = load::<S, V>(s, x);
            let (gamma, beta) = (s.splat(*gamma), s.splat(*beta));
            for v in 0..V {
                y[v] = s.mul_add(s.mul(s.sub(y[v], mean[v]), scale[v]), gamma, beta);
            }
            store(s, y, out);
        }
    }
}

impl LayerNorm<'_, '_> {
    /// The mean of the first eighth of the rows.
    #[inline(always)]
    fn center<S: Simd, const V: usize>(&self, s: S, block: &Range<usize>) -> [S::F32; V] {
        let rows = self.x.rows().div_ceil(8);
        let mut sum = [s.splat(0.0); V];
        for x in self.x.each_row(0..rows, block.clone()) {
            let x = load::<S, V>(s, x);
            for v in 0..V {
                sum[v] = s.add(sum[v], x[v]);
            }
        }
        for sum in &mut sum {
            *sum = s.mul(*sum, s.splat(1.0 / rows as f32));
        }
        sum
    }

    /// The means over the rows of `x - center` and of its square, each in 2 partial sums by the row's parity, so that additions
    /// need not wait for each other.
    #[inline(always)]
    fn moments<S: Simd, const V: usize>(&self, s: S, block: &Range<usize>, center: [S::F32; V]) -> [[S::F32; V]; 2] {
        let mut sums = [[[s.splat(0.0); V]; 2]; 2];
        let rows = self.x.rows();
        let mut xs = self.x.each_row(0..rows, block.clone());
        for _ in 0..rows / 2 {
            for sums in &mut sums {
                let x = xs.next().expect("two more rows");
                add_moments(s, load(s, x), center, sums);
            }
        }
        for x in xs {
            add_moments(s, load(s, x), center, &mut sums[0]);
        }
        let [mut moments, odd] = sums;
        for (moment, odd) in moments.iter_mut().zip(&odd) {
            for v in 0..V {
                moment[v] = s.mul(s.add(moment[v], odd[v]), s.splat(1.0 / rows as f32));
            }
        }
        moments
    }
}

/// Adds `x - center` and its square.
#[inline(always)]
fn add_moments<S: Simd, const V: usize>(s: S, x: [S::F32; V], center: [S::F32; V], sums: &mut [[S::F32; V]; 2]) {
    for v in 0..V {
        let deviation = s.sub(x[v], center[v]);
        sums[0][v] = s.add(sums[0][v], deviation);
        sums[1][v] = s.mul_add(deviation, deviation, sums[1][v]);
    }
}
