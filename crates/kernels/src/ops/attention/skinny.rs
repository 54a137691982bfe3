//! Attention of fewer queries than a vector has lanes.

use super::head::{FLOOR, Head};
use super::operands::Rows;
use crate::gemm::columns::{ColumnBlock, for_each_block, store};
use crate::gemm::tile::{At, Left, Right, Tile, Tiles, accumulate, cover_rows};
use crate::isa::simd::{MAX_LANES, Simd};
use crate::matrix::panels::Panels;
use crate::matrix::view_mut::ViewMut;
use crate::ops::softmax::exponentials;

/// The most queries that are faster one by one than as a vector: measured, 3 with 16 channels and 9 with 64.
pub(super) const MAX_QUERIES: usize = 6;

impl Head<'_, '_> {
    /// Fewer queries than a vector has lanes: vectors run along the keys for their scores, S = Q^T K, and along the channels
    /// for the context, P V^T. Each value and each sum is the same chain of operations as in a whole vector.
    #[inline(always)]
    pub(super) fn skinny_queries<S: Simd>(&mut self, s: S, column: usize, columns: usize) {
        let operands = &self.operands;
        let keys = operands.k.columns();
        let row = keys.next_multiple_of(S::LANES);
        let (scores, rest) = self.scratch.split_at_mut(columns * row);
        let (added, transposed) = rest.split_at_mut(row);
        let q = Left { data: operands.q.from(0, column), row: 1, step: operands.q.step };
        for slice in operands.k.slices() {
            let k = Right { data: slice.data, step: slice.step, columns: 0 };
            let (scores, depth) = (&mut scores[slice.first..], operands.k.rows());
            for_each_block(s, slice.columns, &mut KeyScores { q, k, depth, queries: columns, row, scores });
        }
        let mut inverse = [0.0; MAX_LANES];
        for (query, scores) in scores.chunks_exact_mut(row.max(1)).enumerate() {
            let rows = operands.added.map(|rows| rows.map(|rows| Rows { data: rows.from(0, column + query), ..rows }));
            scale_scores(s, &mut scores[..keys], operands.scale, rows, added);
            scores[keys..].fill(f32::NEG_INFINITY);
            inverse[query] = 1.0 / exponentials_of_query(s, scores, keys);
        }
        if keys == 0 {
            inverse.fill(f32::INFINITY);
        }
        let channels = operands.v.rows();
        let (v, out) = (&operands.v, &mut *self.out);
        for_each_block(
            s,
            channels,
            &mut SkinnyContexts { v, p: scores, row, inverse, transposed, queries: columns, column, out },
        );
    }
}

/// `scores = scale * scores + bias + mask` for one query, the first column of `bias` and `mask`; `column` is scratch for copies
/// of theirs.
#[inline(always)]
fn scale_scores<S: Simd>(s: S, scores: &mut [f32], scale: f32, [bias, mask]: [Option<Rows>; 2], column: &mut [f32]) {
    let column = &mut column[..scores.len()];
    // By index: a step of 0 repeats one row for every key.
    let copy = |column: &mut [f32], rows: Rows| {
        column.iter_mut().enumerate().for_each(|(key, x)| *x = rows.data[key * rows.step]);
    };
    if let Some(bias) = bias {
        copy(column, bias);
    }
    for (scores, bias_of) in scores.chunks_mut(S::LANES).zip(column.chunks(S::LANES)) {
        let (x, scale) = (s.load_up_to(scores), s.splat(scale));
        let x = if bias.is_some() { s.mul_add(x, scale, s.load_up_to(bias_of)) } else { s.mul(x, scale) };
        s.store_up_to(x, scores);
    }
    if let Some(mask) = mask {
        copy(column, mask);
        scores.iter_mut().zip(column).for_each(|(x, mask)| *x += *mask);
    }
}

/// Turns one query's scores, whole vectors that end with -infinity, into exponentials; gives the sum of those of its keys.
#[inline(always)]
fn exponentials_of_query<S: Simd>(s: S, scores: &mut [f32], keys: usize) -> f32 {
    let mut max = s.splat(f32::NEG_INFINITY);
    for scores in scores.chunks_exact(S::LANES) {
        max = s.max(s.load(scores), max);
    }
    let mut lanes = [f32::NEG_INFINITY; MAX_LANES];
    s.store(max, &mut lanes);
    let max = lanes.iter().fold(f32::NEG_INFINITY, |max, &x| if x > max { x } else { max });
    for scores in scores.chunks_exact_mut(S::LANES) {
        exponentials::<S, 1>(s, scores, &[s.splat(max)], FLOOR, &mut [s.splat(0.0)]);
    }
    scores[..keys].iter().fold(0.0, |sum, e| sum + e)
}

