//! The exact ("erf") GELU.

use crate::isa::level::Level;
use crate::isa::simd::{Kernel, Simd};
use crate::math;

/// `x * (1 + erf(x / sqrt 2)) / 2` for each value, in place (Hendrycks and Gimpel 2016; PyTorch's default).
///
/// The error is at most 5.1e-7 (8e-7 at the portable level), held by tests over all exponents. From -5.5 on down the result is
/// some -1e-7, not 0.
///
/// ```
/// use kernels::{Level, gelu};
/// let mut x = [0.0, 1.0, -10.0];
/// gelu(Level::detect(), &mut x);
/// assert!(x[0] == 0.0 && (x[1] - 0.841_345).abs() < 1e-6 && x[2].abs() < 2e-7);
/// ```
pub fn gelu(level: Level, x: &mut [f32]) {
    level.run(Gelu(x));
}

struct Gelu<'a>(&'a mut [f32]);

impl Kernel for Gelu<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for x in self.0.chunks_mut(S::LANES) {
            s.store_up_to(math::gelu::gelu(s, s.load_up_to(x)), x);
        }
    }
}
