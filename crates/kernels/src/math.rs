//! exp and the normal distribution function on vectors, by polynomials.
//!
//! Both were fitted to minimise the largest error of their result (iteratively reweighted least squares on Chebyshev
//! nodes). The tests below hold the stated bounds over all exponents, at every 257th f32, or every one with
//! `KERNELS_EXHAUSTIVE` set.

use crate::simd::Simd;

/// `e^x` to within 1.3 units in the last place; below about -86.6 it is 0, above 88.72 infinity, NaN stays NaN.
///
/// Cody and Waite's reduction: `x = n ln 2 + r`, `|r| <= ln 2 / 2`, `e^x = 2^n e^r`.
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::F32) -> S::F32 {
    /// Below this the result would leave the normal range of `2^(n - 1)`.
    const LOWEST: f32 = -86.6;
    /// ln 2 in two parts, the first with zeros at its end so that `n * LN2_HIGH` is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    /// `(e^r - 1 - r) / r^2`, relative error of the whole 3.1e-9.
    #[allow(clippy::excessive_precision, reason = "as fitted")]
    const P: [f32; 5] = [0.499_999_94, 0.166_665_21, 0.041_668_389, 0.008_368_717_5, 0.001_381_459_5];

    let clamped = s.max(s.splat(LOWEST), s.min(s.splat(89.0), x));
    let n = s.round(s.mul(clamped, s.splat(core::f32::consts::LOG2_E)));
    let r = s.mul_add(n, s.splat(-LN2_HIGH), clamped);
    let r = s.mul_add(n, s.splat(-LN2_LOW), r);
    let p = polynomial(s, r, &P);
    let e = s.add(s.mul_add(s.mul(r, r), p, r), s.splat(1.0));
    s.select_lt(x, s.splat(LOWEST), s.splat(0.0), s.scale_by_pow2(e, n))
}

