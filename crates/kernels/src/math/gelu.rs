//! The Gaussian error linear unit.

use crate::isa::simd::Simd;

/// `x (1 + erf(x / sqrt 2)) / 2` to within 5.1e-7; NaN stays.
///
/// With the normal distribution's upper tail T it is `max(x, 0) - |x| T(|x|)`, and T's 32nd root is so smooth that a polynomial
/// of degree 5 will do. From 5.5 on the product is 1e-7 and no smaller.
#[inline(always)]
pub(crate) fn gelu<S: Simd>(s: S, x: S::F32) -> S::F32 {
    const BOUND: f32 = 5.5;
    /// `T(a)^(1/32)`; the first is the root of 1/2, so that small values have small errors.
    #[allow(clippy::excessive_precision, reason = "as fitted")]
    const P: [f32; 6] =
        [0.978_572_07, -0.024_401_188, -0.009_419_650_8, -8.956_558_3e-4, 2.491_198_8e-4, -1.297_724_2e-5];

    let a = s.min(s.splat(BOUND), s.abs(x));
    let mut tail = polynomial(s, a, &P);
    for _ in 0..5 {
        tail = s.mul(tail, tail);
    }
    s.mul_add(s.sub(s.splat(-0.0), a), tail, s.max(x, s.splat(0.0)))
}

/// `sum_i p[i] x^i` by Horner's rule.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(s: S, x: S::F32, p: &[f32; N]) -> S::F32 {
    let mut sum = s.splat(p[N - 1]);
    for i in (0..N - 1).rev() {
        sum = s.mul_add(sum, x, s.splat(p[i]));
    }
    sum
}
