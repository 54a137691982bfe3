//! Whole models on one thread, shuffled beside vanilla. `cargo bench -p benches --bench models -- deit_tiny`
//!
//! The figures at the end are of the two timed in turn, beside the ratio of their multiply-accumulates.

use std::time::Duration;

use benches::{Call, bench, interleaved, is_measuring, levels, median};
use criterion::{Criterion, Throughput};
use kernels::Level;
use vit::Config;

/// For a pair timed in turn.
const BUDGET: Duration = Duration::from_secs(8);

fn config(name: &str) -> Config {
    Config::named(name).expect("a built-in model")
}

/// A model and its shuffled twin, and whether criterion's filter let both through.
fn models(c: &mut Criterion, names: [&str; 2], level: Level) -> bool {
    let mut group = c.benchmark_group(format!("models/{}", names[0]));
    group.sample_size(20);
    let [vanilla, shuffled] = names.map(|name| {
        group.throughput(Throughput::Elements(config(name).macs()));
        let mut call = Call::new(config(name), level);
        bench(&mut group, format!("{level}/{name}"), || call.run())
    });
    vanilla && shuffled
}

/// What the twins take, in turn.
fn compare(names: [&str; 2], level: Level) -> String {
    let [mut vanilla, mut shuffled] = names.map(|name| Call::new(config(name), level));
    let rounds = interleaved(BUDGET, &mut [&mut || vanilla.run(), &mut || shuffled.run()]);
    let ms = |i: usize| 1e3 * median(rounds.iter().map(|seconds| seconds[i]));
    let ratio = median(rounds.iter().map(|seconds| seconds[1] / seconds[0]));
    let macs = config(names[1]).macs() as f64 / config(names[0]).macs() as f64;
    let title = format!("{}/{level}", names[0]);
    format!("{title:24}  {:7.2}  {:8.2}  {ratio:18.4}  {macs:7.4}", ms(0), ms(1))
}

fn main() {
    let short = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    let c = &mut short.configure_from_args();
    let mut lines = Vec::new();
    for base in ["deit_tiny", "deit_small", "t2t_vit_7", "swin_extra_tiny"] {
        let names = [base, &format!("shuffle_{base}")];
        for level in levels() {
            if models(c, names, level) && is_measuring() {
                lines.push(compare(names, level));
            }
        }
    }
    c.final_summary();
    if !lines.is_empty() {
        println!("ms an image               vanilla  shuffled  shuffled / vanilla  of MACs\n{}", lines.join("\n"));
    }
}
