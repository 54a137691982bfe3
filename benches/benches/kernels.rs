//! Each kernel at each level on the models' shapes, products beside `matrixmultiply`. Throughput counts multiply-accumulates
//! of products and values of everything else. `cargo bench -p benches --bench kernels -- matmul`
//!
//! The table at the end has each product's share of the peak: of what [`kernels::testing::multiply_add_loop`] does, measured before
//! and after every millisecond of it.

#[path = "kernels/matmul.rs"]
mod matmul;

use std::time::Duration;

use benches::{Aligned, PeakShares, Product, assert_close, bench_peak, for_each_panel, levels};
use criterion::{BatchSize, Criterion, Throughput};
use kernels::testing::reference;
use kernels::*;

const TOKENS: usize = 197;
const DIM: usize = 192;
const HEAD_DIM: usize = 64;

fn attention_head(c: &mut Criterion, shares: &mut PeakShares) {
    for level in levels() {
        let layout = level.panels(TOKENS);
        let qkv = Aligned::painted(3 * HEAD_DIM * layout.padded());
        let panels = Panels::new(&qkv, 3 * HEAD_DIM, layout).unwrap();
        let k = panels.row_range(HEAD_DIM..2 * HEAD_DIM).unwrap();
        let v = panels.row_range(2 * HEAD_DIM..3 * HEAD_DIM).unwrap();
        let mut out = Aligned::zeros(HEAD_DIM * layout.padded());
        let mut scratch = Aligned::zeros(attention_scratch_len(TOKENS));
        let macs = 2 * TOKENS * TOKENS * HEAD_DIM;
        let product = Product { group: "attention/deit_tiny_head", function: level.name(), level, macs };
        shares.bench(c, &product, || {
            for_each_panel(&layout, (&qkv, 3 * HEAD_DIM), (&mut out, HEAD_DIM), |x, mut y| {
                let q = x.row_range(0..HEAD_DIM).unwrap();
                let operands = Attention::new(q, k, v, 0.125).unwrap();
                attention(level, &operands, &mut y, &mut scratch).unwrap();
            });
        });
    }
}

/// A head of a window of 7x7 tokens with its position biases.
fn attention_window(c: &mut Criterion, shares: &mut PeakShares) {
    const WINDOW: usize = 49;
    const HEAD_DIM: usize = 32;
    let qkv = Aligned::painted(3 * HEAD_DIM * WINDOW);
    let (q, kv) = qkv.split_at(HEAD_DIM * WINDOW);
    let bias = Aligned::painted(WINDOW * WINDOW);
    let bias = View::new(&bias, WINDOW, WINDOW).unwrap();
    let kv = Panels::single(kv, 2 * HEAD_DIM, WINDOW).unwrap();
    let q = View::new(q, HEAD_DIM, WINDOW).unwrap();
    let (k, v) = (kv.row_range(0..HEAD_DIM).unwrap(), kv.row_range(HEAD_DIM..2 * HEAD_DIM).unwrap());
    let operands = Attention::new(q, k, v, 0.18).unwrap().with_bias(bias).unwrap();
    for level in levels() {
        let (mut out, mut scratch) = (vec![0.0; HEAD_DIM * WINDOW], vec![0.0; attention_scratch_len(WINDOW)]);
        let macs = 2 * WINDOW * WINDOW * HEAD_DIM;
        let product = Product { group: "attention/swin_tiny_window", function: level.name(), level, macs };
        shares.bench(c, &product, || {
            let mut out = ViewMut::new(&mut out, HEAD_DIM, WINDOW).unwrap();
            attention(level, &operands, &mut out, &mut scratch).unwrap();
        });
    }
}

/// The performer's sums over the tokens of the first round: 64 values and a 1 times 32 features.
fn performer_sums(c: &mut Criterion, shares: &mut PeakShares) {
    let [values, features, tokens] = [65, 32, 3136];
    for level in levels() {
        let layout = level.panels(tokens);
        let data = Aligned::painted((values + features) * layout.padded());
        let rows = Panels::new(&data, values + features, layout).unwrap();
        let (v, phi) = (rows.row_range(0..values).unwrap(), rows.row_range(values..values + features).unwrap());
        let mut out = vec![0.0; values * features];
        let macs = values * features * tokens;
        let product = Product { group: "token_products/t2t_vit_7_round1", function: level.name(), level, macs };
        shares.bench(c, &product, || token_products(level, &v, &phi, &mut out).unwrap());
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

fn main() {
    let short = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    let c = &mut short.configure_from_args();
    let mut shares = PeakShares::default();
    bench_peak(c);
    matmul::bench(c, &mut shares);
    attention_head(c, &mut shares);
    attention_window(c, &mut shares);
    performer_sums(c, &mut shares);
    down_the_rows(c);
    c.final_summary();
    shares.print();
}
