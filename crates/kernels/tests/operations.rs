//! Every operation at every level of this CPU against the f64 reference, over awkward sizes and values.

mod common;

use common::{LENGTHS, assert_close, dot_tolerance, levels, paint, to_f64};
use kernels::testing::reference;
use kernels::*;

/// (M, K) of products: around the tile's rows, and the models' own.
const PRODUCTS: [[usize; 2]; 9] = [[1, 1], [1, 7], [3, 2], [4, 16], [7, 5], [8, 8], [9, 33], [17, 64], [40, 100]];

#[test]
fn packed_matmul_with_every_epilogue() {
    for level in levels() {
        for [m, k] in PRODUCTS {
            for n in LENGTHS {
                let (a, b, bias, residual) = (paint(m * k, 1), paint(k * n, 2), paint(m, 3), paint(m * n, 4));
                let mut exact = vec![0.0; m * n];
                reference::matmul(&to_f64(&a), &to_f64(&b), [m, k, n], &mut exact);
                let mut buffer = vec![f32::NAN; PackedMatrix::<f32>::packed_len(m, k)];
                let packed = PackedMatrix::pack(&View::new(&a, m, k).unwrap(), &mut buffer).unwrap();
                let check = |epilogue: Epilogue, exact: &dyn Fn(usize) -> f64| {
                    let mut out = residual.clone();
                    let mut view = ViewMut::new(&mut out, m, n).unwrap();
                    packed_matmul(level, &packed, &View::new(&b, k, n).unwrap(), epilogue, &mut view).unwrap();
                    let exact: Vec<f64> = (0..m * n).map(exact).collect();
                    assert_close(
                        &format!("{level} {m}x{k}x{n} {epilogue:?}"),
                        &out,
                        &exact,
                        2.0 * dot_tolerance(k) + 2e-6,
                    );
                };
                let biased = |i: usize| exact[i] + f64::from(bias[i / n]);
                check(Epilogue::Store, &|i| exact[i]);
                check(Epilogue::Bias(&bias), &biased);
                check(Epilogue::BiasGelu(&bias), &|i| reference::gelu(biased(i)));
                check(Epilogue::Residual { bias: &bias, scale: 0.5 }, &|i| 0.5 * f64::from(residual[i]) + biased(i));
            }
        }
    }
}

#[test]
fn packed_matmul_scatters_through_a_shuffled_view_and_touches_nothing_else() {
    let (dim, n) = (12, 21);
    let order = ChannelOrder::shuffle(2 * dim, 2).unwrap();
    let order = order.then(order).unwrap();
    for level in levels() {
        let (a, b, bias) = (paint(dim * dim, 1), paint(dim * n, 2), paint(dim, 3));
        let before = paint(2 * dim * n, 4);
        let mut stream = before.clone();
        let mut buffer = vec![0.0; PackedMatrix::<f32>::packed_len(dim, dim)];
        let packed = PackedMatrix::pack(&View::new(&a, dim, dim).unwrap(), &mut buffer).unwrap();
        let attended = ViewMut::new(&mut stream, 2 * dim, n).unwrap().reorder_rows(order).unwrap();
        let mut attended = attended.row_range(0..dim).unwrap();
        let b_view = View::new(&b, dim, n).unwrap();
        packed_matmul(level, &packed, &b_view, Epilogue::Residual { bias: &bias, scale: 2.0 }, &mut attended).unwrap();

        let mut exact = to_f64(&before);
        let mut product = vec![0.0; dim * n];
        reference::matmul(&to_f64(&a), &to_f64(&b), [dim, dim, n], &mut product);
        for r in 0..dim {
            for c in 0..n {
                let x = &mut exact[order.channel(r) * n + c];
                *x = 2.0 * *x + product[r * n + c] + f64::from(bias[r]);
            }
        }
        assert_close(level.name(), &stream, &exact, dot_tolerance(dim) + 1e-6);
        for r in dim..2 * dim {
            let idle = order.channel(r) * n..(order.channel(r) + 1) * n;
            assert_eq!(stream[idle.clone()], before[idle], "{level}: idle channel {r}");
        }
    }
}

