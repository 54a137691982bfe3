//! The exact ("erf") GELU.

use crate::Level;
use crate::math::normal_cdf;
use crate::simd::{Kernel, Simd};

/// `x * (1 + erf(x / sqrt 2)) / 2` for each value, in place (Hendrycks and Gimpel 2016; PyTorch's default).
///
/// The error is at most 1.4e-6 (1.7e-6 at the portable level), held by tests over all exponents. GELU(-infinity) is NaN, as
/// in PyTorch.
///
/// ```
/// use kernels::{Level, gelu};
/// let mut x = [0.0, 1.0, -10.0];
/// gelu(Level::detect(), &mut x);
/// assert!(x[0] == 0.0 && (x[1] - 0.841_345).abs() < 1e-6 && x[2] == 0.0);
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
            s.store_up_to(gelu_vector(s, s.load_up_to(x)), x);
        }
    }
}

/// GELU of one vector, for epilogues that still hold their result in registers.
#[inline(always)]
pub(crate) fn gelu_vector<S: Simd>(s: S, x: S::F32) -> S::F32 {
    s.mul(x, normal_cdf(s, x))
}
