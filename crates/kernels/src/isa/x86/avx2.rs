//! AVX2 with FMA: 8 lanes, 16 registers.

use core::arch::asm;
use core::arch::x86_64::*;

use super::detect::x86_feature;
use crate::isa::simd::{AHEAD, Kernel, Simd, Steps, multiply_tile};

/// Proof that the CPU has AVX2 and FMA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx2(());

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

/// The register tile of 4 rows and 3 vectors: [`Simd::multiply_tile`].
///
/// It uses every register, which the compiler's allocator does not manage reliably: where anything else is alive around the
/// loop it may keep accumulators in memory, and half of the speed is gone.
///
/// # Safety
/// As [`Simd::multiply_tile`].
#[target_feature(enable = "avx2,fma")]
#[inline]
unsafe fn multiply_tile_4x3(depth: usize, [a, b]: [*const f32; 2], steps: Steps, acc: &mut [[__m256; 3]; 4]) {
    let [
        [mut c00, mut c01, mut c02],
        [mut c10, mut c11, mut c12],
        [mut c20, mut c21, mut c22],
        [mut c30, mut c31, mut c32],
    ] = *acc;
    // SAFETY: reads what the caller promises, and writes nothing but its operands.
    unsafe {
        asm!(
            "2:",
            "prefetcht0 [{a} + {ahead}]",
            "vmovups {b0}, [{b}]",
            "vmovups {b1}, [{b} + 32]",
            "vmovups {b2}, [{b} + 64]",
            "vbroadcastss {x}, dword ptr [{a}]",
            "vfmadd231ps {c00}, {x}, {b0}",
            "vfmadd231ps {c01}, {x}, {b1}",
            "vfmadd231ps {c02}, {x}, {b2}",
            "vbroadcastss {x}, dword ptr [{a} + {row}]",
            "vfmadd231ps {c10}, {x}, {b0}",
            "vfmadd231ps {c11}, {x}, {b1}",
            "vfmadd231ps {c12}, {x}, {b2}",
            "vbroadcastss {x}, dword ptr [{a} + 2 * {row}]",
            "vfmadd231ps {c20}, {x}, {b0}",
            "vfmadd231ps {c21}, {x}, {b1}",
            "vfmadd231ps {c22}, {x}, {b2}",
            "vbroadcastss {x}, dword ptr [{a} + {row3}]",
            "vfmadd231ps {c30}, {x}, {b0}",
            "vfmadd231ps {c31}, {x}, {b1}",
            "vfmadd231ps {c32}, {x}, {b2}",
            "add {a}, {a_step}",
            "add {b}, {b_step}",
            "dec {depth}",
            "jnz 2b",
            a = inout(reg) a => _,
            b = inout(reg) b => _,
            depth = inout(reg) depth => _,
            row = in(reg) 4 * steps.row,
            row3 = in(reg) 12 * steps.row,
            a_step = in(reg) steps.a.wrapping_mul(4), // any number where there is one column
            b_step = in(reg) steps.b.wrapping_mul(4),
            ahead = const 4 * AHEAD,
            x = out(ymm_reg) _,
            b0 = out(ymm_reg) _,
            b1 = out(ymm_reg) _,
            b2 = out(ymm_reg) _,
            c00 = inout(ymm_reg) c00,
            c01 = inout(ymm_reg) c01,
            c02 = inout(ymm_reg) c02,
            c10 = inout(ymm_reg) c10,
            c11 = inout(ymm_reg) c11,
            c12 = inout(ymm_reg) c12,
            c20 = inout(ymm_reg) c20,
            c21 = inout(ymm_reg) c21,
            c22 = inout(ymm_reg) c22,
            c30 = inout(ymm_reg) c30,
            c31 = inout(ymm_reg) c31,
            c32 = inout(ymm_reg) c32,
            options(nostack, readonly),
        );
    }
    *acc = [[c00, c01, c02], [c10, c11, c12], [c20, c21, c22], [c30, c31, c32]];
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
    const NAME: &'static str = "avx2";
    const LANES: usize = 8;
    /// 4 rows x 3 vectors = 12 accumulators, 3 vectors of B and a broadcast: all 16 registers, and 7 loads for 12
    /// multiply-adds. `cargo bench -p benches --bench kernels -- matmul`.
    const TILE_VECTORS: usize = 3;
    const PANEL_VECTORS: usize = 3;
    const TILE_ROWS: [usize; 5] = [0, 8, 4, 4, 0];

    #[inline(always)]
    unsafe fn multiply_tile<const R: usize, const V: usize>(
        self,
        depth: usize,
        factors: [*const f32; 2],
        steps: Steps,
        acc: &mut [[__m256; V]; R],
    ) {
        // A constant: the other arm is not compiled in.
        if R == 4 && V == 3 {
            // SAFETY: the caller's promise; with these R and V the array has this type.
            unsafe { multiply_tile_4x3(depth, factors, steps, &mut *core::ptr::from_mut(acc).cast()) }
        } else {
            // SAFETY: the caller's promise.
            unsafe { multiply_tile(self, depth, factors, steps, acc) }
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
    unsafe fn transpose_ptr(self, x: *const f32, x_step: usize, out: *mut f32, out_step: usize) {
        // SAFETY: the caller's promise about `x` and `out`, the token's about the CPU.
        unsafe {
            // Blocks of 4 x 4, transposed: vector j of a group has columns j and 4 + j of 4 rows.
            let mut groups = [[_mm256_setzero_ps(); 4]; 2];
            for (i, group) in groups.iter_mut().enumerate() {
                let rows = x.add(4 * i * x_step);
                let (a, b) = (_mm256_loadu_ps(rows), _mm256_loadu_ps(rows.add(x_step)));
                let (c, d) = (_mm256_loadu_ps(rows.add(2 * x_step)), _mm256_loadu_ps(rows.add(3 * x_step)));
                let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
                group[0] = _mm256_shuffle_ps::<0x44>(ab, cd);
                group[1] = _mm256_shuffle_ps::<0xee>(ab, cd);
                let (ab, cd) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
                group[2] = _mm256_shuffle_ps::<0x44>(ab, cd);
                group[3] = _mm256_shuffle_ps::<0xee>(ab, cd);
            }
            // A 2 x 2 matrix of such blocks.
            let [first, second] = groups;
            for (j, (a, b)) in first.into_iter().zip(second).enumerate() {
                _mm256_storeu_ps(out.add(j * out_step), _mm256_permute2f128_ps::<0x20>(a, b));
                _mm256_storeu_ps(out.add((4 + j) * out_step), _mm256_permute2f128_ps::<0x31>(a, b));
            }
        }
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
    fn abs(self, x: __m256) -> __m256 {
        avx2!(_mm256_andnot_ps(_mm256_set1_ps(-0.0), x))
    }
    #[inline(always)]
    fn round(self, x: __m256) -> __m256 {
        avx2!(_mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x))
    }
    #[inline(always)]
    fn scale(self, x: __m256, n: __m256) -> __m256 {
        avx2!({
            let exponent = _mm256_slli_epi32::<23>(_mm256_cvtps_epi32(n));
            _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(x), exponent))
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
