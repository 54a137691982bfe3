//! The register tiles of a packed product.

use super::epilogue::{Epilogue, finish_row};
use super::packed::{PACKED_ROWS, PackedMatrix};
use super::tile::{At, Left, Right, Tile, Tiles, accumulate};
use crate::isa::simd::Simd;
use crate::matrix::view_mut::ViewMut;

/// The operands of a packed product.
pub(super) struct PackedProduct<'a, 'b> {
    pub(super) a: &'a PackedMatrix<'a>,
    pub(super) b: &'a [f32],
    /// The values from one row of `b` to the next.
    pub(super) step: usize,
    pub(super) epilogue: Epilogue<'a>,
    pub(super) out: &'a mut ViewMut<'b>,
}

impl<S: Simd> Tiles<S> for PackedProduct<'_, '_> {
    const PADDED_ROWS: bool = true;

    #[inline(always)]
    fn tile<const R: usize, const V: usize>(&mut self, s: S, at: At) {
        let mut acc: Tile<S, R, V> = [[s.splat(0.0); V]; R];
        // An empty sum reads nothing of b, which may then have no data to index.
        let depth = self.a.shape()[1];
        if depth > 0 {
            let b = Right { data: &self.b[at.column..], step: self.step, columns: at.columns };
            accumulate(s, depth, left(self.a, at.row), b, &mut acc);
        }
        let epilogue = self.epilogue;
        let outs = self.out.each_row_mut(at.row..at.row + at.rows, at.column..at.column + at.columns);
        // Over the constant R, so that the accumulators stay in registers.
        for (r, (acc, out)) in acc.iter().zip(outs).enumerate() {
            finish_row(s, epilogue, at.row + r, acc, out);
        }
    }
}

/// The rows from `row` on, as a tile reads them; `row` is a multiple of the tile's height.
#[inline(always)]
fn left<'a>(a: &PackedMatrix<'a>, row: usize) -> Left<'a> {
    let group = row / PACKED_ROWS * PACKED_ROWS * a.shape()[1];
    Left { data: &a.data()[group + row % PACKED_ROWS..], row: 1, step: PACKED_ROWS }
}