/// `out[channel][query] = inverse[query] * sum over keys of p[query][key] * v[channel][key]` for fewer queries than a vector has lanes.
struct SkinnyContexts<'a, 'b> {
    v: &'a Panels<'a>,
    p: &'a [f32],
    /// The values from one query's row of `p` to the next.
    row: usize,
    inverse: [f32; MAX_LANES],
    /// A block of V, transposed: a key's channels are neighbours.
    transposed: &'a mut [f32],
    queries: usize,
    /// The first query's column of `out`.
    column: usize,
    out: &'a mut ViewMut<'b>,
}

impl<S: Simd> ColumnBlock<S> for SkinnyContexts<'_, '_> {
    /// A block of channels.
    #[inline(always)]
    fn block<const V: usize>(&mut self, s: S, channel: usize, channels: usize) {
        let width = V * S::LANES;
        for slice in self.v.slices() {
            let v = &slice.data[channel * slice.step..];
            transpose(
                s,
                [channels, slice.columns],
                (v, slice.step),
                (&mut self.transposed[slice.first * width..], width),
            );
        }
        cover_rows::<S, _, V>(s, self.queries, channel, channels, self);
    }
}

impl<S: Simd> Tiles<S> for SkinnyContexts<'_, '_> {
    const PADDED_ROWS: bool = false;

    /// Rows are queries and columns channels.
    #[inline(always)]
    fn tile<const R: usize, const V: usize>(&mut self, s: S, at: At) {
        let width = V * S::LANES;
        let mut acc: Tile<S, R, V> = [[s.splat(0.0); V]; R];
        let p = Left { data: &self.p[at.row * self.row..], row: self.row, step: 1 };
        accumulate(s, self.v.columns(), p, Right { data: self.transposed, step: width, columns: width }, &mut acc);
        let mut contexts = [[[0.0; MAX_LANES]; V]; R];
        for r in 0..R {
            for v in 0..V {
                s.store(s.mul(acc[r][v], s.splat(self.inverse[at.row + r])), &mut contexts[r][v]);
            }
        }
        let queries = self.column + at.row..self.column + at.row + R;
        let outs = self.out.each_row_mut(at.column..at.column + at.columns, queries);
        for (c, out) in outs.enumerate() {
            for r in 0..R {
                out[r] = contexts[r][c / S::LANES][c % S::LANES];
            }
        }
    }
}

/// `out[c][r] = x[r][c]` for a matrix of the given rows and columns, each with the values from one row to the next.
#[inline(always)]
fn transpose<S: Simd>(
    s: S,
    [rows, columns]: [usize; 2],
    (x, x_step): (&[f32], usize),
    (out, out_step): (&mut [f32], usize),
) {
    let whole = [rows, columns].map(|n| n / S::LANES * S::LANES);
    for r in (0..whole[0]).step_by(S::LANES) {
        for c in (0..whole[1]).step_by(S::LANES) {
            s.transpose(&x[r * x_step + c..], x_step, &mut out[c * out_step + r..], out_step);
        }
    }
    for r in 0..rows {
        let first = if r < whole[0] { whole[1] } else { 0 };
        let row = &x[r * x_step..][..columns];
        for c in first..columns {
            out[c * out_step + r] = row[c];
        }
    }
}

/// `scores[query][key] = q[:, query] . k[:, key]` for fewer queries than a vector has lanes and the keys of one panel.
struct KeyScores<'a> {
    q: Left<'a>,
    k: Right<'a>,
    depth: usize,
    queries: usize,
    /// The values from one query's scores to the next's.
    row: usize,
    scores: &'a mut [f32],
}

impl<S: Simd> ColumnBlock<S> for KeyScores<'_> {
    #[inline(always)]
    fn block<const V: usize>(&mut self, s: S, column: usize, columns: usize) {
        cover_rows::<S, _, V>(s, self.queries, column, columns, self);
    }
}

impl<S: Simd> Tiles<S> for KeyScores<'_> {
    const PADDED_ROWS: bool = false;

    #[inline(always)]
    fn tile<const R: usize, const V: usize>(&mut self, s: S, at: At) {
        let mut acc: Tile<S, R, V> = [[s.splat(0.0); V]; R];
        let q = Left { data: &self.q.data[at.row.min(self.q.data.len())..], ..self.q };
        let k =
            Right { data: &self.k.data[at.column.min(self.k.data.len())..], step: self.k.step, columns: at.columns };
        accumulate(s, self.depth, q, k, &mut acc);
        for (r, acc) in acc.iter().enumerate() {
            store(s, *acc, &mut self.scores[(at.row + r) * self.row + at.column..][..at.columns]);
        }
    }
}
