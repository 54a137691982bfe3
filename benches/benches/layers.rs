//! Layers of DeiT-Tiny's size on 197 tokens: shuffled on twice the channels, and vanilla. The products are the same, so the
//! times should be the same. `cargo bench -p benches --bench layers`
//!
//! The stack stands behind an embedding of 1x1 patches and in front of one class, so it is nearly all there is: 4 whole
//! layers, and of a fifth what the class token needs. The figures at the end are of the 4 alone: stacks of 5 and of 1 are
//! timed in turn, shuffled and vanilla, and subtracted.

use std::time::Duration;

use benches::{Call, bench, interleaved, is_measuring, levels, median};
use criterion::{Criterion, Throughput};
use kernels::Level;
use vit::{Config, Rescale, VitConfig};

/// For the stacks timed in turn.
const BUDGET: Duration = Duration::from_secs(8);

fn stack(shuffle: bool, depth: usize) -> Config {
    Config::new(VitConfig {
        image_size: 14,
        patch_size: 1,
        in_channels: 1,
        num_classes: 1,
        dim: 192,
        depth,
        heads: 3,
        shuffle,
        rescale: if shuffle { Rescale::Learned } else { Rescale::None },
        ..VitConfig::default()
    })
    .unwrap()
}

/// The stacks of 5 at a level, and whether criterion's filter let them through.
fn layers(c: &mut Criterion, level: Level) -> bool {
    let mut group = c.benchmark_group("layers/deit_tiny");
    group.throughput(Throughput::Elements(4));
    let [vanilla, shuffled] = [("vanilla", false), ("shuffled", true)].map(|(name, shuffle)| {
        let mut call = Call::new(stack(shuffle, 5), level);
        bench(&mut group, format!("{level}/{name}"), || call.run())
    });
    vanilla && shuffled
}

/// What a layer takes, in turn with its twin.
fn compare(level: Level) -> String {
    let [mut vanilla, mut shuffled] = [false, true].map(|shuffle| Call::new(stack(shuffle, 5), level));
    let [mut vanilla_1, mut shuffled_1] = [false, true].map(|shuffle| Call::new(stack(shuffle, 1), level));
    let rounds = interleaved(
        BUDGET,
        &mut [&mut || vanilla.run(), &mut || shuffled.run(), &mut || vanilla_1.run(), &mut || shuffled_1.run()],
    );
    let layers = rounds.iter().map(|seconds| [(seconds[0] - seconds[2]) / 4.0, (seconds[1] - seconds[3]) / 4.0]);
    let ms = |i: usize| 1e3 * median(layers.clone().map(|layer| layer[i]));
    let ratio = median(layers.clone().map(|[vanilla, shuffled]| shuffled / vanilla));
    format!("{:10}  {:7.3}  {:8.3}  {ratio:18.4}", level.name(), ms(0), ms(1))
}

fn main() {
    let c = &mut Criterion::default().configure_from_args();
    let mut lines = Vec::new();
    for level in levels() {
        if layers(c, level) && is_measuring() {
            lines.push(compare(level));
        }
    }
    c.final_summary();
    if !lines.is_empty() {
        println!("ms a layer  vanilla  shuffled  shuffled / vanilla\n{}", lines.join("\n"));
    }
}