#[test]
fn products_of_strided_transposed_and_shuffled_views() {
    for level in levels() {
        for [m, k] in PRODUCTS {
            for n in [1, 5, 8, 31, 33, 49] {
                let (a, b) = (paint(m * k, 1), paint(k * n, 2));
                let mut exact = vec![0.0; m * n];
                reference::matmul(&to_f64(&a), &to_f64(&b), [m, k, n], &mut exact);
                // a stored with gaps, b stored transposed.
                let mut gaps = vec![f32::NAN; m * (2 * k + 3)];
                let mut transposed = vec![0.0; k * n];
                (0..m * k).for_each(|i| gaps[i / k * (2 * k + 3) + i % k * 2] = a[i]);
                (0..k * n).for_each(|i| transposed[i % n * k + i / n] = b[i]);
                let a_view = View::with_strides(&gaps, [m, k], [2 * k + 3, 2]).unwrap();
                let b_view = View::new(&transposed, n, k).unwrap().transpose();
                let mut out = vec![f32::NAN; m * n];
                matmul(level, &a_view, &b_view, &mut ViewMut::new(&mut out, m, n).unwrap()).unwrap();
                assert_close(&format!("{level} {m}x{k}x{n}"), &out, &exact, dot_tolerance(k));

                // Rows of b shuffled against columns of a shuffled alike: the same sum; rows of out scattered.
                let groups_of = |n: usize| (2..=n).find(|g| n.is_multiple_of(*g)).unwrap_or(1);
                let shuffle = |channels| ChannelOrder::shuffle(channels, groups_of(channels)).unwrap();
                let mut scattered = vec![f32::NAN; m * n];
                let a_view = View::new(&a, m, k).unwrap().transpose().reorder_rows(shuffle(k)).unwrap().transpose();
                let b_view = View::new(&b, k, n).unwrap().reorder_rows(shuffle(k)).unwrap();
                let order = shuffle(m);
                let mut out = ViewMut::new(&mut scattered, m, n).unwrap().reorder_rows(order).unwrap();
                matmul(level, &a_view, &b_view, &mut out).unwrap();
                let gathered: Vec<f32> = (0..m).flat_map(|r| scattered[order.channel(r) * n..][..n].to_vec()).collect();
                assert_close(&format!("{level} {m}x{k}x{n} shuffled"), &gathered, &exact, dot_tolerance(k));
            }
        }
    }
}

#[test]
fn empty_products_are_zero_or_nothing() {
    for level in levels() {
        let mut buffer = [];
        let packed = PackedMatrix::pack(&View::new(&[], 3, 0).unwrap(), &mut buffer).unwrap();
        let mut out = [7.0; 6];
        let mut view = ViewMut::new(&mut out, 3, 2).unwrap();
        packed_matmul(level, &packed, &View::new(&[], 0, 2).unwrap(), Epilogue::Store, &mut view).unwrap();
        assert_eq!(out, [0.0; 6], "{level}");
        matmul(
            level,
            &View::new(&[], 3, 0).unwrap(),
            &View::new(&[], 0, 0).unwrap(),
            &mut ViewMut::new(&mut [], 3, 0).unwrap(),
        )
        .unwrap();
    }
}

#[test]
fn layer_norm_over_sizes_and_offsets() {
    for level in levels() {
        for rows in [1, 2, 3, 4, 5, 24, 192] {
            for n in LENGTHS {
                // A mean far from zero: a one-pass variance would lose it.
                let x: Vec<f32> = paint(rows * n, 1).iter().map(|x| x + 100.0).collect();
                let (gamma, beta) = (paint(rows, 2), paint(rows, 3));
                let mut out = vec![f32::NAN; rows * n];
                let mut view = ViewMut::new(&mut out, rows, n).unwrap();
                layer_norm(level, &View::new(&x, rows, n).unwrap(), &gamma, &beta, 1e-5, &mut view).unwrap();
                let mut exact = to_f64(&x);
                reference::layer_norm(&mut exact, n, &to_f64(&gamma), &to_f64(&beta), f64::from(1e-5_f32));
                // The mean of values near 100 is off by what its sums round; dividing by the deviation magnifies that.
                let rounded = (rows as f64 / 4.0 + 3.0) * reference::ulp(100.0 * rows as f64) / rows as f64;
                for c in 0..n {
                    let column = |x: &[f32]| (0..rows).map(|r| x[r * n + c]).collect::<Vec<f32>>();
                    let exact: Vec<f64> = (0..rows).map(|r| exact[r * n + c]).collect();
                    let values = to_f64(&column(&x));
                    let mean = values.iter().sum::<f64>() / rows as f64;
                    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / rows as f64;
                    let tolerance = 2.0 * rounded / (variance + 1e-5).sqrt() + 1e-6;
                    assert_close(&format!("{level} {rows}x{n} column {c}"), &column(&out), &exact, tolerance);
                }
            }
        }
    }
}

