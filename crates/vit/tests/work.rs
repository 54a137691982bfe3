//! Multiply-accumulates that a run carries out, counted as it reports them: what nobody reads is not computed.

mod common;

use std::collections::BTreeMap;
use std::sync::Mutex;

use common::{images, packed};
use vit::{Config, Level, Model, Operation, Pool, RunOptions, VitConfig};

/// The executed multiply-accumulates of each operation.
type Work = BTreeMap<Operation, u64>;

fn executed(config: &Config) -> Work {
    let packed = packed(config);
    let model = Model::new(config, &packed).unwrap();
    let level = Level::detect();
    let (image, mut outputs) = (images(config, 1), vec![0.0; config.outputs()]);
    let mut scratch = vec![0.0; model.scratch_len(level)];
    let work = Mutex::new(Work::new());
    let profiler = |operation, macs| *work.lock().unwrap().entry(operation).or_default() += macs;
    model.run(RunOptions::new(level).profiler(&profiler), &image, &mut outputs, &mut scratch).unwrap();
    work.into_inner().unwrap().into_iter().filter(|(_, macs)| *macs > 0).collect()
}

/// What the definition of section II-D counts, with `read` tokens that the last block's attention and MLP work for.
fn expected(c: &VitConfig, read: usize) -> Work {
    let (tokens, dim, hidden, depth) = (c.tokens(), c.dim, c.hidden(), c.depth);
    let in_blocks = (depth - 1) * tokens + read;
    let counts = [
        (Operation::Embedding, tokens * c.channels() * c.patch_values()),
        (Operation::Qkv, depth * tokens * 3 * dim * dim),
        (Operation::Attention, in_blocks * 2 * tokens * dim),
        (Operation::Projection, in_blocks * dim * dim),
        (Operation::Fc1, in_blocks * dim * hidden),
        (Operation::Fc2, in_blocks * dim * hidden),
        (Operation::Head, c.features() * c.num_classes * (1 + usize::from(c.distilled))),
    ];
    counts.into_iter().map(|(operation, macs)| (operation, macs as u64)).filter(|(_, macs)| *macs > 0).collect()
}

#[test]
fn a_head_on_class_tokens_spares_the_last_block_the_others() {
    let base = VitConfig {
        image_size: 28,
        patch_size: 4,
        in_channels: 1,
        num_classes: 7,
        dim: 12,
        depth: 2,
        heads: 3,
        shuffle: true,
        ..VitConfig::default()
    };
    let cases = [
        (base, 1),
        (VitConfig { num_classes: 0, register_tokens: 4, ..base }, 1),
        (VitConfig { distilled: true, depth: 1, ..base }, 2),
        (VitConfig { pool: Pool::Avg, ..base }, base.tokens()),
        (VitConfig { pool: Pool::ClsAvg, ..base }, base.tokens()),
    ];
    for (config, read) in cases {
        assert_eq!(executed(&Config::new(config).unwrap()), expected(&config, read), "{config:?}");
    }
}
