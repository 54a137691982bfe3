//! Any CPU: 4 lanes through the `wide` crate, which uses the baseline's vectors where there are any.
//!
//! Multiply-adds round twice here, since a fused one without the instruction would be a slow library call.

use wide::f32x4;

use super::simd::{Kernel, Simd};

/// Whether the build's baseline has vectors of 4 lanes that the `wide` crate uses. Else a vector is 4 floats.
const HAS_VECTORS: bool = cfg!(any(
    target_feature = "sse2",
    target_feature = "simd128",
    all(target_arch = "aarch64", target_feature = "neon")
));

/// The square root, rounded once, where there are no vectors: `wide`'s would convert to f64 and back, in software on a CPU
/// that has none.
#[inline(always)]
fn scalar_sqrt(x: f32) -> f32 {
    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    let root = fpu_sqrt(x);
    #[cfg(not(all(target_arch = "arm", target_abi = "eabihf")))]
    let root = libm::sqrtf(x);
    root
}

/// The FPU's square root, which `core` does not offer. A function of its own, since the compiler takes no FPU register as an
/// operand of inline assembly here; a norm calls it once a token.
#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
#[unsafe(naked)]
extern "C" fn fpu_sqrt(x: f32) -> f32 {
    // The hard-float ABI passes the argument and the result in s0, and the assembler has to be told that it has an FPU.
    core::arch::naked_asm!(".fpu vfpv2", "vsqrt.f32 s0, s0", "bx lr")
}

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
    /// With vector instructions 4 rows x 2 vectors = 8 accumulators, 2 vectors of B, a broadcast and the products on the way:
    /// SSE2's 16 registers. Without, a lane is a register: 4 rows x 4 lanes = 16 accumulators, 4 values of B, one of A and a
    /// product leave some of the 32 of a Cortex-M, where twice as many accumulators live in memory and take half as many
    /// instructions again.
    const TILE_VECTORS: usize = if HAS_VECTORS { 2 } else { 1 };
    const PANEL_VECTORS: usize = 2;
    const TILE_ROWS: [usize; 5] = if HAS_VECTORS { [0, 4, 4, 0, 0] } else { [0, 4, 0, 0, 0] };

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
        if HAS_VECTORS { x.sqrt() } else { f32x4::new(x.to_array().map(scalar_sqrt)) }
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
