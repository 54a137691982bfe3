//! Each kernel at each level on DeiT-Tiny's shapes, products beside `matrixmultiply`. Throughput counts multiply-accumulates
//! of products and values of everything else. `cargo bench -p benches --bench kernels -- matmul`
#![allow(missing_docs, reason = "criterion's macros")]

use benches::{Aligned, levels};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use kernels::*;

const TOKENS: usize = 197;
const DIM: usize = 192;
const HEAD_DIM: usize = 64;

/// Name, M and K of DeiT-Tiny's products.
const PRODUCTS: [(&str, usize, usize); 4] =
    [("qkv", 576, 192), ("proj", 192, 192), ("fc1", 768, 192), ("fc2", 192, 768)];

/// Calls `work(panel's values of a, of b)` for each panel of two matrices.
fn for_each_panel(
    layout: &PanelLayout,
    a: (&[f32], usize),
    b: (&mut [f32], usize),
    mut work: impl FnMut(View, ViewMut),
) {
    for p in 0..layout.count() {
        let range = layout.range(p);
        let x = View::new(&a.0[a.1 * range.start..], a.1, range.len()).unwrap();
        let y = ViewMut::new(&mut b.0[b.1 * range.start..], b.1, range.len()).unwrap();
        work(x, y);
    }
}

fn matmul(c: &mut Criterion) {
    for (name, m, k) in PRODUCTS {
        let mut group = c.benchmark_group(format!("matmul/deit_tiny_{name}"));
        group.throughput(Throughput::Elements((m * k * TOKENS) as u64));
        let (weight, bias) = (Aligned::painted(m * k), Aligned::painted(m));
        let tokens = Aligned::painted(k * TOKENS);
        let mut buffer = Aligned::zeros(PackedMatrix::packed_len(m, k));
        let packed = PackedMatrix::pack(&View::new(&weight, m, k).unwrap(), &mut buffer).unwrap();
        let mut expected = vec![0.0; m * TOKENS];
        let general = |out: &mut [f32]| {
            // SAFETY: the slices hold m x k, k x n and m x n values, row-major.
            unsafe {
                let (a, b, out) = (weight.as_ptr(), tokens.as_ptr(), out.as_mut_ptr());
                let (k_stride, n) = (k as isize, TOKENS as isize);
                matrixmultiply::sgemm(m, k, TOKENS, 1.0, a, k_stride, 1, b, n, 1, 0.0, out, n, 1);
            }
        };
        general(&mut expected);
        for level in levels() {
            let layout = level.panels(TOKENS);
            let (mut b, mut out) = (Aligned::zeros(k * layout.padded()), Aligned::zeros(m * layout.padded()));
            for p in 0..layout.count() {
                let (range, valid) = (layout.range(p), layout.valid(p));
                for r in 0..k {
                    let row = &mut b[k * range.start + r * range.len()..][..valid];
                    row.copy_from_slice(&tokens[r * TOKENS + range.start..][..valid]);
                }
            }
            let mut run = |epilogue: Epilogue| {
                for_each_panel(&layout, (&b, k), (&mut out, m), |x, mut y| {
                    packed_matmul(level, &packed, &x, epilogue, &mut y).unwrap();
                });
            };
            run(Epilogue::Store);
            for p in 0..layout.count() {
                let (range, valid) = (layout.range(p), layout.valid(p));
                for (r, row) in expected.chunks(TOKENS).enumerate() {
                    let found = &out[m * range.start + r * range.len()..][..valid];
                    assert_close(found, &row[range.start..][..valid]);
                }
            }
            let mut run = |epilogue: Epilogue| {
                for_each_panel(&layout, (&b, k), (&mut out, m), |x, mut y| {
                    packed_matmul(level, &packed, &x, epilogue, &mut y).unwrap();
                });
            };
            group.bench_function(level.name(), |bencher| bencher.iter(|| run(Epilogue::Bias(&bias))));
            if name == "fc1" {
                group
                    .bench_function(format!("{level}_gelu"), |bencher| bencher.iter(|| run(Epilogue::BiasGelu(&bias))));
            }
        }
        group.bench_function("matrixmultiply", |bencher| bencher.iter(|| general(&mut expected)));
    }
}