/// The worst that can happen to a variance around the mean of the first eighth of the rows: they are far from all others.
#[test]
fn layer_norm_of_outliers_in_front() {
    for level in levels() {
        for rows in [8, 48, 192] {
            for far in [-1e4, 30.0, 1e6] {
                let x: Vec<f32> =
                    paint(rows, 1).iter().enumerate().map(|(r, x)| if r < rows / 8 { far } else { *x }).collect();
                let (ones, zeros) = (vec![1.0; rows], vec![0.0; rows]);
                let mut out = vec![f32::NAN; rows];
                let mut view = ViewMut::new(&mut out, rows, 1).unwrap();
                layer_norm(level, &View::new(&x, rows, 1).unwrap(), &ones, &zeros, 1e-5, &mut view).unwrap();
                let mut exact = to_f64(&x);
                reference::layer_norm(&mut exact, 1, &to_f64(&ones), &to_f64(&zeros), f64::from(1e-5_f32));
                // Half the rows are added one after the other, most of them alike, so that roundings do not cancel.
                let tolerance = 2.0 * (rows as f64 / 2.0 + 9.0) * 6e-8;
                assert_close(&format!("{level} {rows} rows, {far}"), &out, &exact, tolerance);
            }
        }
    }
}

#[test]
fn layer_norm_reads_through_a_shuffled_view() {
    let (dim, n) = (10, 13);
    for level in levels() {
        let x = paint(2 * dim * n, 1);
        let view = View::new(&x, 2 * dim, n).unwrap().shuffle_rows(2).unwrap().shuffle_rows(2).unwrap();
        let attended = view.row_range(0..dim).unwrap();
        let mut copy = vec![0.0; dim * n];
        to_contiguous(&attended, &mut ViewMut::new(&mut copy, dim, n).unwrap()).unwrap();
        let (gamma, beta) = (paint(dim, 2), paint(dim, 3));
        let run = |x: &View| {
            let mut out = vec![0.0; dim * n];
            layer_norm(level, x, &gamma, &beta, 1e-6, &mut ViewMut::new(&mut out, dim, n).unwrap()).unwrap();
            out
        };
        assert_eq!(run(&attended), run(&View::new(&copy, dim, n).unwrap()), "{level}");
    }
}

#[test]
fn softmax_over_sizes_and_scales() {
    for level in levels() {
        for rows in [1, 2, 5, 49, 197] {
            for n in LENGTHS {
                for scale in [1.0, 40.0, 1e4] {
                    let mut x: Vec<f32> = paint(rows * n, 1).iter().map(|x| x * scale).collect();
                    let mut exact = to_f64(&x);
                    reference::softmax(&mut exact, rows, n);
                    softmax(level, &mut ViewMut::new(&mut x, rows, n).unwrap()).unwrap();
                    // exp is within 2 units of its result; its argument's rounding adds up to |x| 2^-24 relatively, which
                    // matters only while exp(x) does, for |x| below 88.
                    assert_close(&format!("{level} {rows}x{n} times {scale}"), &x, &exact, 88.0 * 1.2e-7);
                }
            }
        }
    }
}

#[test]
fn softmax_of_special_values() {
    for level in levels() {
        // Columns: a masked entry, an infinity, a NaN, all masked, subnormals, huge values.
        let (inf, tiny) = (f32::INFINITY, f32::MIN_POSITIVE / 8.0);
        let mut x = [0.0, inf, f32::NAN, -inf, tiny, 3e38, -inf, 0.0, 0.0, -inf, -tiny, 3e38];
        softmax(level, &mut ViewMut::new(&mut x, 2, 6).unwrap()).unwrap();
        assert_eq!((x[0], x[6]), (1.0, 0.0), "{level}: a masked entry weighs nothing");
        assert!([1, 2, 3, 7, 8, 9].iter().all(|&i| x[i].is_nan()), "{level}: {x:?}");
        assert_eq!([x[4], x[10], x[5], x[11]], [0.5; 4], "{level}");
    }
}

