//! The exponential.

use crate::isa::simd::Simd;

/// The binary logarithm of the smallest normal f32.
pub(crate) const LEAST_NORMAL: f32 = -126.0;

/// Above this `e^x` is infinite.
pub(crate) const LARGEST: f32 = 88.722_84;

/// `max(e^x, 2^lowest)` for N vectors of x up to [`LARGEST`], to within 2 units in the last place and a relative
/// `8e-8 |x|`, as much as a rounding of x itself would add; NaN stays. `lowest` is at least [`LEAST_NORMAL`].
///
/// `x log2 e = n + r`, `|r| <= 1/2`, and the result is `2^n 2^r`. Vectors take each step together, since one by one they would
/// wait for themselves.
#[inline(always)]
pub(crate) fn exp<S: Simd, const N: usize>(s: S, x: [S::F32; N], lowest: f32) -> [S::F32; N] {
    /// `2^r` to a relative 9.2e-8.
    #[allow(clippy::excessive_precision, clippy::approx_constant, reason = "as fitted")]
    const P: [f32; 6] = [1.0, 0.693_147_00, 0.240_222_41, 0.055_507_343, 0.009_671_566_1, 0.001_326_465_9];

    let mut log = x;
    for x in &mut log {
        *x = s.max(s.splat(lowest), s.mul(*x, s.splat(core::f32::consts::LOG2_E)));
    }
    let mut n = log;
    for n in &mut n {
        *n = s.round(*n);
    }
    let mut r = log;
    for i in 0..N {
        r[i] = s.sub(log[i], n[i]);
    }
    let mut y = [s.splat(P[5]); N];
    for p in P[..5].iter().rev() {
        for i in 0..N {
            y[i] = s.mul_add(y[i], r[i], s.splat(*p));
        }
    }
    for i in 0..N {
        y[i] = s.scale(y[i], n[i]);
    }
    y
}
