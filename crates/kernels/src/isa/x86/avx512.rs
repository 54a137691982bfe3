//! AVX-512: 16 lanes, 32 registers.

use core::arch::x86_64::*;

use super::detect::x86_feature;
use crate::isa::simd::{Kernel, Simd};

/// Proof that the CPU has AVX-512 F, VL, BW and DQ, and AVX2 and FMA with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// The token, where the CPU has the instructions.
    pub(crate) fn detect() -> Option<Self> {
        let present = x86_feature!("avx512f")
            && x86_feature!("avx512vl")
            && x86_feature!("avx512bw")
            && x86_feature!("avx512dq")
            && x86_feature!("avx2")
            && x86_feature!("fma");
        present.then_some(Avx512(()))
    }
}

#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
fn run<K: Kernel>(s: Avx512, kernel: K) -> K::Output {
    kernel.run(s)
}

/// Calls an intrinsic of a feature that the token `Avx512` stands for.
macro_rules! avx512 {
    ($($call:tt)*) => {
        // SAFETY: an `Avx512` exists only where `detect` found every feature of this level.
        unsafe { $($call)* }
    };
}

impl Simd for Avx512 {
    type F32 = __m512;
    const NAME: &'static str = "avx512";
    const LANES: usize = 16;
    /// 8 rows x 3 vectors = 24 accumulators, 3 vectors of B and a broadcast: 28 of 32 registers, and 11 loads for 24
    /// multiply-adds. Measured: `cargo bench -p benches --bench kernels -- matmul`.
    const TILE_VECTORS: usize = 3;
    const PANEL_VECTORS: usize = 3;
    const TILE_ROWS: [usize; 5] = [0, 8, 8, 8, 4];

    #[inline(always)]
    fn vectorize<K: Kernel>(self, kernel: K) -> K::Output {
        avx512!(run(self, kernel))
    }
    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        avx512!(_mm512_set1_ps(x))
    }
    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        avx512!(_mm_prefetch::<_MM_HINT_T0>(p.cast()))
    }
    #[inline(always)]
    unsafe fn load_ptr(self, p: *const f32) -> __m512 {
        // SAFETY: the caller's promise about `p`, the token's about the CPU.
        unsafe { _mm512_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store_ptr(self, x: __m512, p: *mut f32) {
        // SAFETY: the caller's promise about `p`, the token's about the CPU.
        unsafe { _mm512_storeu_ps(p, x) }
    }
    #[inline(always)]
    unsafe fn load_rows(self, p: *const f32, group: usize) -> __m512 {
        // SAFETY: the caller's promise about both groups, the token's about the CPU.
        unsafe {
            let first = _mm512_castps256_ps512(_mm256_loadu_ps(p));
            _mm512_insertf32x8::<1>(first, _mm256_loadu_ps(p.add(group)))
        }
    }
    #[inline(always)]
    unsafe fn transpose_ptr(self, x: *const f32, x_step: usize, out: *mut f32, out_step: usize) {
        // SAFETY: the caller's promise about `x` and `out`, the token's about the CPU.
        unsafe {
            // Blocks of 4 x 4, transposed: vector j of group i has columns j, 4 + j, 8 + j and 12 + j of 4 rows.
            let mut groups = [[_mm512_setzero_ps(); 4]; 4];
            for (i, group) in groups.iter_mut().enumerate() {
                let rows = x.add(4 * i * x_step);
                let (a, b) = (_mm512_loadu_ps(rows), _mm512_loadu_ps(rows.add(x_step)));
                let (c, d) = (_mm512_loadu_ps(rows.add(2 * x_step)), _mm512_loadu_ps(rows.add(3 * x_step)));
                let (ab, cd) = (_mm512_unpacklo_ps(a, b), _mm512_unpacklo_ps(c, d));
                group[0] = _mm512_shuffle_ps::<0x44>(ab, cd);
                group[1] = _mm512_shuffle_ps::<0xee>(ab, cd);
                let (ab, cd) = (_mm512_unpackhi_ps(a, b), _mm512_unpackhi_ps(c, d));
                group[2] = _mm512_shuffle_ps::<0x44>(ab, cd);
                group[3] = _mm512_shuffle_ps::<0xee>(ab, cd);
            }
            // A 4 x 4 matrix of such blocks.
            let [first, second, third, fourth] = groups;
            for (j, ((a, b), (c, d))) in first.into_iter().zip(second).zip(third.into_iter().zip(fourth)).enumerate() {
                let out = out.add(j * out_step);
                let (ab, cd) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0x88>(c, d));
                _mm512_storeu_ps(out, _mm512_shuffle_f32x4::<0x88>(ab, cd));
                _mm512_storeu_ps(out.add(8 * out_step), _mm512_shuffle_f32x4::<0xdd>(ab, cd));
                let (ab, cd) = (_mm512_shuffle_f32x4::<0xdd>(a, b), _mm512_shuffle_f32x4::<0xdd>(c, d));
                _mm512_storeu_ps(out.add(4 * out_step), _mm512_shuffle_f32x4::<0x88>(ab, cd));
                _mm512_storeu_ps(out.add(12 * out_step), _mm512_shuffle_f32x4::<0xdd>(ab, cd));
            }
        }
    }
    #[inline(always)]
    fn load_up_to(self, x: &[f32]) -> __m512 {
        // SAFETY: lanes beyond the slice are masked out, so their memory is not touched; AVX-512 F is the token's.
        unsafe { _mm512_maskz_loadu_ps(first_lanes(x.len()), x.as_ptr()) }
    }
    #[inline(always)]
    fn store_up_to(self, x: __m512, out: &mut [f32]) {
        // SAFETY: lanes beyond the slice are masked out, so their memory is not touched; AVX-512 F is the token's.
        unsafe { _mm512_mask_storeu_ps(out.as_mut_ptr(), first_lanes(out.len()), x) }
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_div_ps(a, b))
    }
    #[inline(always)]
    fn sqrt(self, x: __m512) -> __m512 {
        avx512!(_mm512_sqrt_ps(x))
    }
    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        avx512!(_mm512_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_max_ps(a, b))
    }
    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_min_ps(a, b))
    }
    #[inline(always)]
    fn select_lt(self, a: __m512, b: __m512, x: __m512, y: __m512) -> __m512 {
        avx512!(_mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), y, x))
    }
    #[inline(always)]
    fn abs(self, x: __m512) -> __m512 {
        avx512!(_mm512_abs_ps(x))
    }
    #[inline(always)]
    fn round(self, x: __m512) -> __m512 {
        avx512!(_mm512_roundscale_ps::<_MM_FROUND_TO_NEAREST_INT>(x))
    }
    #[inline(always)]
    fn scale(self, x: __m512, n: __m512) -> __m512 {
        avx512!(_mm512_scalef_ps(x, n))
    }
}

/// A bit for each of the first `len` lanes.
#[inline(always)]
fn first_lanes(len: usize) -> __mmask16 {
    if len >= 16 { !0 } else { (1 << len) - 1 }
}
