//! Scaled dot-product attention, fused per block of queries: scores, softmax and context stay in the near caches.

use crate::columns::{ColumnBlock, for_each_block, load, store};
use crate::error::{check_at_least, check_shape};
use crate::math::exp;
use crate::matmul::tile::{At, Left, Right, Tile, Tiles, accumulate, cover_rows};
use crate::simd::{Kernel, MAX_LANES, Simd};
use crate::softmax::exponentials;
use crate::{Error, Level, Panels, View, ViewMut};

/// The most queries that are worked on at a time, in vectors.
const MAX_BLOCK: usize = 4;

/// Scratch that [`attention`] needs for so many keys, in f32.
///
/// ```
/// assert!(kernels::attention_scratch_len(197) >= 197 * 48);
/// ```
pub const fn attention_scratch_len(keys: usize) -> usize {
    keys.saturating_mul(MAX_BLOCK * MAX_LANES)
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
    /// Keys x queries with contiguous rows, added to the scaled scores: relative position biases, masks of -infinity.
    pub biases: &'a [View<'a>],
}

/// One head of attention:
/// `out[:, i] = sum_j softmax_j(scale * k[:, j] . q[:, i] + sum_b biases[b][j, i]) v[:, j]`.
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
///     biases: &[],
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
    const OPERATION: &str = "attention";
    let Attention { q, k, v, biases, .. } = operands;
    let keys = k.columns();
    check_shape(OPERATION, "k", [q.rows(), keys], [k.rows(), keys])?;
    check_shape(OPERATION, "v", [v.rows(), keys], [v.rows(), v.columns()])?;
    check_shape(OPERATION, "out", [v.rows(), q.columns()], out.shape())?;
    check_at_least(OPERATION, "scratch", attention_scratch_len(keys), scratch.len())?;
    for bias in *biases {
        check_shape(OPERATION, "a bias", [keys, q.columns()], bias.shape())?;
        if !bias.has_contiguous_rows() {
            return Err(Error::RowsNotContiguous { operation: OPERATION, what: "a bias" });
        }
    }
    if !q.has_contiguous_rows() {
        return Err(Error::RowsNotContiguous { operation: OPERATION, what: "q" });
    }
    if !out.has_contiguous_rows() {
        return Err(Error::RowsNotContiguous { operation: OPERATION, what: "out" });
    }
    let Some((q, q_step)) = q.even_rows() else {
        return Err(Error::RowsNotEven { operation: OPERATION, what: "q" });
    };
    level.run(Head { q, q_step, operands, out, scratch });
    Ok(())
}

struct Head<'a, 'b> {
    q: &'a [f32],
    q_step: usize,
    operands: &'a Attention<'a>,
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
    /// One block of queries, or the last few that fill no vector.
    #[inline(always)]
    fn block<const V: usize>(&mut self, s: S, column: usize, columns: usize) {
        if V == 1 && columns < S::LANES {
            self.few_queries(s, column, columns);
        } else {
            self.queries::<S, V>(s, column, columns);
        }
    }
}

impl Head<'_, '_> {
    /// Whole vectors of queries: scores S^T = K^T Q, their exponentials P, and the context V P / sums.
    #[inline(always)]
    fn queries<S: Simd, const V: usize>(&mut self, s: S, column: usize, columns: usize) {
        let width = V * S::LANES;
        let Attention { k, v, scale, biases, .. } = *self.operands;
        let keys = k.columns();
        let scores = &mut self.scratch[..keys * width];
        let q = Right { data: &self.q[column.min(self.q.len())..], step: self.q_step, columns };
        let mut max = [s.splat(f32::NEG_INFINITY); MAX_BLOCK];
        for (first, piece) in k.pieces() {
            let scores = &mut scores[first * width..];
            let mut tiles = Scores { depth: k.rows(), k: left(&piece), q, scale, biases, first, scores, max };
            cover_rows::<S, _, V>(s, piece.columns(), column, columns, &mut tiles);
            max = tiles.max;
        }
        let mut matrix = ViewMut::new(scores, keys, width).expect("the slice was cut to this size");
        let mut inverse: [S::F32; V] = exponentials(s, &mut matrix, 0..width, &max);
        for inverse in &mut inverse {
            *inverse = s.div(s.splat(1.0), *inverse);
        }
        let mut tiles = Context { v: &v, p: scores, inverse: &inverse, out: self.out };
        cover_rows::<S, _, V>(s, v.rows(), column, columns, &mut tiles);
    }

