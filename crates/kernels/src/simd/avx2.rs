//! AVX2 with FMA: 8 lanes, 16 registers.

use core::arch::asm;
use core::arch::x86_64::*;

use super::{Kernel, Simd};

/// Whether the CPU has a feature: at run time with `std`, else whether the build requires it.
macro_rules! x86_feature {
    ($feature:tt) => {{
        #[cfg(feature = "std")]
        let present = std::arch::is_x86_feature_detected!($feature);
        #[cfg(not(feature = "std"))]
        let present = cfg!(target_feature = $feature);
        present
    }};
}
pub(crate) use x86_feature;

/// Proof that the CPU has AVX2 and FMA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx2(());

impl Avx2 {
    /// The token, where the CPU has the instructions.
    pub(crate) fn detect() -> Option<Self> {
        (x86_feature!("avx2") && x86_feature!("fma")).then_some(Avx2(()))
    }
}

#[target_feature(enable = "avx2,fma")]
fn run<K: Kernel>(s: Avx2, kernel: K) -> K::Output {
    kernel.run(s)
}

/// Broadcasts the f32 at `x`, before or after [`in_order`] as the program has it.
///
/// # Safety
/// `x` is readable.
#[target_feature(enable = "avx2,fma")]
#[inline]
unsafe fn broadcast_in_order(x: *const f32) -> __m256 {
    let y;
    // SAFETY: the caller's promise. Neither `pure` nor `nomem`, so it keeps its place among the other `asm!`.
    unsafe {
        asm!("vbroadcastss {}, dword ptr [{}]", out(ymm_reg) y, in(reg) x, options(nostack, preserves_flags, readonly))
    };
    y
}

/// `x`, computed before or after [`broadcast_in_order`] as the program has it.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn in_order(mut x: __m256) -> __m256 {
    // SAFETY: no instruction at all. Not `pure`, so it keeps its place among the other `asm!`.
    unsafe { asm!("/* {} */", inout(ymm_reg) x, options(nomem, nostack, preserves_flags)) };
    x
}

/// Calls an intrinsic of a feature that the token `Avx2` stands for.
macro_rules! avx2 {
    ($($call:tt)*) => {
        // SAFETY: an `Avx2` exists only where `detect` found AVX2 and FMA.
        unsafe { $($call)* }
    };
}

impl Simd for Avx2 {
    type F32 = __m256;
    const LANES: usize = 8;
    /// 4 rows x 3 vectors = 12 accumulators, 3 vectors of B and a broadcast: all 16 registers, and 7 loads for 12
    /// multiply-adds. `cargo bench -p benches --bench kernels -- matmul`.
    const TILE_VECTORS: usize = 3;
    const PANEL_VECTORS: usize = 3;
    const TILE_ROWS: [usize; 5] = [0, 8, 4, 4, 0];

    /// The tile uses every register, so its order must stay as written: left to itself the scheduler starts the next row's
    /// broadcast before this row is done, is one register short, and half of the speed goes in spills.
    #[inline(always)]
    unsafe fn multiply_row<const V: usize>(self, x: *const f32, b: [__m256; V], acc: &mut [__m256; V]) {
        // SAFETY: the caller's promise about `x`, the token's about the CPU.
        let factor = unsafe { broadcast_in_order(x) };
        for v in 0..V {
            acc[v] = avx2!(in_order(_mm256_fmadd_ps(factor, b[v], acc[v])));
        }
    }

    #[inline(always)]
    fn vectorize<K: Kernel>(self, kernel: K) -> K::Output {
        avx2!(run(self, kernel))
    }
    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        avx2!(_mm256_set1_ps(x))
    }
    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        avx2!(_mm_prefetch::<_MM_HINT_T0>(p.cast()))
    }
    #[inline(always)]
    unsafe fn load_ptr(self, p: *const f32) -> __m256 {
        // SAFETY: the caller's promise about `p`, the token's about the CPU.
        unsafe { _mm256_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store_ptr(self, x: __m256, p: *mut f32) {
        // SAFETY: the caller's promise about `p`, the token's about the CPU.
        unsafe { _mm256_storeu_ps(p, x) }
    }
    #[inline(always)]
    fn load_up_to(self, x: &[f32]) -> __m256 {
        // SAFETY: lanes beyond the slice are masked out, so their memory is not touched; AVX is the token's.
        unsafe { _mm256_maskload_ps(x.as_ptr(), first_lanes(self, x.len())) }
    }
    #[inline(always)]
    fn store_up_to(self, x: __m256, out: &mut [f32]) {
        // SAFETY: lanes beyond the slice are masked out, so their memory is not touched; AVX is the token's.
        unsafe { _mm256_maskstore_ps(out.as_mut_ptr(), first_lanes(self, out.len()), x) }
    }
    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_div_ps(a, b))
    }
    #[inline(always)]
    fn sqrt(self, x: __m256) -> __m256 {
        avx2!(_mm256_sqrt_ps(x))
    }
    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        avx2!(_mm256_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_max_ps(a, b))
    }
    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_min_ps(a, b))
    }
    #[inline(always)]
    fn select_lt(self, a: __m256, b: __m256, x: __m256, y: __m256) -> __m256 {
        avx2!(_mm256_blendv_ps(y, x, _mm256_cmp_ps::<_CMP_LT_OQ>(a, b)))
    }
    #[inline(always)]
    fn round(self, x: __m256) -> __m256 {
        avx2!(_mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x))
    }
    #[inline(always)]
    fn pow2(self, n: __m256) -> __m256 {
        avx2!({
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
        })
    }
}

/// All bits of each of the first `len` lanes.
#[inline(always)]
fn first_lanes(_: Avx2, len: usize) -> __m256i {
    avx2!({
        let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        _mm256_cmpgt_epi32(_mm256_set1_epi32(len.min(8) as i32), lanes)
    })
}