/// An answer is checked before it is timed.
fn assert_close(found: &[f32], expected: &[f32]) {
    let close = found.iter().zip(expected).all(|(x, y)| (x - y).abs() < 1e-3);
    assert!(close && found.len() == expected.len(), "the answers differ");
}

fn attention_head(c: &mut Criterion) {
    let mut group = c.benchmark_group("attention/deit_tiny_head");
    group.throughput(Throughput::Elements((2 * TOKENS * TOKENS * HEAD_DIM) as u64));
    for level in levels() {
        let layout = level.panels(TOKENS);
        let qkv = Aligned::painted(3 * HEAD_DIM * layout.padded());
        let panels = Panels::new(&qkv, 3 * HEAD_DIM, layout).unwrap();
        let k = panels.row_range(HEAD_DIM..2 * HEAD_DIM).unwrap();
        let v = panels.row_range(2 * HEAD_DIM..3 * HEAD_DIM).unwrap();
        let mut out = Aligned::zeros(HEAD_DIM * layout.padded());
        let mut scratch = Aligned::zeros(attention_scratch_len(TOKENS));
        group.bench_function(level.name(), |bencher| {
            bencher.iter(|| {
                for_each_panel(&layout, (&qkv, 3 * HEAD_DIM), (&mut out, HEAD_DIM), |x, mut y| {
                    let q = x.row_range(0..HEAD_DIM).unwrap();
                    let operands = Attention { q, k, v, scale: 0.125, biases: &[] };
                    attention(level, &operands, &mut y, &mut scratch).unwrap();
                });
            });
        });
    }
}

fn down_the_rows(c: &mut Criterion) {
    let mut group = c.benchmark_group("layer_norm/deit_tiny");
    group.throughput(Throughput::Elements((DIM * TOKENS) as u64));
    let (gamma, beta) = (Aligned::painted(DIM), Aligned::painted(DIM));
    for level in levels() {
        let layout = level.panels(TOKENS);
        let (x, mut out) = (Aligned::painted(DIM * layout.padded()), Aligned::zeros(DIM * layout.padded()));
        group.bench_function(level.name(), |bencher| {
            bencher.iter(|| {
                for_each_panel(&layout, (&x, DIM), (&mut out, DIM), |x, mut y| {
                    layer_norm(level, &x, &gamma, &beta, 1e-6, &mut y).unwrap();
                });
            });
        });
    }
    group.finish();

    let mut group = c.benchmark_group("softmax/deit_tiny_scores");
    group.throughput(Throughput::Elements((TOKENS * 48) as u64));
    for level in levels() {
        let scores = Aligned::painted(TOKENS * 48);
        let run = |x: &mut Vec<f32>| softmax(level, &mut ViewMut::new(x, TOKENS, 48).unwrap()).unwrap();
        let mut weights = scores.to_vec();
        run(&mut weights);
        let sums: Vec<f32> = (0..48).map(|c| weights.iter().skip(c).step_by(48).sum()).collect();
        assert_close(&sums, &[1.0; 48]);
        group.bench_function(level.name(), |bencher| {
            bencher.iter_batched_ref(|| scores.to_vec(), run, BatchSize::SmallInput);
        });
    }
    group.finish();

    let mut group = c.benchmark_group("gelu/deit_tiny_hidden_panel");
    group.throughput(Throughput::Elements((4 * DIM * 48) as u64));
    for level in levels() {
        let x = Aligned::painted(4 * DIM * 48);
        let mut y = x.to_vec();
        gelu(level, &mut y);
        let exact: Vec<f32> = x.iter().map(|&x| reference::gelu(f64::from(x)) as f32).collect();
        assert_close(&y, &exact);
        group.bench_function(level.name(), |bencher| {
            bencher.iter_batched_ref(|| x.to_vec(), |x| gelu(level, x), BatchSize::SmallInput);
        });
    }
}

criterion_group!(benches, matmul, attention_head, down_the_rows);
criterion_main!(benches);
