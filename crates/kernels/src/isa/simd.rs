//! The vector instructions that kernels are written in, once for all instruction sets.
//!
//! A [`Simd`] value is a zero-sized token: it exists only where the CPU has the instructions, so whoever holds one may
//! use them. Kernels are generic over it, implement [`Kernel`] and are inlined into a `#[target_feature]` entry point
//! by [`Simd::vectorize`].

/// Work that is compiled once for every instruction set.
pub(crate) trait Kernel {
    type Output;

    /// Must be `#[inline(always)]`, with all it calls: code that is not inlined falls back to the baseline, a call for each
    /// instruction. For the same reason vectors pass through no closure, which cannot be forced inline.
    fn run<S: Simd>(self, s: S) -> Self::Output;
}

/// f32 vectors of one instruction set.
///
/// Every operation rounds once, as IEEE 754 has it. `mul_add` is fused at every level but the portable one; all else is
/// the same function at all levels, so a chain of these gives the same bits on every CPU with fused multiply-add.
pub(crate) trait Simd: Copy {
    /// A vector of `LANES` f32.
    type F32: Copy;

    /// The name of the level.
    const NAME: &'static str;

    /// f32 in a vector.
    const LANES: usize;

    /// Vectors across the usual register tile.
    const TILE_VECTORS: usize;

    /// Vectors across a token panel: one tile, or several that read the weights while they are in the cache.
    const PANEL_VECTORS: usize;

    /// Rows of the register tile that is `i` vectors wide, for i from 1 to 4; zero where the tile would not fit the
    /// registers. Powers of two, at most 8.
    const TILE_ROWS: [usize; 5];

    /// Runs `kernel` compiled with this instruction set.
    fn vectorize<K: Kernel>(self, kernel: K) -> K::Output;

    fn splat(self, x: f32) -> Self::F32;

    /// # Safety
    /// `LANES` f32 are readable at `p`, which need not be aligned.
    unsafe fn load_ptr(self, p: *const f32) -> Self::F32;

    /// # Safety
    /// `LANES` f32 are writable at `p`, which need not be aligned.
    unsafe fn store_ptr(self, x: Self::F32, p: *mut f32);

