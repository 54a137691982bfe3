//! Scaled dot-product attention, fused per block of queries: scores, softmax and context stay in the near caches.

use crate::columns::{ColumnBlock, for_each_block, store};
use crate::error::{check_at_least, check_shape};
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

/// One head of attention over channel-major matrices: `out[:, i] = sum_j softmax_j(scale * k[:, j] . q[:, i]) v[:, j]`.
///
/// `q` is D x queries with contiguous, evenly spaced rows; `k` (D x keys) and `v` (Dv x keys) come in panels, an ordinary
/// matrix being one panel; `out` is Dv x queries with contiguous rows. The division by the softmax's sum is deferred to the
/// output, where it is one multiplication a value.
///
/// ```
/// use kernels::{Level, Panels, View, ViewMut, attention, attention_scratch_len};
/// let q = [1.0, 0.0]; // 1 channel, 2 queries
/// let k = [0.0, 0.0, 0.0]; // 3 keys, all alike
/// let v = [1.0, 2.0, 6.0];
/// let (k, v) = (Panels::single(&k, 1, 3)?, Panels::single(&v, 1, 3)?);
/// let mut out = [0.0; 2];
/// let mut scratch = vec![0.0; attention_scratch_len(3)];
/// let mut out_view = ViewMut::new(&mut out, 1, 2)?;
/// attention(Level::detect(), &View::new(&q, 1, 2)?, &k, &v, 1.0, &mut out_view, &mut scratch)?;
/// assert!(out.iter().all(|y| (y - 3.0).abs() < 1e-6));
/// # Ok::<(), kernels::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] if shapes do not fit, [`Error::RowsNotContiguous`], [`Error::RowsNotEven`], and [`Error::Length`] if
/// `scratch` is shorter than [`attention_scratch_len`].
pub fn attention(
    level: Level,
    q: &View,
    k: &Panels,
    v: &Panels,
    scale: f32,
    out: &mut ViewMut,
    scratch: &mut [f32],
) -> Result<(), Error> {
    const OPERATION: &str = "attention";
    let keys = k.layout().columns();
    check_shape(OPERATION, "k", [q.rows(), keys], [k.rows(), keys])?;
    check_shape(OPERATION, "v", [v.rows(), keys], [v.rows(), v.layout().columns()])?;
    check_shape(OPERATION, "out", [v.rows(), q.columns()], out.shape())?;
    check_at_least(OPERATION, "scratch", attention_scratch_len(keys), scratch.len())?;
    if !q.has_contiguous_rows() {
        return Err(Error::RowsNotContiguous { operation: OPERATION, what: "q" });
    }
    if !out.has_contiguous_rows() {
        return Err(Error::RowsNotContiguous { operation: OPERATION, what: "out" });
    }
    let Some((q, q_step)) = q.even_rows() else {
        return Err(Error::RowsNotEven { operation: OPERATION, what: "q" });
    };
    level.run(Attention { q, q_step, k, v, scale, out, scratch });
    Ok(())
}

struct Attention<'a, 'b> {
    q: &'a [f32],
    q_step: usize,
    k: &'a Panels<'a>,
    v: &'a Panels<'a>,
    scale: f32,
    out: &'a mut ViewMut<'b>,
    scratch: &'a mut [f32],
}

impl Kernel for Attention<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        for_each_block(s, self.out.columns(), &mut self);
    }
}

impl<S: Simd> ColumnBlock<S> for Attention<'_, '_> {
    /// One block of queries: scores S^T = K^T Q, their exponentials P, and the context V P / sums.
    #[inline(always)]
    fn block<const V: usize>(&mut self, s: S, column: usize, columns: usize) {
        let width = V * S::LANES;
        let layout = *self.k.layout();
        let scores = &mut self.scratch[..layout.columns() * width];
        let q = Right { data: &self.q[column.min(self.q.len())..], step: self.q_step, columns };
        for panel in 0..layout.count() {
            let scores = &mut scores[layout.range(panel).start * width..];
            let mut tiles = Scores { depth: self.k.rows(), k: self.k.left(panel), q, scores };
            cover_rows::<S, _, V>(s, layout.valid(panel), column, columns, &mut tiles);
        }
        let mut matrix = ViewMut::new(scores, layout.columns(), width).expect("the slice was cut to this size");
        let sums: [S::F32; V] = exponentials(s, &mut matrix, 0..width, self.scale);
        let mut inverse = sums;
        for v in 0..V {
            inverse[v] = s.div(s.splat(1.0), sums[v]);
        }
        let mut tiles = Context { v: self.v, p: scores, inverse: &inverse, out: self.out };
        cover_rows::<S, _, V>(s, self.v.rows(), column, columns, &mut tiles);
    }
}

/// `scores[key][query] = k[:, key] . q[:, query]` for the keys of one panel.
struct Scores<'a> {
    depth: usize,
    /// The panel, a key's channels standing a row apart.
    k: Left<'a>,
    q: Right<'a>,
    scores: &'a mut [f32],
}

impl<S: Simd> Tiles<S> for Scores<'_> {
    const PADDED_ROWS: bool = false;

    #[inline(always)]
    fn tile<const R: usize, const V: usize>(&mut self, s: S, at: At) {
        let mut acc: Tile<S, R, V> = [[s.splat(0.0); V]; R];
        // A transpose: rows of the tile are keys, which lie side by side.
        let keys = Left { data: &self.k.data[at.row.min(self.k.data.len())..], row: 1, step: self.k.row };
        accumulate(s, self.depth, keys, self.q, &mut acc);
        let width = V * S::LANES;
        let rows = &mut self.scores[at.row * width..][..R * width];
        for (row, acc) in rows.chunks_exact_mut(width).zip(acc) {
            store(s, acc, row);
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
        let layout = self.v.layout();
        let mut acc: Tile<S, R, V> = [[s.splat(0.0); V]; R];
        for panel in 0..layout.count() {
            let v = self.v.left(panel);
            let v = Left { data: &v.data[at.row * v.row..], ..v };
            let p = Right { data: &self.p[layout.range(panel).start * width..], step: width, columns: width };
            accumulate(s, layout.valid(panel), v, p, &mut acc);
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

impl<'a> Panels<'a> {
    /// One panel as a left factor: rows of the matrix are rows, columns stand side by side.
    #[inline(always)]
    fn left(&self, panel: usize) -> Left<'a> {
        let (data, row) = self.panel(panel).even_rows().expect("a panel is an ordinary matrix");
        Left { data, row, step: 1 }
    }
}