/// The normal distribution function `(1 + erf(x / sqrt 2)) / 2`, to within 3.1e-7 absolutely.
///
/// An odd polynomial around 1/2 on [-5.25, 5.25], in `u = 2 x^2 / 5.25^2 - 1` so that no term is large; 0 left of it and
/// 1 (to 3e-8) right of it.
#[inline(always)]
pub(crate) fn normal_cdf<S: Simd>(s: S, x: S::F32) -> S::F32 {
    const BOUND: f32 = 5.25;
    #[allow(clippy::excessive_precision, reason = "as fitted")]
    const P: [f32; 14] = [
        0.134_659_38,
        -0.067_126_587,
        0.049_645_085,
        -0.039_771_348,
        0.032_047_156,
        -0.024_965_238,
        0.018_413_994,
        -0.013_086_771,
        0.008_869_892,
        -0.004_843_561_4,
        0.002_076_434_7,
        -0.001_595_573_7,
        0.001_377_613_2,
        -0.000_462_374_39,
    ];

    let x = s.max(s.splat(-BOUND), s.min(s.splat(BOUND), x));
    let u = s.mul_add(s.mul(x, x), s.splat(2.0 / (BOUND * BOUND)), s.splat(-1.0));
    let cdf = s.mul_add(x, polynomial(s, u, &P), s.splat(0.5));
    s.max(s.splat(0.0), cdf)
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

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::simd::Kernel;
    use crate::{Level, reference};

    struct Map<'a>(&'a mut [f32], Function);

    #[derive(Clone, Copy)]
    enum Function {
        Exp,
        NormalCdf,
    }

    impl Kernel for Map<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            for chunk in self.0.chunks_mut(S::LANES) {
                let x = s.load_up_to(chunk);
                let y = match self.1 {
                    Function::Exp => exp(s, x),
                    Function::NormalCdf => normal_cdf(s, x),
                };
                s.store_up_to(y, chunk);
            }
        }
    }

    /// Calls `check(x, f(x))` for every `step`-th f32 between two bit patterns.
    fn for_bits(level: Level, f: Function, from: u32, to: u32, step: usize, mut check: impl FnMut(f32, f32)) {
        let mut xs = [0.0; 4096];
        let mut bits = (from..=to).step_by(step).peekable();
        while bits.peek().is_some() {
            let mut n = 0;
            for (x, b) in xs.iter_mut().zip(&mut bits) {
                *x = f32::from_bits(b);
                n += 1;
            }
            let mut ys = xs;
            level.run(Map(&mut ys[..n], f));
            xs[..n].iter().zip(&ys[..n]).for_each(|(&x, &y)| check(x, y));
        }
    }

    /// Every f32 with `KERNELS_EXHAUSTIVE` set (minutes), else every 257th.
    fn step() -> usize {
        if std::env::var_os("KERNELS_EXHAUSTIVE").is_some() { 1 } else { 257 }
    }

    const NEGATIVE: u32 = 1 << 31;
    const INFINITY: u32 = 0x7f80_0000;

    #[test]
    fn exp_is_within_its_bound_everywhere() {
        for level in Level::available() {
            let mut worst = (0.0, 0.0);
            for sign in [0, NEGATIVE] {
                for_bits(level, Function::Exp, sign, sign | INFINITY, step(), |x, y| {
                    let exact = f64::from(x).exp();
                    if x < -86.6 {
                        assert!(y == 0.0 && exact < 3e-38, "{level}: exp({x}) = {y}");
                    } else if exact > f64::from(f32::MAX) {
                        assert!(y >= 3.4e38, "{level}: exp({x}) = {y}");
                    } else {
                        let error = (f64::from(y) - exact).abs() / reference::ulp(exact);
                        worst = if error <= worst.0 { worst } else { (error, x) };
                    }
                });
            }
            // The portable level's multiply-adds round twice.
            let bound = if level == Level::PORTABLE { 2.0 } else { 1.3 };
            assert!(worst.0 <= bound, "{level}: {} units in the last place at {}", worst.0, worst.1);
        }
    }

    #[test]
    fn normal_cdf_is_within_its_bound_everywhere() {
        for level in Level::available() {
            let mut worst = (0.0, 0.0);
            for sign in [0, NEGATIVE] {
                for_bits(level, Function::NormalCdf, sign, sign | INFINITY, step(), |x, y| {
                    let error = (f64::from(y) - reference::normal_cdf(f64::from(x))).abs();
                    worst = if error <= worst.0 { worst } else { (error, x) };
                    assert!(x > -5.25 || y == 0.0, "{level}: normal_cdf({x}) = {y}, expected 0");
                });
            }
            let bound = if level == Level::PORTABLE { 4e-7 } else { 3.1e-7 };
            assert!(worst.0 <= bound, "{level}: off by {} at {}", worst.0, worst.1);
        }
    }

    /// exp scales by instructions that differ from level to level.
    #[test]
    fn fused_levels_agree_everywhere() {
        for f in [Function::Exp, Function::NormalCdf] {
            for exponent in 0..=0xff_u32 {
                let (from, to) = (exponent << 24, exponent << 24 | 0x00ff_ffff);
                let mut first: Option<(Level, std::vec::Vec<(f32, u32)>)> = None;
                for level in Level::available().filter(|&level| level != Level::PORTABLE) {
                    let mut found = std::vec::Vec::new();
                    for_bits(level, f, from, to, step(), |x, y| {
                        found.push((x, if y.is_nan() { 0 } else { y.to_bits() }))
                    });
                    let (other, expected) = first.get_or_insert_with(|| (level, found.clone()));
                    let wrong = found.iter().zip(&*expected).find(|(a, b)| a.1 != b.1);
                    assert_eq!(wrong, None, "{level} and {other}: (x, bits of the result)");
                }
            }
        }
    }

    #[test]
    fn nan_stays_nan() {
        for level in Level::available() {
            for f in [Function::Exp, Function::NormalCdf] {
                let mut x = [f32::NAN, -f32::NAN];
                level.run(Map(&mut x, f));
                assert!(x.iter().all(|y| y.is_nan()), "{level}: {x:?}");
            }
        }
    }
}
