//! The contract: the same bits at every fused level, whatever stands beside a value in its matrix.

mod common;

use common::{bits, fused_levels, levels, paint, same_nan};
use kernels::*;

/// Runs every operation on a matrix of 37 rows and `n` columns, and gives all results.
fn run_all(level: Level, x: &[f32], n: usize) -> Vec<Vec<f32>> {
    let rows = 37;
    let x_view = View::new(x, rows, n).unwrap();
    let (gamma, beta, bias) = (paint(rows, 2), paint(rows, 3), paint(rows, 4));
    let weight = paint(rows * rows, 5);
    let mut buffer = vec![0.0; PackedMatrix::<f32>::packed_len(rows, rows)];
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
    let operands = Attention::new(x_view, k, v, 0.3).unwrap();
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

/// Blocks of queries against the same queries one block at a time, over keys in one panel and in several, with biases.
#[test]
fn a_query_does_not_depend_on_its_block() {
    let (d, dv, queries) = (5, 9, 67);
    for keys in [1, 7, 16, 33, 61] {
        let mut q = paint(d * queries, 1);
        let rows = paint((d + dv) * keys, 2);
        (q[3], q[queries + 20], q[2 * queries + 40]) = (f32::NAN, f32::INFINITY, -0.0);
        let bias = paint(keys * queries, 3);
        let masked = |i: usize| (i / queries + i % queries) % 3 == 1 || i % queries == 50;
        let mask: Vec<f32> = (0..keys * queries).map(|i| if masked(i) { f32::NEG_INFINITY } else { 0.0 }).collect();
        let [bias, mask] = [&bias, &mask].map(|x| View::new(x, keys, queries).unwrap());
        let q = View::new(&q, d, queries).unwrap();
        let mut fused: Option<Vec<u32>> = None;
        for level in levels() {
            let mut scratch = vec![f32::NAN; attention_scratch_len(keys)];
            let mut run = |layout: PanelLayout, first: usize, last: usize| {
                let mut data = vec![f32::NAN; (d + dv) * layout.padded()];
                layout.to_panels(&View::new(&rows, d + dv, keys).unwrap(), &mut data).unwrap();
                let panels = Panels::new(&data, d + dv, layout).unwrap();
                let (k, v) = (panels.row_range(0..d).unwrap(), panels.row_range(d..d + dv).unwrap());
                let [bias, mask] = [bias, mask].map(|x| x.column_range(first..last).ok());
                let q = q.column_range(first..last).unwrap();
                let mut out = vec![0.0; dv * (last - first)];
                let mut view = ViewMut::new(&mut out, dv, last - first).unwrap();
                attention(
                    level,
                    &Attention::new(q, k, v, 0.6).and_then(|x| x.with_bias(bias)?.with_mask(mask)).unwrap(),
                    &mut view,
                    &mut scratch,
                )
                .unwrap();
                same_nan(&out)
            };
            let single = PanelLayout::single(keys);
            let all = run(single, 0, queries);
            for layout in [single, level.panels(keys), level.panels_of_width(keys, 6).unwrap()] {
                for count in 1..=20 {
                    for first in (0..=queries - count).step_by(count.max(3)) {
                        let expected: Vec<u32> =
                            (0..dv).flat_map(|r| all[r * queries + first..][..count].to_vec()).collect();
                        let found = run(layout, first, first + count);
                        assert_eq!(found, expected, "{level}, {keys} keys, queries {first}+{count}, {layout:?}");
                    }
                }
            }
            if fused_levels().contains(&level) {
                assert_eq!(*fused.get_or_insert_with(|| all.clone()), all, "{level}, {keys} keys");
            }
        }
    }
}

/// Sums over tokens, which other levels and threads cut elsewhere.
#[test]
fn a_sum_over_tokens_does_not_depend_on_the_cut() {
    let rows = 7;
    for tokens in [1, 15, 16, 17, 40, 49, 100] {
        let matrix = paint(rows * tokens, 1);
        let mut fused: Option<Vec<u32>> = None;
        for level in levels() {
            let widths = (1..=8).map(|vectors| vectors * level.lanes());
            let layouts = levels()
                .into_iter()
                .flat_map(|other| widths.clone().map(move |w| other.panels_of_width(tokens, w).unwrap()));
            let mut portable: Option<Vec<u32>> = None;
            for layout in layouts.chain([level.panels(tokens), PanelLayout::single(tokens)]) {
                let mut data = vec![f32::NAN; rows * layout.padded()];
                layout.to_panels(&View::new(&matrix, rows, tokens).unwrap(), &mut data).unwrap();
                let panels = Panels::new(&data, rows, layout).unwrap();
                let mut out = vec![f32::NAN; rows * rows];
                token_products(level, &panels, &panels, &mut out).unwrap();
                let sums = if level == Level::PORTABLE { &mut portable } else { &mut fused };
                assert_eq!(*sums.get_or_insert_with(|| bits(&out)), bits(&out), "{level}, {tokens} tokens, {layout:?}");
            }
        }
    }
}

/// Products that underflow to -0: how many lanes beyond the last token a level has must not decide the sign of their sum.
#[test]
fn a_sum_of_negative_zeros_has_one_sign() {
    for tokens in 1..=50 {
        let x: Vec<f32> = [1e-30, -1e-30].into_iter().flat_map(|x| vec![x; tokens]).collect();
        for level in fused_levels() {
            for layout in [
                level.panels(tokens),
                level.panels_of_width(tokens, level.lanes()).unwrap(),
                PanelLayout::single(tokens),
            ] {
                let mut data = vec![f32::NAN; 2 * layout.padded()];
                layout.to_panels(&View::new(&x, 2, tokens).unwrap(), &mut data).unwrap();
                let panels = Panels::new(&data, 2, layout).unwrap();
                let mut out = [f32::NAN; 4];
                token_products(level, &panels, &panels, &mut out).unwrap();
                assert_eq!(bits(&out), [0; 4], "{level}, {tokens} tokens, {layout:?}");
            }
        }
    }
}