#[test]
fn gelu_over_all_exponents_and_special_values() {
    for level in levels() {
        let mut x: Vec<f32> =
            (0..=255_u32).flat_map(|e| [0, 1, 0x2aaaaa, 0x7fffff].map(|m| e << 23 | m)).map(f32::from_bits).collect();
        x.extend(x.clone().iter().map(|x| -x));
        x.extend((-600..600).map(|i| i as f32 / 100.0));
        let mut y = x.clone();
        gelu(level, &mut y);
        for (&x, &y) in x.iter().zip(&y) {
            let exact = reference::gelu(f64::from(x));
            let close = (f64::from(y) - exact).abs() <= if level == Level::PORTABLE { 8e-7 } else { 5e-7 };
            let low = x == f32::NEG_INFINITY && y.abs() < 2e-7;
            let same = low || y == x && x > 8.0 || y.is_nan() && x.is_nan();
            assert!(same || close, "{level}: gelu({x:e}) = {y:e}, expected {exact:e}");
        }
    }
}

#[test]
fn attention_over_sizes_in_one_panel_and_in_many() {
    for level in levels() {
        for (d, dv) in [(1, 1), (7, 5), (16, 16), (64, 64)] {
            for keys in [1, 3, 8, 17, 49, 197] {
                for queries in [1, 4, 16, 19, 48, 65] {
                    let (q, k, v) = (paint(d * queries, 1), paint(d * keys, 2), paint(dv * keys, 3));
                    let scale = [3.0, -2.0, 0.0][(keys + queries) % 3];
                    let mut exact = vec![0.0; dv * queries];
                    let shape = [queries, keys];
                    let mut scores = vec![0.0; keys];
                    reference::attention(
                        &to_f64(&q),
                        &to_f64(&k),
                        &to_f64(&v),
                        shape,
                        scale.into(),
                        &mut exact,
                        &mut scores,
                    );

                    let run = |k: &Panels, v: &Panels| {
                        let mut out = vec![f32::NAN; dv * queries];
                        let mut scratch = vec![f32::NAN; attention_scratch_len(keys)];
                        let q = View::new(&q, d, queries).unwrap();
                        let mut view = ViewMut::new(&mut out, dv, queries).unwrap();
                        let operands = Attention::new(q, *k, *v, scale).unwrap();
                        attention(level, &operands, &mut view, &mut scratch).unwrap();
                        out
                    };
                    let what = format!("{level} d {d} dv {dv} keys {keys} queries {queries}");
                    let one = run(&Panels::single(&k, d, keys).unwrap(), &Panels::single(&v, dv, keys).unwrap());
                    // Scores are off by a dot product's rounding times the scale, and weights relatively by as much.
                    let tolerance =
                        2.0 * f64::from(scale.abs()) * dot_tolerance(d) + dot_tolerance(keys) / keys as f64 + 1e-5;
                    assert_close(&what, &one, &exact, tolerance);

                    // In panels, next to other rows and with padding that must not be read as keys.
                    let layout = level.panels(keys);
                    let mut both = vec![f32::NAN; (d + dv) * layout.padded()];
                    let rows: Vec<f32> = k.iter().chain(&v).copied().collect();
                    layout.to_panels(&View::new(&rows, d + dv, keys).unwrap(), &mut both).unwrap();
                    let both = Panels::new(&both, d + dv, layout).unwrap();
                    let many = run(&both.row_range(0..d).unwrap(), &both.row_range(d..d + dv).unwrap());
                    assert_eq!(many, one, "{what}: panels change the result");
                }
            }
        }
    }
}

#[test]
fn random_features_over_sizes() {
    for level in levels() {
        for [m, d] in [[1, 1], [32, 64], [7, 5]] {
            for n in LENGTHS {
                let (w, x) = (paint(m * d, 1), paint(d * n, 2));
                let mut exact = vec![0.0; m * n];
                reference::random_features(&to_f64(&w), &to_f64(&x), [m, d, n], &mut exact);
                let mut buffer = vec![0.0; PackedMatrix::<f32>::packed_len(m, d)];
                let packed = PackedMatrix::pack(&View::new(&w, m, d).unwrap(), &mut buffer).unwrap();
                let mut out = vec![f32::NAN; m * n];
                let mut view = ViewMut::new(&mut out, m, n).unwrap();
                random_features(level, &packed, &View::new(&x, d, n).unwrap(), &mut view).unwrap();
                // The exponent is off by two dot products' rounding, the result relatively by as much.
                let largest = exact.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
                assert_close(&format!("{level} {m}x{d}x{n}"), &out, &exact, largest * (2.0 * dot_tolerance(d) + 1e-6));
            }
        }
    }
}

