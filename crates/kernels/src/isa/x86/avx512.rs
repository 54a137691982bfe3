//! AVX-512: 16 lanes, 32 registers.

use core::arch::asm;
use core::arch::x86_64::*;

use super::detect::x86_feature;
use crate::isa::simd::{AHEAD, Kernel, Simd, Steps, multiply_tile};

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

/// The register tile of 8 rows and 3 vectors: [`Simd::multiply_tile`].
///
/// It uses 28 of 32 registers. The compiler's own loop is as fast in most places, but in attention, where more values are alive
/// around it, it took 47 instructions for these 40, with one order of the source and not with another: a sixth of attention's speed.
///
/// # Safety
/// As [`Simd::multiply_tile`].
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
#[inline]
unsafe fn multiply_tile_8x3(depth: usize, [a, b]: [*const f32; 2], steps: Steps, acc: &mut [[__m512; 3]; 8]) {
    let [
        [mut c00, mut c01, mut c02],
        [mut c10, mut c11, mut c12],
        [mut c20, mut c21, mut c22],
        [mut c30, mut c31, mut c32],
        [mut c40, mut c41, mut c42],
        [mut c50, mut c51, mut c52],
        [mut c60, mut c61, mut c62],
        [mut c70, mut c71, mut c72],
    ] = *acc;
    // Of a type each: an output that is only named `_` has none that the assembler knows.
    let (_x, _b0, _b1, _b2): (__m512, __m512, __m512, __m512);
    // SAFETY: reads what the caller promises, and writes nothing but its operands.
    unsafe {
        asm!(
            "2:",
            "prefetcht0 [{a} + {ahead}]",
            "vmovups {b0}, [{b}]",
            "vmovups {b1}, [{b} + 64]",
            "vmovups {b2}, [{b} + 128]",
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
            "vbroadcastss {x}, dword ptr [{a} + 4 * {row}]",
            "vfmadd231ps {c40}, {x}, {b0}",
            "vfmadd231ps {c41}, {x}, {b1}",
            "vfmadd231ps {c42}, {x}, {b2}",
            "vbroadcastss {x}, dword ptr [{a} + {row5}]",
            "vfmadd231ps {c50}, {x}, {b0}",
            "vfmadd231ps {c51}, {x}, {b1}",
            "vfmadd231ps {c52}, {x}, {b2}",
            "vbroadcastss {x}, dword ptr [{a} + 2 * {row3}]",
            "vfmadd231ps {c60}, {x}, {b0}",
            "vfmadd231ps {c61}, {x}, {b1}",
            "vfmadd231ps {c62}, {x}, {b2}",
            "vbroadcastss {x}, dword ptr [{a} + {row7}]",
            "vfmadd231ps {c70}, {x}, {b0}",
            "vfmadd231ps {c71}, {x}, {b1}",
            "vfmadd231ps {c72}, {x}, {b2}",
            "add {a}, {a_step}",
            "add {b}, {b_step}",
            "dec {depth}",
            "jnz 2b",
            a = inout(reg) a => _,
            b = inout(reg) b => _,
            depth = inout(reg) depth => _,
            row = in(reg) 4 * steps.row,
            row3 = in(reg) 12 * steps.row,
            row5 = in(reg) 20 * steps.row,
            row7 = in(reg) 28 * steps.row,
            a_step = in(reg) steps.a.wrapping_mul(4), // any number where there is one column
            b_step = in(reg) steps.b.wrapping_mul(4),
            ahead = const 4 * AHEAD,
            x = out(zmm_reg) _x,
            b0 = out(zmm_reg) _b0,
            b1 = out(zmm_reg) _b1,
            b2 = out(zmm_reg) _b2,
            c00 = inout(zmm_reg) c00,
            c01 = inout(zmm_reg) c01,
            c02 = inout(zmm_reg) c02,
            c10 = inout(zmm_reg) c10,
            c11 = inout(zmm_reg) c11,
            c12 = inout(zmm_reg) c12,
            c20 = inout(zmm_reg) c20,
            c21 = inout(zmm_reg) c21,
            c22 = inout(zmm_reg) c22,
            c30 = inout(zmm_reg) c30,
            c31 = inout(zmm_reg) c31,
            c32 = inout(zmm_reg) c32,
            c40 = inout(zmm_reg) c40,
            c41 = inout(zmm_reg) c41,
            c42 = inout(zmm_reg) c42,
            c50 = inout(zmm_reg) c50,
            c51 = inout(zmm_reg) c51,
            c52 = inout(zmm_reg) c52,
            c60 = inout(zmm_reg) c60,
            c61 = inout(zmm_reg) c61,
            c62 = inout(zmm_reg) c62,
            c70 = inout(zmm_reg) c70,
            c71 = inout(zmm_reg) c71,
            c72 = inout(zmm_reg) c72,
            options(nostack, readonly),
        );
    }
    *acc = [
        [c00, c01, c02],
        [c10, c11, c12],
        [c20, c21, c22],
        [c30, c31, c32],
        [c40, c41, c42],
        [c50, c51, c52],
        [c60, c61, c62],
        [c70, c71, c72],
    ];
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
    unsafe fn multiply_tile<const R: usize, const V: usize>(
        self,
        depth: usize,
        factors: [*const f32; 2],
        steps: Steps,
        acc: &mut [[__m512; V]; R],
    ) {
        // A constant: the other arm is not compiled in.
        if R == 8 && V == 3 {
            // SAFETY: the caller's promise; with these R and V the array has this type.
            unsafe { multiply_tile_8x3(depth, factors, steps, &mut *core::ptr::from_mut(acc).cast()) }
        } else {
            // SAFETY: the caller's promise.
            unsafe { multiply_tile(self, depth, factors, steps, acc) }
        }
    }

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