    fn add(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn sub(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn mul(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn div(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn sqrt(self, x: Self::F32) -> Self::F32;

    /// `a * b + c`
    fn mul_add(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;

    /// `if a > b { a } else { b }`: b where either is NaN.
    fn max(self, a: Self::F32, b: Self::F32) -> Self::F32;

    /// `if a < b { a } else { b }`: b where either is NaN.
    fn min(self, a: Self::F32, b: Self::F32) -> Self::F32;

    /// `if a < b { x } else { y }`
    fn select_lt(self, a: Self::F32, b: Self::F32, x: Self::F32, y: Self::F32) -> Self::F32;

    /// `|x|`
    fn abs(self, x: Self::F32) -> Self::F32;

    /// The nearest integer, ties to even, of `|x|` below 2^22.
    #[inline(always)]
    fn round(self, x: Self::F32) -> Self::F32 {
        /// 1.5 * 2^23, at which an f32 has no fraction bits left.
        const ROUNDING: f32 = 12_582_912.0;
        self.sub(self.add(x, self.splat(ROUNDING)), self.splat(ROUNDING))
    }

    /// `x * 2^n` for integers n, where `x` and the result are normal; infinity for 1 and 128, NaN where both are.
    fn scale(self, x: Self::F32, n: Self::F32) -> Self::F32;

    /// `LANES` rows of a packed matrix at one k: 8 at `p`, or a part of them; further groups of 8 follow `group` values apart.
    ///
    /// # Safety
    /// They are readable.
    #[inline(always)]
    unsafe fn load_rows(self, p: *const f32, group: usize) -> Self::F32 {
        const { assert!(Self::LANES <= 8) };
        let _ = group;
        // SAFETY: the caller's promise.
        unsafe { self.load_ptr(p) }
    }

    /// `out[c][r] = x[r][c]` for LANES rows and columns, each factor with the values from one row to the next.
    ///
    /// # Safety
    /// All that is readable and writable.
    #[inline(always)]
    unsafe fn transpose_ptr(self, x: *const f32, x_step: usize, out: *mut f32, out_step: usize) {
        for r in 0..Self::LANES {
            for c in 0..Self::LANES {
                // SAFETY: the caller's promise.
                unsafe { *out.add(c * out_step + r) = *x.add(r * x_step + c) };
            }
        }
    }

    /// `out[c][r] = x[r][c]` for LANES rows and columns, each factor with the values from one row to the next.
    ///
    /// # Panics
    /// If there are fewer.
    #[inline(always)]
    fn transpose(self, x: &[f32], x_step: usize, out: &mut [f32], out_step: usize) {
        let rest = Self::LANES - 1;
        assert!(rest.saturating_mul(x_step).saturating_add(rest) < x.len());
        assert!(rest.saturating_mul(out_step).saturating_add(rest) < out.len());
        // SAFETY: the assertions above.
        unsafe { self.transpose_ptr(x.as_ptr(), x_step, out.as_mut_ptr(), out_step) }
    }

    /// Fetches the cache line of `p` into the cache. Any address will do: nothing is read.
    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        let _ = p;
    }

    /// `acc[r][v] += sum over k < depth of a[r * steps.row + k * steps.a] * b[k * steps.b + v * LANES..]`, `depth` above 0: a
    /// register tile.
    ///
    /// # Safety
    /// All that is readable.
    #[inline(always)]
    unsafe fn multiply_tile<const R: usize, const V: usize>(
        self,
        depth: usize,
        factors: [*const f32; 2],
        steps: Steps,
        acc: &mut [[Self::F32; V]; R],
    ) {
        // SAFETY: the caller's promise.
        unsafe { multiply_tile(self, depth, factors, steps, acc) }
    }

    /// `acc[v] += x * b[v]`: one row of a register tile at one k.
    ///
    /// # Safety
    /// `x` is readable.
    #[inline(always)]
    unsafe fn multiply_row<const V: usize>(self, x: *const f32, b: [Self::F32; V], acc: &mut [Self::F32; V]) {
        // SAFETY: the caller's promise.
        let x = self.splat(unsafe { *x });
        for v in 0..V {
            acc[v] = self.mul_add(x, b[v], acc[v]);
        }
    }

    /// The first `LANES` of `x`.
    ///
    /// # Panics
    /// If there are fewer.
    #[inline(always)]
    fn load(self, x: &[f32]) -> Self::F32 {
        assert!(x.len() >= Self::LANES);
        // SAFETY: the assertion above.
        unsafe { self.load_ptr(x.as_ptr()) }
    }

    /// Writes the first `LANES` of `out`.
    ///
    /// # Panics
    /// If there are fewer.
    #[inline(always)]
    fn store(self, x: Self::F32, out: &mut [f32]) {
        assert!(out.len() >= Self::LANES);
        // SAFETY: the assertion above.
        unsafe { self.store_ptr(x, out.as_mut_ptr()) }
    }

    /// At most `LANES` of `x`, with zeros for those that lack.
    #[inline(always)]
    fn load_up_to(self, x: &[f32]) -> Self::F32 {
        if x.len() >= Self::LANES {
            return self.load(x);
        }
        let mut lanes = [0.0; MAX_LANES];
        lanes[..x.len()].copy_from_slice(x);
        self.load(&lanes)
    }

    /// Writes at most `LANES` of `out`.
    #[inline(always)]
    fn store_up_to(self, x: Self::F32, out: &mut [f32]) {
        if out.len() >= Self::LANES {
            return self.store(x, out);
        }
        let mut lanes = [0.0; MAX_LANES];
        self.store(x, &mut lanes);
        out.copy_from_slice(&lanes[..out.len()]);
    }
}

/// The values from one element of a tile's factors to the next.
#[derive(Clone, Copy)]
pub(crate) struct Steps {
    /// From a row of the left factor to the next.
    pub row: usize,
    /// From a column of the left factor to the next.
    pub a: usize,
    /// From a row of the right factor to the next.
    pub b: usize,
}

/// How many values ahead the left factor is prefetched. Packed weights are read in one long run, and a processor's own prefetcher
/// stops at every page. Measured with weights that are in no cache: 2 to 6 % of a product, 128 values being too few and 1024 no better.
pub(crate) const AHEAD: usize = 512;

/// [`Simd::multiply_tile`] for any tile.
///
/// # Safety
/// As [`Simd::multiply_tile`].
#[inline(always)]
pub(crate) unsafe fn multiply_tile<S: Simd, const R: usize, const V: usize>(
    s: S,
    depth: usize,
    [mut a, mut b]: [*const f32; 2],
    steps: Steps,
    acc: &mut [[S::F32; V]; R],
) {
    for _ in 0..depth {
        s.prefetch(a.wrapping_add(AHEAD));
        let mut bk = [s.splat(0.0); V];
        for (v, bk) in bk.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            *bk = unsafe { s.load_ptr(b.add(v * S::LANES)) };
        }
        for (r, acc) in acc.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { s.multiply_row(a.add(r * steps.row), bk, acc) };
        }
        a = a.wrapping_add(steps.a);
        b = b.wrapping_add(steps.b);
    }
}

/// The widest vector of all levels.
pub(crate) const MAX_LANES: usize = 16;

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::isa::level::Level;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::vec;

    #[derive(Clone, Copy)]
    enum Access {
        Load,
        Store,
        TransposeFrom,
        TransposeTo,
    }

    /// One access to memory that lacks so many values.
    struct ShortAccess(Access, usize);

    impl Kernel for ShortAccess {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let ShortAccess(access, lacks) = self;
            let mut line = vec![0.0; S::LANES - lacks];
            let (mut square, mut short) = (vec![0.0; S::LANES * S::LANES], vec![0.0; S::LANES * S::LANES - lacks]);
            match access {
                Access::Load => s.store_up_to(s.load(&line), &mut square),
                Access::Store => s.store(s.splat(1.0), &mut line),
                Access::TransposeFrom => s.transpose(&short, S::LANES, &mut square, S::LANES),
                Access::TransposeTo => s.transpose(&square, S::LANES, &mut short, S::LANES),
            }
        }
    }

    /// The assertions that the accesses through pointers rely on.
    #[test]
    fn memory_that_is_too_short_is_refused() {
        for level in Level::available() {
            for access in [Access::Load, Access::Store, Access::TransposeFrom, Access::TransposeTo] {
                level.run(ShortAccess(access, 0));
                let short = || level.run(ShortAccess(access, 1));
                assert!(catch_unwind(AssertUnwindSafe(short)).is_err(), "{level}");
            }
        }
    }
}
