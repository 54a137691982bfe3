//! A stack of DeiT-Tiny's layers, shuffled beside vanilla: the shuffled layer costs what its multiply-accumulates cost, which
//! are the same. `cargo bench -p benches --bench layers`
//!
//! The stack stands behind an embedding of 1x1 patches and in front of one class, so it is nearly all there is: 4 whole
//! layers, and of a fifth what the class token needs.
#![allow(missing_docs, reason = "criterion's macros")]

use benches::{Aligned, levels, packed};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vit::{Config, Model, Rescale, VitConfig};

fn layers(c: &mut Criterion) {
    let vanilla = VitConfig {
        image_size: 14,
        patch_size: 1,
        in_channels: 1,
        num_classes: 1,
        dim: 192,
        depth: 5,
        heads: 3,
        ..VitConfig::default()
    };
    let shuffled = VitConfig { shuffle: true, rescale: Rescale::Learned, ..vanilla };
    let mut group = c.benchmark_group("layers/deit_tiny");
    group.throughput(Throughput::Elements(4));
    for level in levels() {
        for (name, config) in [("vanilla", vanilla), ("shuffled", shuffled)] {
            let config = Config::Vit(config);
            let packed = packed(&config);
            let model = Model::new(&config, &packed).unwrap();
            let image = Aligned::painted(config.image_len());
            let mut scratch = Aligned::zeros(model.scratch_len(level));
            group.bench_function(format!("{level}/{name}"), |bencher| {
                bencher.iter(|| model.run(level, &image, &mut [0.0], &mut scratch).unwrap());
            });
        }
    }
}

criterion_group!(benches, layers);
criterion_main!(benches);
