//! Walking the columns of a matrix a few vectors at a time: the outer loop of every kernel.

use crate::isa::simd::Simd;

/// Work on a block of columns.
pub(crate) trait ColumnBlock<S: Simd> {
    /// `columns` columns from `column` on: `V` whole vectors, or less than one where `V` is 1.
    fn block<const V: usize>(&mut self, s: S, column: usize, columns: usize);
}

/// Covers `columns` columns with blocks as wide as register tiles, one partial vector last.
#[inline(always)]
pub(crate) fn for_each_block<S: Simd>(s: S, columns: usize, block: &mut impl ColumnBlock<S>) {
    let mut column = 0;
    while column < columns {
        let rest = columns - column;
        let vectors = block_vectors::<S>(rest / S::LANES);
        let width = rest.min(vectors * S::LANES);
        match vectors {
            4 => block.block::<4>(s, column, width),
            3 => block.block::<3>(s, column, width),
            2 => block.block::<2>(s, column, width),
            _ => block.block::<1>(s, column, width),
        }
        column += width;
    }
}

/// The width of the next block when so many whole vectors are left: the usual one, but no single vector is left over where
/// one tile or two tiles can take all.
#[inline(always)]
fn block_vectors<S: Simd>(vectors: usize) -> usize {
    let usual = S::TILE_VECTORS;
    match vectors == usual + 1 {
        true if S::TILE_ROWS[usual + 1] > 0 => vectors,
        true if usual > 2 => usual - 1,
        _ => vectors.clamp(1, usual),
    }
}

/// `V` vectors of a block; zeros beyond its end, which only a single vector may reach.
#[inline(always)]
pub(crate) fn load<S: Simd, const V: usize>(s: S, block: &[f32]) -> [S::F32; V] {
    if V == 1 && block.len() < S::LANES {
        return [s.load_up_to(block); V];
    }
    let block = &block[..V * S::LANES];
    let mut x = [s.splat(0.0); V];
    for v in 0..V {
        x[v] = s.load(&block[v * S::LANES..]);
    }
    x
}

/// Writes `V` vectors to a block, as far as it goes, if `V` is 1.
#[inline(always)]
pub(crate) fn store<S: Simd, const V: usize>(s: S, x: [S::F32; V], block: &mut [f32]) {
    if V == 1 && block.len() < S::LANES {
        return s.store_up_to(x[0], block);
    }
    let block = &mut block[..V * S::LANES];
    for v in 0..V {
        s.store(x[v], &mut block[v * S::LANES..]);
    }
}
