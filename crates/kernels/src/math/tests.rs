//! Bounds of the approximations, over all exponents.

extern crate std;

use super::exp::{LARGEST, LEAST_NORMAL, exp};
use super::gelu::gelu;
use crate::isa::level::Level;
use crate::isa::simd::{Kernel, Simd};
use crate::testing::reference;

struct Map<'a>(&'a mut [f32], Function);

#[derive(Clone, Copy)]
enum Function {
    Exp,
    Gelu,
}

impl Kernel for Map<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for chunk in self.0.chunks_mut(S::LANES) {
            let x = s.load_up_to(chunk);
            let y = match self.1 {
                Function::Exp => exp(s, [s.min(s.splat(LARGEST), x)], LEAST_NORMAL)[0],
                Function::Gelu => gelu(s, x),
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
                let exact = f64::from(x).exp().max(f64::from(f32::MIN_POSITIVE));
                if exact > f64::from(f32::MAX) {
                    assert!(y >= 3.4e38, "{level}: exp({x}) = {y}");
                } else {
                    let rounding = 8e-8 * f64::from(x.abs().min(100.0)) * exact;
                    let error = ((f64::from(y) - exact).abs() - rounding) / reference::ulp(exact);
                    assert!(error.is_finite(), "{level}: exp({x}) = {y}");
                    worst = if error <= worst.0 { worst } else { (error, x) };
                }
            });
        }
        // The portable level's multiply-adds round twice.
        let bound = if level == Level::PORTABLE { 2.5 } else { 2.0 };
        assert!(worst.0 <= bound, "{level}: {} units in the last place at {}", worst.0, worst.1);
    }
}

#[test]
fn gelu_is_within_its_bound_everywhere() {
    for level in Level::available() {
        let mut worst = (0.0, 0.0);
        for sign in [0, NEGATIVE] {
            for_bits(level, Function::Gelu, sign, sign | INFINITY, step(), |x, y| {
                let exact = reference::gelu(f64::from(x.max(-1e30)));
                // Below 2^-10 the result is proportional to x, and so is the error.
                let scale = f64::from(x.abs()).clamp(1e-30, 1e-3) / 1e-3;
                // Up there it is x, infinity included.
                let error = if x > 8.0 && y == x { 0.0 } else { ((f64::from(y) - exact) / scale).abs() };
                assert!(error.is_finite(), "{level}: gelu({x}) = {y}");
                worst = if error <= worst.0 { worst } else { (error, x) };
            });
        }
        let bound = if level == Level::PORTABLE { 8e-7 } else { 5.1e-7 };
        assert!(worst.0 <= bound, "{level}: off by {:e} at {}", worst.0, worst.1);
    }
}

#[test]
fn fused_levels_agree_everywhere() {
    for f in [Function::Exp, Function::Gelu] {
        for exponent in 0..=0xff_u32 {
            let (from, to) = (exponent << 24, exponent << 24 | 0x00ff_ffff);
            let mut first: Option<(Level, std::vec::Vec<(f32, u32)>)> = None;
            for level in Level::available().filter(|&level| level != Level::PORTABLE) {
                let mut found = std::vec::Vec::new();
                for_bits(level, f, from, to, step(), |x, y| found.push((x, if y.is_nan() { 0 } else { y.to_bits() })));
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
        for f in [Function::Exp, Function::Gelu] {
            let mut x = [f32::NAN, -f32::NAN];
            level.run(Map(&mut x, f));
            assert!(x.iter().all(|y| y.is_nan()), "{level}: {x:?}");
        }
    }
}
