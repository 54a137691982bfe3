//! Products of every small size: each element is the documented chain of operations, at whatever place of a matrix.

mod common;

use common::{bits, levels, paint};
use kernels::*;

const ROWS: usize = 40;
const COLUMNS: usize = 70;
/// Columns of the whole right factor: products are taken from the middle of its rows.
const WIDE: usize = COLUMNS + 3;
const EPILOGUES: usize = 4;

/// One weight matrix and all that goes with it, for every size up to [`ROWS`] x [`COLUMNS`].
struct Operands {
    depth: usize,
    weight: Vec<f32>,
    tokens: Vec<f32>,
    bias: Vec<f32>,
    before: Vec<f32>,
}

impl Operands {
    fn new(depth: usize) -> Self {
        Operands {
            depth,
            weight: paint(ROWS * depth, 1),
            tokens: paint(depth * WIDE, 2),
            bias: paint(ROWS, 3),
            before: paint(ROWS * WIDE, 4),
        }
    }

    fn epilogue(&self, i: usize, rows: usize) -> Epilogue<'_> {
        let bias = &self.bias[..rows];
        let residual = Epilogue::Residual { bias, scale: 0.7 };
        [Epilogue::Store, Epilogue::Bias(bias), Epilogue::BiasGelu(bias), residual][i]
    }

    /// Every element of [`ROWS`] x [`WIDE`], by its own chain in order of k.
    fn chains(&self, level: Level, epilogue: usize) -> Vec<f32> {
        let fused = level != Level::PORTABLE;
        let mul_add = |a: f32, b: f32, c: f32| if fused { a.mul_add(b, c) } else { a * b + c };
        let value = |i: usize| {
            let (r, c) = (i / WIDE, i % WIDE);
            let product = (0..self.depth)
                .fold(0.0, |sum, k| mul_add(self.weight[r * self.depth + k], self.tokens[k * WIDE + c], sum));
            match epilogue {
                0 => product,
                1 | 2 => product + self.bias[r],
                _ => mul_add(0.7, self.before[i], product + self.bias[r]),
            }
        };
        let mut values: Vec<f32> = (0..ROWS * WIDE).map(value).collect();
        if epilogue == 2 {
            gelu(level, &mut values);
        }
        values
    }
}

#[test]
fn every_size_at_every_level_with_every_epilogue() {
    for depth in [0, 1, 5] {
        let x = Operands::new(depth);
        let tokens = View::new(&x.tokens, depth, WIDE).unwrap();
        for level in levels() {
            let expected: Vec<_> = (0..EPILOGUES).map(|epilogue| x.chains(level, epilogue)).collect();
            for rows in 1..=ROWS {
                let mut buffer = vec![f32::NAN; PackedMatrix::<f32>::packed_len(rows, depth)];
                let weight = PackedMatrix::pack(&View::new(&x.weight, rows, depth).unwrap(), &mut buffer).unwrap();
                for columns in 1..=COLUMNS {
                    let first = columns % 4;
                    let range = first..first + columns;
                    let tokens = tokens.column_range(range.clone()).unwrap();
                    for (epilogue, expected) in expected.iter().enumerate() {
                        let mut out = x.before.clone();
                        let view = ViewMut::new(&mut out, ROWS, WIDE).unwrap().row_range(0..rows).unwrap();
                        let mut view = view.column_range(range.clone()).unwrap();
                        packed_matmul(level, &weight, &tokens, x.epilogue(epilogue, rows), &mut view).unwrap();
                        let inside = |i: usize| i / WIDE < rows && range.contains(&(i % WIDE));
                        let wrong = (0..out.len()).find(|&i| {
                            let expected = if inside(i) { expected[i] } else { x.before[i] };
                            out[i].to_bits() != expected.to_bits()
                        });
                        assert_eq!(wrong, None, "{level}, {rows}x{depth}x{columns}, epilogue {epilogue}");
                    }
                }
            }
        }
    }
}

/// Weights beyond a core's cache, of which few columns take a group of rows at a time, to the bits of many columns, which take all.
#[test]
fn few_columns_of_large_weights_are_those_of_many() {
    let (rows, depth, wide) = (701, 400, 101);
    let (weight, tokens, bias) = (paint(rows * depth, 1), paint(depth * wide, 2), paint(rows, 3));
    let before = paint(rows * wide, 4);
    let mut buffer = vec![f32::NAN; PackedMatrix::<f32>::packed_len(rows, depth)];
    let weight = PackedMatrix::pack(&View::new(&weight, rows, depth).unwrap(), &mut buffer).unwrap();
    let tokens = View::new(&tokens, depth, wide).unwrap();
    let residual = Epilogue::Residual { bias: &bias, scale: 0.7 };
    for level in levels() {
        for epilogue in [Epilogue::Store, Epilogue::Bias(&bias), Epilogue::BiasGelu(&bias), residual] {
            let run = |columns: usize| {
                let mut out = before.clone();
                let mut view = ViewMut::new(&mut out, rows, wide).unwrap().column_range(0..columns).unwrap();
                let tokens = tokens.column_range(0..columns).unwrap();
                packed_matmul(level, &weight, &tokens, epilogue, &mut view).unwrap();
                out
            };
            let many = run(wide);
            for columns in [1, 49, 53, 64] {
                let expected: Vec<f32> =
                    (0..rows * wide).map(|i| if i % wide < columns { many[i] } else { before[i] }).collect();
                assert_eq!(bits(&run(columns)), bits(&expected), "{level}, {columns} columns, {epilogue:?}");
            }
        }
    }
}

/// The residual, through a shuffled order of the rows of which the product has the first.
#[test]
fn every_size_into_shuffled_rows() {
    let depth = 3;
    let x = Operands::new(depth);
    let tokens = View::new(&x.tokens, depth, WIDE).unwrap();
    let order = ChannelOrder::shuffle(ROWS, 2).unwrap();
    for level in levels() {
        let chains = Operands { before: reordered(&x.before, order), ..Operands::new(depth) }.chains(level, 3);
        for rows in 1..=ROWS {
            let mut buffer = vec![f32::NAN; PackedMatrix::<f32>::packed_len(rows, depth)];
            let weight = PackedMatrix::pack(&View::new(&x.weight, rows, depth).unwrap(), &mut buffer).unwrap();
            for columns in 1..=COLUMNS {
                let mut out = x.before.clone();
                let view = ViewMut::new(&mut out, ROWS, WIDE).unwrap().reorder_rows(order).unwrap();
                let mut view = view.row_range(0..rows).unwrap().column_range(0..columns).unwrap();
                let tokens = tokens.column_range(0..columns).unwrap();
                packed_matmul(level, &weight, &tokens, x.epilogue(3, rows), &mut view).unwrap();
                let mut expected = x.before.clone();
                for row in 0..rows {
                    let at = order.channel(row) * WIDE;
                    expected[at..at + columns].copy_from_slice(&chains[row * WIDE..][..columns]);
                }
                assert_eq!(bits(&out), bits(&expected), "{level}, {rows}x{depth}x{columns}");
            }
        }
    }
}

/// The rows of [`ROWS`] x [`WIDE`] values in the given order.
fn reordered(x: &[f32], order: ChannelOrder) -> Vec<f32> {
    order.iter().flat_map(|channel| x[channel * WIDE..][..WIDE].to_vec()).collect()
}