    /// Fewer queries than a vector has lanes: their scores are computed with vectors along the keys, S = Q^T K. Each value
    /// and each sum is the same chain of operations as in a whole vector.
    #[inline(always)]
    fn few_queries<S: Simd>(&mut self, s: S, column: usize, columns: usize) {
        let Attention { k, v, scale, biases, .. } = *self.operands;
        let keys = k.columns();
        let (scores, p) = self.scratch.split_at_mut(columns * keys);
        let q = Left { data: &self.q[column.min(self.q.len())..], row: 1, step: self.q_step };
        for (first, piece) in k.pieces() {
            let keys_of_piece = piece.columns();
            let k = left(&piece);
            let k = Right { data: k.data, step: k.row, columns: 0 };
            let scores = &mut scores[first..];
            for_each_block(
                s,
                keys_of_piece,
                &mut KeyScores { q, k, depth: piece.rows(), queries: columns, keys, scores },
            );
        }
        let p = &mut p[..keys * S::LANES];
        p.fill(0.0);
        let mut inverse = [0.0; MAX_LANES];
        for (query, scores) in scores.chunks_exact_mut(keys.max(1)).enumerate() {
            scores.iter_mut().for_each(|score| *score *= scale);
            for bias in biases {
                let rows = bias.row_iter().expect("rows are contiguous: checked by attention");
                scores.iter_mut().zip(rows).for_each(|(score, row)| *score += row[column + query]);
            }
            let max = scores.iter().fold(f32::NEG_INFINITY, |max, &score| if score > max { score } else { max });
            for scores in scores.chunks_mut(S::LANES) {
                s.store_up_to(exp(s, s.sub(s.load_up_to(scores), s.splat(max))), scores);
            }
            inverse[query] = 1.0 / scores.iter().fold(0.0, |sum, e| sum + e);
            p.iter_mut().skip(query).step_by(S::LANES).zip(scores).for_each(|(p, e)| *p = *e);
        }
        if keys == 0 {
            inverse.fill(f32::INFINITY);
        }
        let mut tiles = Context { v: &v, p, inverse: &[s.load(&inverse)], out: self.out };
        cover_rows::<S, _, 1>(s, v.rows(), column, columns, &mut tiles);
    }
}

/// `scores[query][key] = q[:, query] . k[:, key]` for a few queries and the keys of one panel.
struct KeyScores<'a> {
    q: Left<'a>,
    k: Right<'a>,
    depth: usize,
    queries: usize,
    /// Keys of all panels: the values from one query's scores to the next's.
    keys: usize,
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
            store(s, *acc, &mut self.scores[(at.row + r) * self.keys + at.column..][..at.columns]);
        }
    }
}

/// `scores[key][query] = scale * k[:, key] . q[:, query] + sum of biases[key][query]` for the keys of one panel, and the
/// largest of each column.
struct Scores<'a, S: Simd> {
    depth: usize,
    /// The panel, a key's channels standing a row apart.
    k: Left<'a>,
    q: Right<'a>,
    scale: f32,
    biases: &'a [View<'a>],
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
        let width = V * S::LANES;
        let rows = &mut self.scores[at.row * width..][..R * width];
        for (r, row) in rows.chunks_exact_mut(width).enumerate() {
            let mut y = acc[r];
            for y in &mut y {
                *y = s.mul(*y, s.splat(self.scale));
            }
            for bias in self.biases {
                let bias = bias.row(self.first + at.row + r).expect("rows are contiguous: checked by attention");
                let bias = load::<S, V>(s, &bias[at.column..at.column + at.columns]);
                for v in 0..V {
                    y[v] = s.add(y[v], bias[v]);
                }
            }
            for (max, y) in self.max.iter_mut().zip(y) {
                *max = s.max(y, *max);
            }
            store(s, y, row);
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
        for (first, piece) in self.v.pieces() {
            let v = left(&piece);
            let v = Left { data: &v.data[at.row * v.row..], ..v };
            let p = Right { data: &self.p[first * width..], step: width, columns: width };
            accumulate(s, piece.columns(), v, p, &mut acc);
        }
        for (r, mut acc) in acc.into_iter().enumerate() {
            for (acc, inverse) in acc.iter_mut().zip(self.inverse) {
                *acc = s.mul(*acc, *inverse);
            }
            let out = self.out.row_mut(at.row + r).expect("rows are contiguous: checked by attention");
            store(s, acc, &mut out[at.column..at.column + at.columns]);
        }
    }
}

/// A matrix as a left factor: rows are rows, columns stand side by side.
#[inline(always)]
fn left<'a>(matrix: &View<'a>) -> Left<'a> {
    let (data, row) = matrix.even_rows().expect("a piece of a panel is an ordinary matrix");
    Left { data, row, step: 1 }
}