#[test]
fn token_products_over_sizes_with_the_same_bits() {
    for [m, n] in [[1, 1], [65, 32], [5, 3], [4, 2]] {
        for tokens in LENGTHS {
            let (a, b) = (paint(m * tokens, 1), paint(n * tokens, 2));
            let exact: Vec<f64> = (0..m * n)
                .map(|i| (0..tokens).map(|t| f64::from(a[i / n * tokens + t]) * f64::from(b[i % n * tokens + t])).sum())
                .collect();
            let mut fused: Option<Vec<f32>> = None;
            for level in levels() {
                let layout = level.panels(tokens);
                let panels = |x: &[f32], rows: usize| {
                    let mut data = vec![f32::NAN; rows * layout.padded()];
                    layout.to_panels(&View::new(x, rows, tokens).unwrap(), &mut data).unwrap();
                    data
                };
                let (a, b) = (panels(&a, m), panels(&b, n));
                let (a, b) = (Panels::new(&a, m, layout).unwrap(), Panels::new(&b, n, layout).unwrap());
                let mut out = vec![f32::NAN; m * n];
                token_products(level, &a, &b, &mut out).unwrap();
                let what = format!("{level} {m}x{n} over {tokens}");
                assert_close(&what, &out, &exact, dot_tolerance(tokens));
                if level != Level::PORTABLE {
                    assert_eq!(*fused.get_or_insert_with(|| out.clone()), out, "{what}");
                }
            }
        }
    }
}

/// What a mask hides from a query leaves no trace in its output, not a bit, be the value as large as it may.
#[test]
fn masked_keys_weigh_nothing() {
    let (d, keys) = (16, 21);
    for level in levels() {
        for queries in [1, 5, 7, 16, 17, 53] {
            let (q, k, v) = (paint(d * queries, 1), paint(d * keys, 2), paint(d * keys, 3));
            let hidden = |key: usize| key < 3 || key % 4 == 1;
            let mask: Vec<f32> =
                (0..keys * queries).map(|i| if hidden(i / queries) { f32::NEG_INFINITY } else { 0.0 }).collect();
            let run = |value: f32| {
                let v: Vec<f32> =
                    v.iter().enumerate().map(|(i, v)| if hidden(i % keys) { value } else { *v }).collect();
                let (mut out, mut scratch) = (vec![f32::NAN; d * queries], vec![f32::NAN; attention_scratch_len(keys)]);
                let operands = Attention::new(
                    View::new(&q, d, queries).unwrap(),
                    Panels::single(&k, d, keys).unwrap(),
                    Panels::single(&v, d, keys).unwrap(),
                    0.5,
                )
                .and_then(|operands| operands.with_mask(View::new(&mask, keys, queries).unwrap()))
                .unwrap();
                attention(level, &operands, &mut ViewMut::new(&mut out, d, queries).unwrap(), &mut scratch).unwrap();
                out
            };
            assert_eq!(run(0.0), run(f32::MAX), "{level}, {queries} queries");
        }
    }
}

