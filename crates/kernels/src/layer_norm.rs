//! Layer norm over the channels of a channel-major matrix, a lane per token.

use core::ops::Range;

use crate::columns::{ColumnBlock, for_each_block, load, store};
use crate::error::{check_len, check_shape};
use crate::simd::{Kernel, Simd};
use crate::{Error, Level, View, ViewMut};

/// Normalises each column over its rows: `out[r] = (x[r] - mean) / sqrt(variance + eps) * gamma[r] + beta[r]`.
///
/// `x` is channels x tokens in any row order: a shuffled view costs nothing here. `out` may be the packed panel that the
/// next product reads. The variance is the mean square of the deviations, as in PyTorch's `layer_norm`.
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
/// # Errors
/// [`Error::Shape`] or [`Error::Length`] if the sizes differ, [`Error::RowsNotContiguous`].
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
    check_len(OPERATION, "gamma", x.rows(), gamma.len())?;
    check_len(OPERATION, "beta", x.rows(), beta.len())?;
    for (what, contiguous) in [("x", x.has_contiguous_rows()), ("out", out.has_contiguous_rows())] {
        if !contiguous {
            return Err(Error::RowsNotContiguous { operation: OPERATION, what });
        }
    }
    level.run(LayerNorm { x, gamma, beta, eps, out });
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
        let zero = [s.splat(0.0); V];
        let mean = self.mean_deviation::<S, V, 1>(s, &block, zero);
        let mut scale = self.mean_deviation::<S, V, 2>(s, &block, mean);
        for scale in &mut scale {
            *scale = s.div(s.splat(1.0), s.sqrt(s.add(*scale, s.splat(self.eps))));
        }
        let rows = 0..self.x.rows();
        let starts = self.x.starts(rows.clone()).zip(self.out.starts(rows));
        for ((from, to), (gamma, beta)) in starts.zip(self.gamma.iter().zip(self.beta)) {
            let (gamma, beta) = (s.splat(*gamma), s.splat(*beta));
            let mut y = load::<S, V>(s, self.x.at_start(from, block.clone()));
            for v in 0..V {
                y[v] = s.mul_add(s.mul(s.sub(y[v], mean[v]), scale[v]), gamma, beta);
            }
            store(s, y, self.out.at_start(to, block.clone()));
        }
    }
}

impl LayerNorm<'_, '_> {
    /// The mean over the rows of `(x - center)^POWER`, in 4 partial sums by `r mod 4` so that additions need not wait for
    /// each other.
    #[inline(always)]
    fn mean_deviation<S: Simd, const V: usize, const POWER: u32>(
        &self,
        s: S,
        block: &Range<usize>,
        center: [S::F32; V],
    ) -> [S::F32; V] {
        let mut sums = [[s.splat(0.0); V]; 4];
        let rows = self.x.rows();
        let mut starts = self.x.starts(0..rows);
        for _ in 0..rows / 4 {
            for sum in &mut sums {
                let start = starts.next().expect("four more rows");
                add_deviation::<S, V, POWER>(s, sum, load(s, self.x.at_start(start, block.clone())), center);
            }
        }
        for start in starts {
            add_deviation::<S, V, POWER>(s, &mut sums[0], load(s, self.x.at_start(start, block.clone())), center);
        }
        let [mut mean, b, c, d] = sums;
        for v in 0..V {
            let sum = s.add(s.add(mean[v], b[v]), s.add(c[v], d[v]));
            mean[v] = s.mul(sum, s.splat(1.0 / self.x.rows() as f32));
        }
        mean
    }
}

/// `sum += (x - center)^POWER`
#[inline(always)]
fn add_deviation<S: Simd, const V: usize, const POWER: u32>(
    s: S,
    sum: &mut [S::F32; V],
    x: [S::F32; V],
    center: [S::F32; V],
) {
    for v in 0..V {
        let deviation = s.sub(x[v], center[v]);
        sum[v] = match POWER {
            1 => s.add(sum[v], deviation),
            _ => s.mul_add(deviation, deviation, sum[v]),
        };
    }
}
