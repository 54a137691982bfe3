//! What a channel shuffle costs: reading a norm's input through the view, plainly, and after a copy that materialises it.
//! `cargo bench -p benches --bench shuffle`
#![allow(missing_docs, reason = "criterion's macros")]

use benches::{Aligned, levels};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kernels::*;

const TOKENS: usize = 197;
const DIM: usize = 192;

fn norm_through_the_view(c: &mut Criterion) {
    let mut group = c.benchmark_group("shuffle/norm_of_deit_tiny");
    group.throughput(Throughput::Elements((DIM * TOKENS) as u64));
    let (gamma, beta) = (Aligned::painted(DIM), Aligned::painted(DIM));
    let shuffle = ChannelOrder::shuffle(2 * DIM, 2).unwrap();
    let deep = (0..11).fold(shuffle, |order, _| order.then(shuffle).unwrap());
    for level in levels() {
        let columns = level.panels(TOKENS).padded();
        let x = Aligned::painted(2 * DIM * columns);
        let stream = View::new(&x, 2 * DIM, columns).unwrap();
        let (mut copy, mut out) = (Aligned::zeros(2 * DIM * columns), Aligned::zeros(DIM * columns));
        let norm = |x: &View, out: &mut Aligned| {
            let attended = x.row_range(0..DIM).unwrap();
            layer_norm(level, &attended, &gamma, &beta, 1e-6, &mut ViewMut::new(out, DIM, columns).unwrap()).unwrap();
        };
        group.bench_function(format!("{level}/plain"), |bencher| bencher.iter(|| norm(&stream, &mut out)));
        let shuffled = stream.reorder_rows(deep).unwrap();
        group.bench_function(format!("{level}/view_after_12_shuffles"), |bencher| {
            bencher.iter(|| norm(&shuffled, &mut out));
        });
        group.bench_function(format!("{level}/copy"), |bencher| {
            bencher.iter(|| {
                to_contiguous(&shuffled, &mut ViewMut::new(&mut copy, 2 * DIM, columns).unwrap()).unwrap();
                norm(&View::new(&copy, 2 * DIM, columns).unwrap(), &mut out);
            });
        });
    }
}

criterion_group!(benches, norm_through_the_view);
criterion_main!(benches);