/// A window of the tokens as keys and values, with a relative position bias and a mask, as Swin attends.
#[test]
fn attention_within_a_window_with_biases() {
    let (d, tokens) = (8, 150);
    for level in levels() {
        for (first, keys) in [(0, 49), (49, 49), (98, 49), (1, 1), (30, 64), (145, 5)] {
            let layout = level.panels(tokens);
            let stored = paint(3 * d * layout.padded(), 1);
            let panels = Panels::new(&stored, 3 * d, layout).unwrap();
            let column = |row: usize, t: usize| f64::from(panels.column(t).at(row));
            let bias = paint(keys * keys, 2);
            let mask: Vec<f32> = (0..keys * keys)
                .map(|i| if (i / keys + i % keys) % 3 == 1 { f32::NEG_INFINITY } else { 0.0 })
                .collect();
            let scale = 0.7_f32;
            let window = first..first + keys;
            let k = panels.row_range(d..2 * d).unwrap().column_range(window.clone()).unwrap();
            let v = panels.row_range(2 * d..3 * d).unwrap().column_range(window).unwrap();
            // The queries of the window that lie in one panel, as a thread that owns it sees them.
            let panel = layout.panel_of(first);
            let start = first - layout.range(panel).start;
            let queries = keys.min(layout.range(panel).len() - start);
            let q = panels.panel(panel).row_range(0..d).unwrap().column_range(start..start + queries).unwrap();
            let view = |x| View::new(x, keys, keys).unwrap().column_range(0..queries).unwrap();
            let mut out = vec![f32::NAN; d * queries];
            let mut scratch = vec![f32::NAN; attention_scratch_len(keys)];
            let mut out_view = ViewMut::new(&mut out, d, queries).unwrap();
            let operands = Attention::new(q, k, v, scale).unwrap();
            let operands = operands.with_bias(view(&bias)).and_then(|x| x.with_mask(view(&mask))).unwrap();
            attention(level, &operands, &mut out_view, &mut scratch).unwrap();
            for i in 0..queries {
                let mut weights: Vec<f64> = (0..keys)
                    .map(|j| {
                        let dot: f64 = (0..d).map(|r| column(d + r, first + j) * column(r, first + i)).sum();
                        let place = j * keys + i;
                        f64::from(scale) * dot + f64::from(bias[place]) + f64::from(mask[place])
                    })
                    .collect();
                reference::softmax(&mut weights, keys, 1);
                let exact: Vec<f64> =
                    (0..d).map(|r| (0..keys).map(|j| weights[j] * column(2 * d + r, first + j)).sum()).collect();
                let found: Vec<f32> = (0..d).map(|r| out[r * queries + i]).collect();
                let tolerance = 2.0 * dot_tolerance(d) + dot_tolerance(keys) / keys as f64 + 1e-5;
                assert_close(&format!("{level} keys {first}+{keys}, query {i}"), &found, &exact, tolerance);
            }
        }
    }
}

/// Values that a kernel must pass on as the formula does: NaN and infinities reach their own column and no other.
#[test]
fn special_values_stay_in_their_column() {
    let (rows, n) = (9, 21);
    let specials = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, f32::MIN_POSITIVE / 4.0, 1e38];
    for level in levels() {
        let mut x = paint(rows * n, 1);
        for (c, special) in specials.into_iter().enumerate() {
            x[(c + 1) % rows * n + 3 * c] = special;
        }
        let is_special = |c: usize| c.is_multiple_of(3) && c / 3 < specials.len();
        let clean = |c: usize| !is_special(c) || !(x[(c / 3 + 1) % rows * n + c] * 0.0).is_nan();
        let view = View::new(&x, rows, n).unwrap();
        let (ones, zeros) = (vec![1.0; rows], vec![0.0; rows]);
        let weight = paint(rows * rows, 2);
        let mut buffer = vec![0.0; PackedMatrix::<f32>::packed_len(rows, rows)];
        let packed = PackedMatrix::pack(&View::new(&weight, rows, rows).unwrap(), &mut buffer).unwrap();
        let check = |what: &str, out: &[f32]| {
            for c in 0..n {
                let finite = (0..rows).all(|r| out[r * n + c].is_finite());
                let huge = is_special(c) && specials[c / 3] == 1e38;
                assert!(
                    finite == clean(c) || huge,
                    "{level} {what}: column {c}, {:?}",
                    (0..rows).map(|r| out[r * n + c]).collect::<Vec<_>>()
                );
            }
        };
        let mut out = vec![0.0; rows * n];
        layer_norm(level, &view, &ones, &zeros, 1e-5, &mut ViewMut::new(&mut out, rows, n).unwrap()).unwrap();
        check("layer_norm", &out);
        for epilogue in [Epilogue::Store, Epilogue::Bias(&zeros), Epilogue::Residual { bias: &zeros, scale: 1.0 }] {
            let mut out = vec![0.0; rows * n];
            packed_matmul(level, &packed, &view, epilogue, &mut ViewMut::new(&mut out, rows, n).unwrap()).unwrap();
            check("packed_matmul", &out);
        }
        // As queries: a NaN or infinity makes its query's output NaN and leaves the others alone.
        let keys = paint(rows * 11, 3);
        let k = Panels::single(&keys, rows, 11).unwrap();
        let operands = Attention::new(view, k, k, 1.0).unwrap();
        let mut scratch = vec![f32::NAN; attention_scratch_len(11)];
        attention(level, &operands, &mut ViewMut::new(&mut out, rows, n).unwrap(), &mut scratch).unwrap();
        check("attention", &out);
    }
}

