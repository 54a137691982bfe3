//! Products with fewer columns than a vector has lanes: vectors run along the weights' rows instead.
//!
//! A vector of such columns would do the work of a full one. Here each column costs what it must, so the last tokens of an
//! image, a class token by itself and a classifier pay for no padding. Elements are the same chains, to the same bits.

use core::ops::Range;

use super::epilogue::Epilogue;
use super::packed::PACKED_ROWS;
use super::product::PackedProduct;
use super::tile::span;
use crate::isa::simd::{MAX_LANES, Simd};

/// The most columns of a tile. With two vectors of rows, 8 columns are 16 accumulators, which hide the latency of AVX-512's
/// multiply-adds; AVX2 has registers for 6. More columns would be more code for panels that few models have. Levels with short
/// vectors have at most 3 remainder columns and run on processors with little memory for code, so they take one at a time.
const fn max_columns(lanes: usize) -> usize {
    match lanes {
        0..=4 => 1,
        5..=8 => 6,
        _ => 8,
    }
}

impl PackedProduct<'_, '_> {
    /// The product's `columns` columns from `column` on, fewer than `LANES`.
    #[inline(always)]
    pub(super) fn skinny_columns<S: Simd>(&mut self, s: S, column: usize, columns: usize) {
        let mut done = 0;
        while done < columns {
            let width = max_columns(S::LANES).min(columns - done);
            match width {
                1 => self.strip::<S, 1>(s, column + done),
                2 if S::LANES > 4 => self.strip::<S, 2>(s, column + done),
                3 if S::LANES > 4 => self.strip::<S, 3>(s, column + done),
                4 if S::LANES > 4 => self.strip::<S, 4>(s, column + done),
                5 if S::LANES > 4 => self.strip::<S, 5>(s, column + done),
                6 if S::LANES > 4 => self.strip::<S, 6>(s, column + done),
                7 if S::LANES > 8 => self.strip::<S, 7>(s, column + done),
                8 if S::LANES > 8 => self.strip::<S, 8>(s, column + done),
                _ => unreachable!("no more columns than a tile has"),
            }
            done += width;
        }
    }

    /// All rows of C columns, in tiles of two vectors or, with one or two columns, of four, so that multiply-adds need not wait for each other.
    #[inline(always)]
    fn strip<S: Simd, const C: usize>(&mut self, s: S, column: usize) {
        let mut row = 0;
        while C <= 2 && row + 4 * S::LANES <= self.a.shape()[0] {
            self.skinny_tile::<S, C, 4>(s, row, column);
            row += 4 * S::LANES;
        }
        while row + 2 * S::LANES <= self.a.shape()[0] {
            self.skinny_tile::<S, C, 2>(s, row, column);
            row += 2 * S::LANES;
        }
        while row < self.a.shape()[0] {
            self.skinny_tile::<S, C, 1>(s, row, column);
            row += S::LANES;
        }
    }

    /// V vectors of rows by C columns; out-of-range rows are computed from others and discarded.
    #[inline(always)]
    fn skinny_tile<S: Simd, const C: usize, const V: usize>(&mut self, s: S, row: usize, column: usize) {
        let mut acc = [[s.splat(0.0); V]; C];
        self.accumulate_rows(s, row, column, &mut acc);
        for v in 0..V {
            let mut vectors = [s.splat(0.0); C];
            for (vector, acc) in vectors.iter_mut().zip(&acc) {
                *vector = acc[v];
            }
            let first = row + v * S::LANES;
            self.finish_columns(s, first..self.a.shape()[0].min(first + S::LANES), column, vectors);
        }
    }

    /// `acc[c][v] += sum over k of a[rows of v][k] * b[k][column + c]`
    #[inline(always)]
    fn accumulate_rows<S: Simd, const C: usize, const V: usize>(
        &self,
        s: S,
        row: usize,
        column: usize,
        acc: &mut [[S::F32; V]; C],
    ) {
        let depth = self.a.shape()[1];
        if depth == 0 {
            return;
        }
        let group_len = PACKED_ROWS * depth;
        let last_group = (self.a.shape()[0] - 1) / PACKED_ROWS;
        let mut starts = [0; V];
        let mut steps = [0; V];
        for v in 0..V {
            let row = row + v * S::LANES;
            let (group, next) = (row / PACKED_ROWS, (row + S::LANES - 1) / PACKED_ROWS);
            starts[v] = group * group_len + row % PACKED_ROWS;
            steps[v] = (next.min(last_group) - group) * group_len;
            assert!(starts[v] - row % PACKED_ROWS + steps[v] + group_len <= self.a.data().len());
        }
        let b = &self.b[column..];
        assert!(span([depth, C], [self.step, 1]) < b.len());
        let (a, b) = (self.a.data().as_ptr(), b.as_ptr());
        for k in 0..depth {
            let mut weights = [s.splat(0.0); V];
            for v in 0..V {
                // SAFETY: k is below `depth`, so the groups end where the first assertion says.
                weights[v] = unsafe { s.load_rows(a.add(starts[v] + k * PACKED_ROWS), steps[v]) };
            }
            for (c, acc) in acc.iter_mut().enumerate() {
                // SAFETY: k is below `depth` and c below C: the second assertion.
                unsafe { s.multiply_row(b.add(k * self.step + c), weights, acc) };
            }
        }
    }

    /// The epilogue of C columns, each a vector of the given rows.
    #[inline(always)]
    fn finish_columns<S: Simd, const C: usize>(&mut self, s: S, rows: Range<usize>, column: usize, acc: [S::F32; C]) {
        let bias = match self.epilogue.bias() {
            Some(bias) => s.load_up_to(&bias[rows.clone()]),
            None => s.splat(0.0),
        };
        let mut values = [[0.0; MAX_LANES]; C];
        if let Epilogue::Residual { .. } = self.epilogue {
            for (lane, out) in self.out.as_view().each_row(rows.clone(), column..column + C).enumerate() {
                (0..C).for_each(|c| values[c][lane] = out[c]);
            }
        }
        for (values, acc) in values.iter_mut().zip(acc) {
            s.store(self.epilogue.apply(s, acc, bias, s.load(values)), values);
        }
        for (lane, out) in self.out.each_row_mut(rows, column..column + C).enumerate() {
            (0..C).for_each(|c| out[c] = values[c][lane]);
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::gemm::packed::PackedMatrix;
    use crate::isa::level::Level;
    use crate::matrix::view_mut::ViewMut;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::vec;

    /// The assertions that the reads through pointers rely on.
    #[test]
    fn factors_that_are_too_short_are_refused() {
        const DEPTH: usize = 3;
        for level in Level::available() {
            for rows in [1, 8, 9, 16, 40] {
                let product = |a_lacks: usize, b_lacks: usize| {
                    let a = vec![1.0; PackedMatrix::<f32>::packed_len(rows, DEPTH) - a_lacks];
                    let b = vec![1.0; DEPTH - b_lacks];
                    let mut out = vec![0.0; rows];
                    level.run(PackedProduct {
                        a: &PackedMatrix::unchecked(rows, DEPTH, &a),
                        b: &b,
                        step: 1,
                        epilogue: Epilogue::Store,
                        out: &mut ViewMut::new(&mut out, rows, 1).unwrap(),
                    });
                    out
                };
                assert_eq!(product(0, 0), vec![3.0; rows], "{level}, {rows} rows");
                for lacks in [[1, 0], [0, 1]] {
                    let short = catch_unwind(AssertUnwindSafe(|| product(lacks[0], lacks[1])));
                    assert!(short.is_err(), "{level}, {rows} rows: {lacks:?}");
                }
            }
        }
    }
}
