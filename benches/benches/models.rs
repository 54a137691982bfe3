//! Whole models on one thread, shuffled beside vanilla. `cargo bench -p benches --bench models -- deit_tiny`
#![allow(missing_docs, reason = "criterion's macros")]

use benches::{Aligned, levels, packed};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vit::{Config, Model};

fn models(c: &mut Criterion) {
    for base in ["deit_tiny", "deit_small"] {
        let mut group = c.benchmark_group(format!("models/{base}"));
        group.sample_size(20);
        for name in [base, &format!("shuffle_{base}")] {
            let config = Config::named(name).unwrap();
            let packed = packed(&config);
            let model = Model::new(&config, &packed).unwrap();
            let image = Aligned::painted(config.image_len());
            let mut logits = vec![0.0; config.num_classes()];
            group.throughput(Throughput::Elements(config.macs()));
            for level in levels() {
                let mut scratch = Aligned::zeros(model.scratch_len(level));
                group.bench_function(format!("{level}/{name}"), |bencher| {
                    bencher.iter(|| model.run(level, &image, &mut logits, &mut scratch).unwrap());
                });
            }
        }
    }
}

criterion_group!(benches, models);
criterion_main!(benches);
