//! The register tile: R rows by V vectors of a product, accumulated in registers along K.
//!
//! Packed weights, strided matrices, attention's scores and contexts are covered with such tiles. Two products are
//! not: `skinny`, where there are fewer columns than lanes, and sums over tokens. An element is one chain of multiply-adds in order of k,
//! wherever the tiles' borders fall.

use core::ops::Range;

use crate::isa::simd::{Simd, Steps};

/// The left factor at a tile: `a(r, k) = data[r * row + k * step]`.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub data: &'a [f32],
    pub row: usize,
    pub step: usize,
}

/// The right factor at a tile: `b(k, c) = data[k * step + c]` for `c < columns`.
#[derive(Clone, Copy)]
pub(crate) struct Right<'a> {
    pub data: &'a [f32],
    pub step: usize,
    pub columns: usize,
}

/// The accumulators of a tile.
pub(crate) type Tile<S, const R: usize, const V: usize> = [[<S as Simd>::F32; V]; R];

/// `acc[r][c] += sum over k < depth of a(r, k) * b(k, c)`
///
/// The right factor has V whole vectors of columns, or fewer than one where V is 1.
#[inline(always)]
pub(crate) fn accumulate<S: Simd, const R: usize, const V: usize>(
    s: S,
    depth: usize,
    a: Left,
    b: Right,
    acc: &mut Tile<S, R, V>,
) {
    if depth == 0 {
        return;
    }
    assert!(span([R, depth], [a.row, a.step]) < a.data.len());
    if V == 1 && b.columns < S::LANES {
        for k in 0..depth {
            let bk = [s.load_up_to(&b.data[k * b.step..][..b.columns]); V];
            for (r, acc) in acc.iter_mut().enumerate() {
                // SAFETY: the assertion above, with r below R and k below `depth`.
                unsafe { s.multiply_row(a.data.as_ptr().add(r * a.row + k * a.step), bk, acc) };
            }
        }
        return;
    }
    assert!(span([depth, V * S::LANES], [b.step, 1]) < b.data.len());
    let steps = Steps { row: a.row, a: a.step, b: b.step };
    // SAFETY: the two assertions.
    unsafe { s.multiply_tile(depth, [a.data.as_ptr(), b.data.as_ptr()], steps, acc) };
}

/// The offset of the last element of a non-empty strided block; `usize::MAX` if there is no such number.
#[inline(always)]
pub(super) fn span(lens: [usize; 2], strides: [usize; 2]) -> usize {
    let [outer, inner] = [0, 1].map(|i| (lens[i] - 1).saturating_mul(strides[i]));
    outer.saturating_add(inner)
}

/// Where a tile lies in its product, and how much of it counts.
#[derive(Clone, Copy)]
pub(crate) struct At {
    pub row: usize,
    /// Rows that exist: less than R only where the left factor is padded.
    pub rows: usize,
    pub column: usize,
    /// Columns that exist: V whole vectors, or less than one.
    pub columns: usize,
}

/// A product that is computed tile by tile.
pub(crate) trait Tiles<S: Simd> {
    /// Whether the left factor can be read to a multiple of 8 rows.
    const PADDED_ROWS: bool;

    /// Computes and stores one tile.
    fn tile<const R: usize, const V: usize>(&mut self, s: S, at: At);
}

/// The tiles of one column block, as tall as the instruction set has registers for.
///
/// Column blocks are the outer loop, so that a block of the right factor stays in the cache next to the core while the left factor
/// streams past it.
#[inline(always)]
pub(crate) fn cover_rows<S: Simd, T: Tiles<S>, const V: usize>(
    s: S,
    rows: usize,
    column: usize,
    columns: usize,
    tiles: &mut T,
) {
    // A constant: the other arm is not compiled in.
    let done = match S::TILE_ROWS[V] {
        8 => row_blocks::<S, T, 8, V>(s, 0..rows, column, columns, tiles),
        _ => 0,
    };
    let done = row_blocks::<S, T, 4, V>(s, done..rows, column, columns, tiles);
    row_blocks::<S, T, 1, V>(s, done..rows, column, columns, tiles);
}

/// The tiles of R rows that fit in `rows`, or cover it where the left factor is padded; gives the first row not covered.
#[inline(always)]
fn row_blocks<S: Simd, T: Tiles<S>, const R: usize, const V: usize>(
    s: S,
    rows: Range<usize>,
    column: usize,
    columns: usize,
    tiles: &mut T,
) -> usize {
    let mut row = rows.start;
    while row + R <= rows.end || (T::PADDED_ROWS && row < rows.end) {
        tiles.tile::<R, V>(s, At { row, rows: R.min(rows.end - row), column, columns });
        row += R;
    }
    row.min(rows.end)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::isa::level::Level;
    use crate::isa::simd::Kernel;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::vec;

    /// A tile of 4 rows, V vectors and depth 3 whose factors lack the given numbers of values.
    struct ShortTile<const V: usize> {
        a_lacks: usize,
        b_lacks: usize,
    }

    impl<const V: usize> Kernel for ShortTile<V> {
        type Output = f32;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> f32 {
            let (depth, step) = (3, 5);
            let a = vec![1.0; 3 * step + depth - self.a_lacks];
            let b = vec![1.0; depth * V * S::LANES - self.b_lacks];
            let mut acc: Tile<S, 4, V> = [[s.splat(0.0); V]; 4];
            let a = Left { data: &a, row: step, step: 1 };
            accumulate(s, depth, a, Right { data: &b, step: V * S::LANES, columns: V * S::LANES }, &mut acc);
            let mut sums = [0.0; crate::isa::simd::MAX_LANES];
            s.store(acc[3][V - 1], &mut sums);
            sums[0]
        }
    }

    /// The assertions that the reads through pointers rely on.
    #[test]
    fn factors_that_are_too_short_are_refused() {
        for level in Level::available() {
            assert_eq!(level.run(ShortTile::<1> { a_lacks: 0, b_lacks: 0 }), 3.0, "{level}");
            assert_eq!(level.run(ShortTile::<2> { a_lacks: 0, b_lacks: 0 }), 3.0, "{level}");
            for (a_lacks, b_lacks) in [(1, 0), (0, 1)] {
                let one = || level.run(ShortTile::<1> { a_lacks, b_lacks });
                assert!(catch_unwind(AssertUnwindSafe(one)).is_err(), "{level}: {a_lacks} {b_lacks}");
                let two = || level.run(ShortTile::<2> { a_lacks, b_lacks });
                assert!(catch_unwind(AssertUnwindSafe(two)).is_err(), "{level}: {a_lacks} {b_lacks}");
            }
        }
    }
}
