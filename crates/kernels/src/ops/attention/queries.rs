//! Attention of whole vectors of queries.

use super::head::{FLOOR, Head, MAX_BLOCK};
use super::operands::Rows;
use crate::gemm::columns::{load, store};
use crate::gemm::tile::{At, Left, Right, Tile, Tiles, accumulate, cover_rows};
use crate::isa::simd::Simd;
use crate::matrix::panels::{PanelSlice, Panels};
use crate::matrix::view_mut::ViewMut;
use crate::ops::softmax::exponentials;

impl Head<'_, '_> {
    /// Vectors of queries: scores S^T = K^T Q, their exponentials P, and the context V P / sums.
    #[inline(always)]
    pub(super) fn queries<S: Simd, const V: usize>(&mut self, s: S, column: usize, columns: usize) {
        let (operands, width) = (&self.operands, V * S::LANES);
        let scores = &mut self.scratch[..operands.k.columns() * width];
        let q = Right { data: operands.q.from(0, column), step: operands.q.step, columns };
        let mut max = [s.splat(f32::NEG_INFINITY); MAX_BLOCK];
        for slice in operands.k.slices() {
            let scores = &mut scores[slice.first * width..];
            let (scale, added, first, depth) = (operands.scale, operands.added, slice.first, operands.k.rows());
            let mut tiles = Scores { depth, k: left(&slice), q, scale, added, first, scores, max };
            cover_rows::<S, _, V>(s, slice.columns, column, columns, &mut tiles);
            max = tiles.max;
        }
        let mut sums = [s.splat(0.0); V];
        for row in scores.chunks_exact_mut(width) {
            exponentials(s, row, &max, FLOOR, &mut sums);
        }
        for sum in &mut sums {
            *sum = s.div(s.splat(1.0), *sum);
        }
        let mut tiles = Context { v: &operands.v, p: scores, inverse: &sums, out: self.out };
        cover_rows::<S, _, V>(s, operands.v.rows(), column, columns, &mut tiles);
    }
}

/// `scores[key][query] = scale * k[:, key] . q[:, query] + bias[key][query] + mask[key][query]` for the keys of one panel, and
/// the largest of each column.
struct Scores<'a, S: Simd> {
    depth: usize,
    /// The panel, a key's channels standing a row apart.
    k: Left<'a>,
    q: Right<'a>,
    scale: f32,
    added: [Option<Rows<'a>>; 2],
    /// The panel's first key.
    first: usize,
    scores: &'a mut [f32],
    max: [S::F32; MAX_BLOCK],
}

impl<S: Simd> Tiles<S> for Scores<'_, S> {
    const PADDED_ROWS: bool = false;

    #[inline(always)]
    fn tile<const R: usize, const V: usize>(&mut self, s: S, at: At) {
        let mut acc: Tile<S, R, V> = [[s.splat(0.0); V]; R];
        // A transpose: rows of the tile are keys, which lie side by side.
        let keys = Left { data: &self.k.data[at.row.min(self.k.data.len())..], row: 1, step: self.k.row };
        accumulate(s, self.depth, keys, self.q, &mut acc);
        // Step by step for the whole tile, over constants, so that it stays in registers.
        let [bias, mask] = self.added;
        match bias {
            Some(bias) => {
                for (r, acc) in acc.iter_mut().enumerate() {
                    let bias = load::<S, V>(s, &bias.from(self.first + at.row + r, at.column)[..at.columns]);
                    for v in 0..V {
                        acc[v] = s.mul_add(acc[v], s.splat(self.scale), bias[v]);
                    }
                }
            }
            None => {
                for y in acc.as_flattened_mut() {
                    *y = s.mul(*y, s.splat(self.scale));
                }
            }
        }
        if let Some(mask) = mask {
            for (r, acc) in acc.iter_mut().enumerate() {
                let mask = load::<S, V>(s, &mask.from(self.first + at.row + r, at.column)[..at.columns]);
                for v in 0..V {
                    acc[v] = s.add(acc[v], mask[v]);
                }
            }
        }
        let width = V * S::LANES;
        let rows = &mut self.scores[at.row * width..][..R * width];
        for (r, acc) in acc.iter().enumerate() {
            for (max, y) in self.max.iter_mut().zip(acc) {
                *max = s.max(*y, *max);
            }
            store(s, *acc, &mut rows[r * width..]);
        }
    }
}

/// `out[channel][query] = sum over keys of v[channel][key] * p[key][query] / sum[query]`
struct Context<'a, 'b, S: Simd> {
    v: &'a Panels<'a>,
    p: &'a [f32],
    inverse: &'a [S::F32],
    out: &'a mut ViewMut<'b>,
}

impl<S: Simd> Tiles<S> for Context<'_, '_, S> {
    const PADDED_ROWS: bool = false;

    #[inline(always)]
    fn tile<const R: usize, const V: usize>(&mut self, s: S, at: At) {
        let width = V * S::LANES;
        let mut acc: Tile<S, R, V> = [[s.splat(0.0); V]; R];
        for slice in self.v.slices() {
            let v = left(&slice);
            let v = Left { data: &v.data[at.row * v.row..], ..v };
            let p = Right { data: &self.p[slice.first * width..], step: width, columns: width };
            accumulate(s, slice.columns, v, p, &mut acc);
        }
        let outs = self.out.each_row_mut(at.row..at.row + R, at.column..at.column + at.columns);
        // Two loops over the constant R, so that the accumulators stay in registers.
        for acc in &mut acc {
            for (acc, inverse) in acc.iter_mut().zip(self.inverse) {
                *acc = s.mul(*acc, *inverse);
            }
        }
        for (acc, out) in acc.iter().zip(outs) {
            store(s, *acc, out);
        }
    }
}

/// Keys or values of one panel as a left factor: rows are rows, columns lie side by side.
#[inline(always)]
fn left<'a>(slice: &PanelSlice<'a>) -> Left<'a> {
    Left { data: slice.data, row: slice.step, step: 1 }
}
