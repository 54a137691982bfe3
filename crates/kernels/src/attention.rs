//! Scaled dot-product attention, fused per block of queries: scores, softmax and context stay in the near caches.

use crate::columns::{ColumnBlock, for_each_block, load, store};
use crate::error::{check_at_least, check_shape};
use crate::matmul::tile::{At, Left, Right, Tile, Tiles, accumulate, cover_rows};
use crate::panel::Piece;
use crate::simd::{Kernel, MAX_LANES, Simd};
use crate::softmax::exponentials;
use crate::{Error, Level, Panels, View, ViewMut};

/// The most queries that are worked on at a time, in vectors.
const MAX_BLOCK: usize = 4;

/// The binary logarithm of the smallest exponential, and its value, which is taken off all of them: beside the largest, which is
/// 1, it is nothing, and what a mask hides weighs exactly 0, without a comparison.
const FLOOR: [f32; 2] = [-100.0, f32::from_bits((127 - 100) << 23)];

const OPERATION: &str = "attention";

/// The most queries that are faster one by one than as a vector: measured, 3 with 16 channels and 9 with 64.
const MAX_FEW: usize = 6;

/// Scratch that [`attention`] needs for so many keys, in f32.
///
/// ```
/// assert!(kernels::attention_scratch_len(197) >= 197 * 48);
/// ```
pub const fn attention_scratch_len(keys: usize) -> usize {
    // Scores of a block, or a block of transposed values, a few queries' scores and a row beside them.
    let row = keys.div_ceil(MAX_LANES).saturating_mul(MAX_LANES);
    row.saturating_mul(MAX_BLOCK * MAX_LANES + MAX_FEW + 1)
}

/// The operands of one head of attention, channel-major.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    /// D x queries, with contiguous, evenly spaced rows.
    pub q: View<'a>,
    /// D x keys; an ordinary matrix is one panel.
    pub k: Panels<'a>,
    /// Dv x keys.
    pub v: Panels<'a>,
    /// The factor on `k . q`, usually `1 / sqrt(D)`.
    pub scale: f32,
    /// Keys x queries with contiguous, evenly spaced rows, added to the scaled scores: relative positions.
    pub bias: Option<View<'a>>,
    /// As `bias`, added after it: 0 where a query may see a key and -infinity where not.
    pub mask: Option<View<'a>>,
}

/// One head of attention:
/// `out[:, i] = sum_j softmax_j(scale * k[:, j] . q[:, i] + bias[j, i] + mask[j, i]) v[:, j]`.
///
/// `out` is Dv x queries with contiguous rows. The division by the softmax's sum is deferred to the output, where it is one
/// multiplication a value. With no keys the output is NaN, as a softmax over nothing is.
///
/// ```
/// use kernels::{Attention, Level, Panels, View, ViewMut, attention, attention_scratch_len};
/// let operands = Attention {
///     q: View::new(&[1.0, 0.0], 1, 2)?,             // 1 channel, 2 queries
///     k: Panels::single(&[0.0, 0.0, 0.0], 1, 3)?,   // 3 keys, all alike
///     v: Panels::single(&[1.0, 2.0, 6.0], 1, 3)?,
///     scale: 1.0,
///     bias: None,
///     mask: None,
/// };
/// let mut out = [0.0; 2];
/// let mut scratch = vec![0.0; attention_scratch_len(3)];
/// attention(Level::detect(), &operands, &mut ViewMut::new(&mut out, 1, 2)?, &mut scratch)?;
/// assert!(out.iter().all(|y| (y - 3.0).abs() < 1e-6));
/// # Ok::<(), kernels::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] if shapes do not fit, [`Error::RowsNotContiguous`], [`Error::RowsNotEven`], and [`Error::Length`] if
/// `scratch` is shorter than [`attention_scratch_len`].
pub fn attention(level: Level, operands: &Attention, out: &mut ViewMut, scratch: &mut [f32]) -> Result<(), Error> {
    let Attention { q, k, v, scale, bias, mask } = *operands;
    let keys = k.columns();
    check_shape(OPERATION, "k", [q.rows(), keys], [k.rows(), keys])?;
    check_shape(OPERATION, "v", [v.rows(), keys], [v.rows(), v.columns()])?;
    check_shape(OPERATION, "out", [v.rows(), q.columns()], out.shape())?;
    check_at_least(OPERATION, "scratch", attention_scratch_len(keys), scratch.len())?;
    if !out.has_contiguous_rows() {
        return Err(Error::RowsNotContiguous { operation: OPERATION, what: "out" });
    }
    let mut added = [None; 2];
    for (added, (what, view)) in added.iter_mut().zip([("bias", bias), ("mask", mask)]) {
        if let Some(view) = view {
            check_shape(OPERATION, what, [keys, q.columns()], view.shape())?;
            *added = Some(even_rows(what, &view)?);
        }
    }
    let q = even_rows("q", &q)?;
    if !out.is_empty() {
        level.run(Head { q, k, v, scale, added, out, scratch });
    }
    Ok(())
}

