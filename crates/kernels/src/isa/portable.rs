//! Any CPU: 4 lanes through the `wide` crate, which uses the baseline's vectors where there are any.
//!
//! Multiply-adds round twice here, since a fused one without the instruction would be a slow library call.

use wide::f32x4;

use super::simd::{Kernel, Simd};

/// The level that every CPU has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Portable;

impl Portable {
    /// The token: every CPU has this level.
    pub(super) fn detect() -> Option<Self> {
        Some(Portable)
    }
}

impl Simd for Portable {
    type F32 = f32x4;
    const NAME: &'static str = "portable";
    const LANES: usize = 4;
    /// 4 rows x 2 vectors = 8 accumulators, 2 vectors of B, a broadcast and the products on the way: SSE2's 16 registers.
    const TILE_VECTORS: usize = 2;
    const PANEL_VECTORS: usize = 2;
    const TILE_ROWS: [usize; 5] = [0, 4, 4, 0, 0];

    #[inline(always)]
    fn vectorize<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }
    #[inline(always)]
    fn splat(self, x: f32) -> f32x4 {
        f32x4::splat(x)
    }
    #[inline(always)]
    unsafe fn load_ptr(self, p: *const f32) -> f32x4 {
        // SAFETY: the caller's promise about `p`; an array of f32 is aligned as they are.
        f32x4::new(unsafe { *p.cast::<[f32; 4]>() })
    }
    #[inline(always)]
    unsafe fn store_ptr(self, x: f32x4, p: *mut f32) {
        // SAFETY: the caller's promise about `p`; an array of f32 is aligned as they are.
        unsafe { *p.cast::<[f32; 4]>() = x.to_array() }
    }
    #[inline(always)]
    fn add(self, a: f32x4, b: f32x4) -> f32x4 {
        a + b
    }
    #[inline(always)]
    fn sub(self, a: f32x4, b: f32x4) -> f32x4 {
        a - b
    }
    #[inline(always)]
    fn mul(self, a: f32x4, b: f32x4) -> f32x4 {
        a * b
    }
    #[inline(always)]
    fn div(self, a: f32x4, b: f32x4) -> f32x4 {
        a / b
    }
    #[inline(always)]
    fn sqrt(self, x: f32x4) -> f32x4 {
        x.sqrt()
    }
    #[inline(always)]
    fn mul_add(self, a: f32x4, b: f32x4, c: f32x4) -> f32x4 {
        a * b + c
    }
    #[inline(always)]
    fn max(self, a: f32x4, b: f32x4) -> f32x4 {
        b.simd_lt(a).select(a, b)
    }
    #[inline(always)]
    fn min(self, a: f32x4, b: f32x4) -> f32x4 {
        a.simd_lt(b).select(a, b)
    }
    #[inline(always)]
    fn select_lt(self, a: f32x4, b: f32x4, x: f32x4, y: f32x4) -> f32x4 {
        a.simd_lt(b).select(x, y)
    }
    #[inline(always)]
    fn abs(self, x: f32x4) -> f32x4 {
        x.abs()
    }
    #[inline(always)]
    fn scale(self, x: f32x4, n: f32x4) -> f32x4 {
        let (x, n) = (x.to_array(), n.to_array());
        // Wrapping, as the vectors' instructions are; NaN becomes a 0 and leaves x as it is, NaN.
        f32x4::new(core::array::from_fn(|i| f32::from_bits(x[i].to_bits().wrapping_add((n[i] as i32 as u32) << 23))))
    }
}