/// Views of every kind as operands and results: gaps, ranges of rows and columns, transposes, shuffles.
#[test]
fn products_of_random_views() {
    let mut state = 7_u32;
    let mut random = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    for round in 0..400 {
        let [m, k, n] = [1 + random(20), 1 + random(40), 1 + random(60)];
        // A frame around each matrix: rows and columns more, a stride with a gap, perhaps transposed.
        let mut frame = |rows: usize, columns: usize| {
            let (before, after, gap) = ([random(3), random(3)], [random(3), random(3)], random(4));
            let [r, c] = [before[0] + rows + after[0], before[1] + columns + after[1]];
            let transposed = random(2) == 1;
            let strides = if transposed { [1, r + gap] } else { [c + gap, 1] };
            (before, [r, c], strides, if transposed { (r + gap) * c } else { (c + gap) * r })
        };
        let (fa, fb, fo) = (frame(m, k), frame(k, n), frame(m, n));
        let (a, b) = (paint(fa.3, round), paint(fb.3, round + 1));
        let before = paint(fo.3, round + 2);
        let mut out = before.clone();
        fn cut<'a>(data: &'a [f32], f: ([usize; 2], [usize; 2], [usize; 2], usize), shape: [usize; 2]) -> View<'a> {
            let view = View::with_strides(data, f.1, f.2).unwrap();
            let view = view.row_range(f.0[0]..f.0[0] + shape[0]).unwrap();
            view.column_range(f.0[1]..f.0[1] + shape[1]).unwrap()
        }
        let (a, b) = (cut(&a, fa, [m, k]), cut(&b, fb, [k, n]));
        let level = levels()[round as usize % levels().len()];
        {
            let view = ViewMut::with_strides(&mut out, fo.1, fo.2).unwrap();
            let view = view.row_range(fo.0[0]..fo.0[0] + m).unwrap();
            let mut view = view.column_range(fo.0[1]..fo.0[1] + n).unwrap();
            matmul(level, &a, &b, &mut view).unwrap();
        }
        let at = |r: usize, c: usize| (fo.0[0] + r) * fo.2[0] + (fo.0[1] + c) * fo.2[1];
        let mut touched = vec![false; out.len()];
        for r in 0..m {
            for c in 0..n {
                let exact: f64 = (0..k).map(|p| f64::from(a.at(r, p)) * f64::from(b.at(p, c))).sum();
                let found = f64::from(out[at(r, c)]);
                assert!((found - exact).abs() <= dot_tolerance(k), "{level} round {round}: ({r}, {c}) {found} {exact}");
                touched[at(r, c)] = true;
            }
        }
        let untouched = (0..out.len()).filter(|&i| !touched[i]);
        assert!(untouched.into_iter().all(|i| out[i] == before[i]), "round {round}: wrote beside the result");
        // The same operands through the packed product, whose b and out need contiguous rows.
        if b.has_contiguous_rows() {
            let mut buffer = vec![0.0; PackedMatrix::<f32>::packed_len(m, k)];
            let packed = PackedMatrix::pack(&a, &mut buffer).unwrap();
            let mut packed_out = vec![0.0; m * n];
            packed_matmul(level, &packed, &b, Epilogue::Store, &mut ViewMut::new(&mut packed_out, m, n).unwrap())
                .unwrap();
            for (i, y) in packed_out.iter().enumerate() {
                let difference = (f64::from(*y) - f64::from(out[at(i / n, i % n)])).abs();
                assert!(difference <= 2.0 * dot_tolerance(k), "{level} round {round}: packed {i}");
            }
        }
    }
}

#[test]
fn the_packed_form_is_the_documented_one() {
    let x: Vec<f32> = (1..=6).map(|i| i as f32).collect();
    let mut buffer = [f32::NAN; 16];
    PackedMatrix::pack(&View::new(&x, 3, 2).unwrap(), &mut buffer).unwrap();
    assert_eq!(buffer, [1., 3., 5., 0., 0., 0., 0., 0., 2., 4., 6., 0., 0., 0., 0., 0.]);
}

#[test]
fn attention_to_no_keys_is_nan_as_a_softmax_over_nothing() {
    for level in levels() {
        let k = Panels::single(&[], 2, 0).unwrap();
        let operands = Attention::new(View::new(&[1.0; 4], 2, 2).unwrap(), k, k, 1.0).unwrap();
        let mut out = [0.0; 4];
        attention(level, &operands, &mut ViewMut::new(&mut out, 2, 2).unwrap(), &mut []).unwrap();
        assert!(out.iter().all(|y| y.is_nan()), "{level}: {out:?}");
    }
}