/// A matrix whose rows are contiguous and evenly spaced.
#[derive(Clone, Copy)]
struct Rows<'a> {
    data: &'a [f32],
    step: usize,
}

impl<'a> Rows<'a> {
    /// The data from a row and column on; nothing where there is no such place.
    #[inline(always)]
    fn from(&self, row: usize, column: usize) -> &'a [f32] {
        &self.data[(row * self.step + column).min(self.data.len())..]
    }
}

fn even_rows<'a>(what: &'static str, view: &View<'a>) -> Result<Rows<'a>, Error> {
    if !view.has_contiguous_rows() {
        return Err(Error::RowsNotContiguous { operation: OPERATION, what });
    }
    let (data, step) = view.even_rows().ok_or(Error::RowsNotEven { operation: OPERATION, what })?;
    Ok(Rows { data, step })
}

struct Head<'a, 'b> {
    q: Rows<'a>,
    k: Panels<'a>,
    v: Panels<'a>,
    scale: f32,
    /// Bias and mask.
    added: [Option<Rows<'a>>; 2],
    out: &'a mut ViewMut<'b>,
    scratch: &'a mut [f32],
}

impl Kernel for Head<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        for_each_block(s, self.out.columns(), &mut self);
    }
}

impl<S: Simd> ColumnBlock<S> for Head<'_, '_> {
    /// One block of queries: the last may fill no vector.
    #[inline(always)]
    fn block<const V: usize>(&mut self, s: S, column: usize, columns: usize) {
        if V == 1 && columns <= MAX_FEW && columns < S::LANES {
            self.few_queries(s, column, columns);
        } else {
            self.queries::<S, V>(s, column, columns);
        }
    }
}

impl Head<'_, '_> {
    /// Vectors of queries: scores S^T = K^T Q, their exponentials P, and the context V P / sums.
    #[inline(always)]
    fn queries<S: Simd, const V: usize>(&mut self, s: S, column: usize, columns: usize) {
        let width = V * S::LANES;
        let scores = &mut self.scratch[..self.k.columns() * width];
        let q = Right { data: self.q.from(0, column), step: self.q.step, columns };
        let mut max = [s.splat(f32::NEG_INFINITY); MAX_BLOCK];
        for piece in self.k.pieces() {
            let scores = &mut scores[piece.first * width..];
            let (scale, added, first, depth) = (self.scale, self.added, piece.first, self.k.rows());
            let mut tiles = Scores { depth, k: left(&piece), q, scale, added, first, scores, max };
            cover_rows::<S, _, V>(s, piece.columns, column, columns, &mut tiles);
            max = tiles.max;
        }
        let mut sums = [s.splat(0.0); V];
        for row in scores.chunks_exact_mut(width) {
            exponentials(s, row, &max, FLOOR, &mut sums);
        }
        for sum in &mut sums {
            *sum = s.div(s.splat(1.0), *sum);
        }
        let mut tiles = Context { v: &self.v, p: scores, inverse: &sums, out: self.out };
        cover_rows::<S, _, V>(s, self.v.rows(), column, columns, &mut tiles);
    }

