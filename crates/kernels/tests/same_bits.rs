//! The contract: the same bits at every fused level, whatever stands beside a value in its matrix.

mod common;

use common::{bits, fused_levels, paint};
use kernels::*;

/// Runs every operation on a matrix of 37 rows and `n` columns, and gives all results.
fn run_all(level: Level, x: &[f32], n: usize) -> Vec<Vec<f32>> {
    let rows = 37;
    let x_view = View::new(x, rows, n).unwrap();
    let (gamma, beta, bias) = (paint(rows, 2), paint(rows, 3), paint(rows, 4));
    let weight = paint(rows * rows, 5);
    let mut buffer = vec![0.0; PackedMatrix::packed_len(rows, rows)];
    let packed = PackedMatrix::pack(&View::new(&weight, rows, rows).unwrap(), &mut buffer).unwrap();

    let mut normed = vec![0.0; rows * n];
    layer_norm(level, &x_view, &gamma, &beta, 1e-6, &mut ViewMut::new(&mut normed, rows, n).unwrap()).unwrap();
    let mut weights = x.to_vec();
    softmax(level, &mut ViewMut::new(&mut weights, rows, n).unwrap()).unwrap();
    let mut activations = x.to_vec();
    gelu(level, &mut activations);
    let mut results = vec![normed, weights, activations];
    for epilogue in [
        Epilogue::Store,
        Epilogue::Bias(&bias),
        Epilogue::BiasGelu(&bias),
        Epilogue::Residual { bias: &bias, scale: 0.7 },
    ] {
        let mut out = x.to_vec();
        packed_matmul(level, &packed, &x_view, epilogue, &mut ViewMut::new(&mut out, rows, n).unwrap()).unwrap();
        results.push(out);
    }
    let keys = 61;
    let (k, v) = (paint(rows * keys, 6), paint(rows * keys, 7));
    let mut out = vec![0.0; rows * n];
    let mut scratch = vec![0.0; attention_scratch_len(keys)];
    let (k, v) = (Panels::single(&k, rows, keys).unwrap(), Panels::single(&v, rows, keys).unwrap());
    let operands = Attention { q: x_view, k, v, scale: 0.3, biases: &[] };
    attention(level, &operands, &mut ViewMut::new(&mut out, rows, n).unwrap(), &mut scratch).unwrap();
    results.push(out);
    // A shuffled right factor is gathered, not handed to matrixmultiply.
    let weight = View::new(&weight, rows, rows).unwrap().transpose().shuffle_rows(rows).unwrap();
    let mut wide = vec![0.0; 38 * n];
    wide[..rows * n].copy_from_slice(x);
    let shuffled = View::new(&wide, 38, n).unwrap().shuffle_rows(2).unwrap().row_range(0..rows).unwrap();
    let mut out = vec![0.0; rows * n];
    matmul(level, &weight, &shuffled, &mut ViewMut::new(&mut out, rows, n).unwrap()).unwrap();
    results.push(out);
    results
}

#[test]
fn fused_levels_agree() {
    for n in [1, 5, 16, 40, 71] {
        let x = paint(37 * n, 1);
        let results: Vec<_> = fused_levels().into_iter().map(|level| (level, run_all(level, &x, n))).collect();
        for pair in results.windows(2) {
            for (i, (a, b)) in pair[0].1.iter().zip(&pair[1].1).enumerate() {
                assert_eq!(bits(a), bits(b), "operation {i}, {n} columns, {} and {}", pair[0].0, pair[1].0);
            }
        }
    }
}

#[test]
fn a_column_does_not_depend_on_its_neighbours() {
    for level in fused_levels().into_iter().chain([Level::PORTABLE]) {
        let n = 71;
        let x = paint(37 * n, 1);
        let all = run_all(level, &x, n);
        for column in [0, 15, 16, 47, 48, 64, 70] {
            let alone: Vec<f32> = (0..37).map(|r| x[r * n + column]).collect();
            for (i, (all, alone)) in all.iter().zip(run_all(level, &alone, 1)).enumerate() {
                let from_all: Vec<f32> = (0..37).map(|r| all[r * n + column]).collect();
                assert_eq!(bits(&from_all), bits(&alone), "operation {i}, column {column}, {level}");
            }
        }
    }
}