/// Shuffled factors are gathered in blocks of rows, columns and depth: more of each than a block has.
#[test]
fn gathered_products_of_many_blocks() {
    for [m, k, n] in [[130, 70, 90], [62, 34, 40], [61, 96, 33]] {
        let whole = |len, seed| -> Vec<f32> { paint(len, seed).iter().map(|x| (x * 8.0).round()).collect() };
        let (a, b) = (whole(m * k, 1), whole(k * n, 2));
        let order = ChannelOrder::shuffle(k, 2).unwrap_or(ChannelOrder::identity(k));
        let a_view = View::new(&a, m, k).unwrap().transpose().reorder_rows(order).unwrap().transpose();
        let b_view = View::new(&b, k, n).unwrap().reorder_rows(order).unwrap();
        let sum = |i: usize| (0..k).map(|p| a[i / n * k + p] * b[p * n + i % n]).sum();
        let expected: Vec<f32> = (0..m * n).map(sum).collect();
        for level in levels() {
            let mut out = vec![f32::NAN; m * n];
            matmul(level, &a_view, &b_view, &mut ViewMut::new(&mut out, m, n).unwrap()).unwrap();
            assert_eq!(out, expected, "{level} {m}x{k}x{n}");
        }
    }
}

/// A feature beyond f32 is infinite at every level, not what is left of an exponent that does not fit.
#[test]
fn random_features_beyond_f32_are_infinite() {
    for level in levels() {
        for n in [1, 21, 64] {
            for (w, finite) in [(13.0, true), (14.0, false), (20.0, false), (40.0, false), (1e4, false)] {
                let mut buffer = [0.0; 8];
                let weight = PackedMatrix::pack(&View::new(&[w], 1, 1).unwrap(), &mut buffer).unwrap();
                let x = vec![w; n]; // exp(w^2 / 2): of 13 it is 5e36
                let mut out = vec![f32::NAN; n];
                let mut view = ViewMut::new(&mut out, 1, n).unwrap();
                random_features(level, &weight, &View::new(&x, 1, n).unwrap(), &mut view).unwrap();
                let expected = |y: &f32| if finite { (y / 5e36 - 1.0).abs() < 0.1 } else { *y == f32::INFINITY };
                assert!(out.iter().all(expected), "{level}, {w}: {out:?}");
            }
        }
    }
}

/// Values that are all the same, so many that the sums of their deviations' squares round: that must not leave a variance below
/// zero, whose root is NaN.
#[test]
fn layer_norm_of_constants_is_finite() {
    let n = 64;
    for level in levels() {
        for rows in [3, 24, 192, 3000, 4096] {
            let x: Vec<f32> = (0..rows).flat_map(|_| (0..n).map(|c| 1.0 + c as f32 / 37.0)).collect();
            let (ones, zeros) = (vec![1.0; rows], vec![0.0; rows]);
            let mut out = vec![f32::NAN; rows * n];
            let mut view = ViewMut::new(&mut out, rows, n).unwrap();
            layer_norm(level, &View::new(&x, rows, n).unwrap(), &ones, &zeros, 1e-30, &mut view).unwrap();
            assert!(out.iter().all(|y| y.is_finite()), "{level}, {rows} rows");
        }
    }
}

/// One row far from all others: deviations from it alone would lose the variance's last digits.
#[test]
fn layer_norm_of_one_outlier_in_front() {
    for level in levels() {
        for rows in [1024, 4096] {
            let x: Vec<f32> = (0..rows).map(|r| if r == 0 { 1e4 } else { paint(1, r as u32)[0] }).collect();
            let (ones, zeros) = (vec![1.0; rows], vec![0.0; rows]);
            let mut out = vec![f32::NAN; rows];
            let mut view = ViewMut::new(&mut out, rows, 1).unwrap();
            layer_norm(level, &View::new(&x, rows, 1).unwrap(), &ones, &zeros, 1e-5, &mut view).unwrap();
            let mut exact = to_f64(&x);
            reference::layer_norm(&mut exact, 1, &to_f64(&ones), &to_f64(&zeros), f64::from(1e-5_f32));
            let error = f64::from(out[0]) / exact[0] - 1.0;
            assert!(error.abs() < 1e-6, "{level}, {rows} rows: the outlier is off by {error:e}");
        }
    }
}