    /// Fewer queries than a vector has lanes: vectors run along the keys for their scores, S = Q^T K, and along the channels
    /// for the context, P V^T. Each value and each sum is the same chain of operations as in a whole vector.
    #[inline(always)]
    fn few_queries<S: Simd>(&mut self, s: S, column: usize, columns: usize) {
        let keys = self.k.columns();
        let row = keys.next_multiple_of(S::LANES);
        let (scores, rest) = self.scratch.split_at_mut(columns * row);
        let (added, transposed) = rest.split_at_mut(row);
        let q = Left { data: self.q.from(0, column), row: 1, step: self.q.step };
        for piece in self.k.pieces() {
            let k = Right { data: piece.data, step: piece.step, columns: 0 };
            let (scores, depth) = (&mut scores[piece.first..], self.k.rows());
            for_each_block(s, piece.columns, &mut KeyScores { q, k, depth, queries: columns, row, scores });
        }
        let mut inverse = [0.0; MAX_LANES];
        for (query, scores) in scores.chunks_exact_mut(row.max(1)).enumerate() {
            let rows = self.added.map(|rows| rows.map(|rows| Rows { data: rows.from(0, column + query), ..rows }));
            scale_scores(s, &mut scores[..keys], self.scale, rows, added);
            scores[keys..].fill(f32::NEG_INFINITY);
            inverse[query] = 1.0 / exponentials_of_query(s, scores, keys);
        }
        if keys == 0 {
            inverse.fill(f32::INFINITY);
        }
        let channels = self.v.rows();
        let (v, out) = (&self.v, &mut *self.out);
        for_each_block(
            s,
            channels,
            &mut FewContexts { v, p: scores, row, inverse, transposed, queries: columns, column, out },
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

/// `out[channel][query] = inverse[query] * sum over keys of p[query][key] * v[channel][key]` for a few queries.
struct FewContexts<'a, 'b> {
    v: &'a Panels<'a>,
    p: &'a [f32],
    /// The values from one query's row of `p` to the next.
    row: usize,
    inverse: [f32; MAX_LANES],
    /// A block of V, transposed: a key's channels stand side by side.
    transposed: &'a mut [f32],
    queries: usize,
    /// The first query's column of `out`.
    column: usize,
    out: &'a mut ViewMut<'b>,
}

impl<S: Simd> ColumnBlock<S> for FewContexts<'_, '_> {
    /// A block of channels.
    #[inline(always)]
    fn block<const V: usize>(&mut self, s: S, channel: usize, channels: usize) {
        let width = V * S::LANES;
        for piece in self.v.pieces() {
            let v = &piece.data[channel * piece.step..];
            transpose(
                s,
                [channels, piece.columns],
                (v, piece.step),
                (&mut self.transposed[piece.first * width..], width),
            );
        }
        cover_rows::<S, _, V>(s, self.queries, channel, channels, self);
    }
}

impl<S: Simd> Tiles<S> for FewContexts<'_, '_> {
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

/// `scores[query][key] = q[:, query] . k[:, key]` for a few queries and the keys of one panel.
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
        for piece in self.v.pieces() {
            let v = left(&piece);
            let v = Left { data: &v.data[at.row * v.row..], ..v };
            let p = Right { data: &self.p[piece.first * width..], step: width, columns: width };
            accumulate(s, piece.columns, v, p, &mut acc);
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

/// A piece of keys or values as a left factor: rows are rows, columns stand side by side.
#[inline(always)]
fn left<'a>(piece: &Piece<'a>) -> Left<'a> {
    Left { data: piece.data, row: piece.step, step: 1 }
}
