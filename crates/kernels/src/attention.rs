//! Scaled dot-product attention, fused per block of queries: scores, softmax and context stay in the near caches.

use crate::columns::{ColumnBlock, for_each_block, load, store};
use crate::error::{check_at_least, check_shape};
use crate::math::exp;
use crate::matmul::tile::{At, Left, Right, Tile, Tiles, accumulate, cover_rows};
use crate::panel::Piece;
use crate::simd::{Kernel, MAX_LANES, Simd};
use crate::softmax::exponentials;
use crate::{Error, Level, Panels, View, ViewMut};

/// The most queries that are worked on at a time, in vectors.
const MAX_BLOCK: usize = 4;

/// The binary logarithm of the smallest exponential: nothing beside the largest, which is 1, and yet so large that its products
/// with values are not subnormal, which some processors are slow at.
const LOWEST: f32 = -100.0;

const OPERATION: &str = "attention";

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
    level.run(Head { q: even_rows("q", &q)?, k, v, scale, added, out, scratch });
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
            exponentials(s, row, &max, LOWEST, &mut sums);
        }
        for sum in &mut sums {
            *sum = s.div(s.splat(1.0), *sum);
        }
        let mut tiles = Context { v: &self.v, p: scores, inverse: &sums, out: self.out };
        cover_rows::<S, _, V>(s, self.v.rows(), column, columns, &mut tiles);
    }

    /// Fewer queries than a vector has lanes: their scores are computed with vectors along the keys, S = Q^T K. Each value
    /// and each sum is the same chain of operations as in a whole vector.
    #[inline(always)]
    fn few_queries<S: Simd>(&mut self, s: S, column: usize, columns: usize) {
        let keys = self.k.columns();
        let (scores, p) = self.scratch.split_at_mut(columns * keys);
        let (scale, added) = (self.scale, self.added);
        let q = Left { data: self.q.from(0, column), row: 1, step: self.q.step };
        for piece in self.k.pieces() {
            let k = Right { data: piece.data, step: piece.step, columns: 0 };
            let (scores, depth) = (&mut scores[piece.first..], self.k.rows());
            for_each_block(s, piece.columns, &mut KeyScores { q, k, depth, queries: columns, keys, scores });
        }
        let p = &mut p[..keys * S::LANES];
        p.fill(0.0);
        let mut inverse = [0.0; MAX_LANES];
        for (query, scores) in scores.chunks_exact_mut(keys.max(1)).enumerate() {
            inverse[query] = 1.0 / exponentials_of_query(s, scale, &added, column + query, scores);
            p.iter_mut().skip(query).step_by(S::LANES).zip(scores).for_each(|(p, e)| *p = *e);
        }
        if keys == 0 {
            inverse.fill(f32::INFINITY);
        }
        let mut tiles = Context { v: &self.v, p, inverse: &[s.load(&inverse)], out: self.out };
        cover_rows::<S, _, 1>(s, self.v.rows(), column, columns, &mut tiles);
    }
}

/// Turns one query's products with the keys into the exponentials of its scores; gives their sum.
#[inline(always)]
fn exponentials_of_query<S: Simd>(
    s: S,
    scale: f32,
    added: &[Option<Rows>; 2],
    query: usize,
    scores: &mut [f32],
) -> f32 {
    scores.iter_mut().for_each(|score| *score *= scale);
    for added in added.iter().flatten() {
        let column = added.from(0, query).iter().step_by(added.step.max(1));
        scores.iter_mut().zip(column).for_each(|(score, added)| *score += added);
    }
    let max = scores.iter().fold(f32::NEG_INFINITY, |max, &score| if score > max { score } else { max });
    for scores in scores.chunks_mut(S::LANES) {
        let [e] = exp(s, [s.sub(s.load_up_to(scores), s.splat(max))], LOWEST);
        s.store_up_to(e, scores);
    }
    scores.iter().fold(0.0, |sum, e| sum + e)
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
        for acc in &mut acc {
            for y in acc {
                *y = s.mul(*y, s.splat(self.scale));
            }
        }
        for added in self.added.iter().flatten() {
            for (r, acc) in acc.iter_mut().enumerate() {
                let row = added.from(self.first + at.row + r, at.column);
                let added = load::<S, V>(s, &row[..V * S::LANES]);
                for v in 0..V {
                    acc[v] = s.add(acc[v], added[v]);
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
        let starts = self.out.starts(at.row..at.row + R).array::<R>();
        for (r, acc) in acc.iter_mut().enumerate() {
            for (acc, inverse) in acc.iter_mut().zip(self.inverse) {
                *acc = s.mul(*acc, *inverse);
            }
            store(s, *acc, self.out.at_start(starts[r], at.column..at.column + at.columns));
        }
    }
}

/// A piece of keys or values as a left factor: rows are rows, columns stand side by side.
#[inline(always)]
fn left<'a>(piece: &Piece<'a>) -> Left<'a> {
    Left { data: piece.data, row: piece.step, step: 1 }
}
