//! Logits are the same bits for any batch, level with fused multiply-add and thread count, with and without intermediate outputs.

mod common;

use common::{bits, configs, fused_levels, images, logits, packed};
use vit::{Config, Family, Intermediate, Level, Model, RunOptions, SwinConfig, VitConfig};
#[cfg(feature = "parallel")]
use vit::{Pool, Rayon, Stages, Tokens};

#[test]
fn every_fused_level_and_batch() {
    for config in configs() {
        let packed = packed(&config);
        let model = Model::new(&config, &packed).unwrap();
        let five = images(&config, 5);
        let expected = bits(&logits(&model, Level::detect(), &five));
        assert!(logits(&model, Level::detect(), &five).iter().all(|x| x.is_finite()), "{config:?}");
        for level in fused_levels() {
            assert_eq!(bits(&logits(&model, level, &five)), expected, "{level} {config:?}");
        }
        for batch in [1, 2] {
            let found: Vec<f32> = five
                .chunks(batch * config.image_len())
                .flat_map(|images| logits(&model, Level::detect(), images))
                .collect();
            assert_eq!(bits(&found), expected, "batches of {batch}, {config:?}");
        }
    }
}

#[test]
fn the_portable_level_agrees_to_rounding() {
    for config in configs() {
        let packed = packed(&config);
        let model = Model::new(&config, &packed).unwrap();
        let images = images(&config, 1);
        let (a, b) = (logits(&model, Level::detect(), &images), logits(&model, Level::PORTABLE, &images));
        let largest = a.iter().fold(0.0, |m: f32, x| m.max(x.abs()));
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= 1e-5 * largest), "{a:?} {b:?} {config:?}");
    }
}

/// Intermediate outputs switch off what a head on the class token lets a run skip; nothing may change.
#[test]
fn intermediate_outputs_change_nothing_and_show_every_token() {
    for config in configs() {
        let packed = packed(&config);
        let model = Model::new(&config, &packed).unwrap();
        let (level, images) = (Level::detect(), images(&config, 2));
        let mut outputs = vec![f32::NAN; 2 * config.outputs()];
        let mut seen = Vec::new();
        let mut scratch = vec![f32::NAN; model.scratch_len(level)];
        let mut check = |image, output: Intermediate| {
            let [tokens, channels] = output.shape();
            assert_eq!([tokens, channels], config.intermediate_shape(output.index()));
            let mut values = vec![f32::NAN; tokens * channels];
            output.write(&mut values).unwrap();
            assert!(values.iter().all(|x| x.is_finite()));
            assert!(output.write(&mut values[1..]).is_err());
            seen.push((image, output.index()));
        };
        let options = RunOptions::new(level).intermediate_outputs(&mut check);
        model.run(options, &images, &mut outputs, &mut scratch).unwrap();
        let all = (0..2).flat_map(|image| (0..config.intermediate_outputs()).map(move |i| (image, i)));
        assert_eq!(seen, all.collect::<Vec<_>>());
        assert_eq!(bits(&outputs), bits(&logits(&model, level, &images)), "{config:?}");
    }
}

#[cfg(feature = "parallel")]
#[test]
fn every_thread_count() {
    for threads in [1, 2, 3, 5] {
        let pool = Rayon::new(threads).unwrap();
        for config in configs() {
            let packed = packed(&config);
            let model = Model::new(&config, &packed).unwrap();
            for batch in [0, 1, 2, 5] {
                for level in Level::available() {
                    let images = images(&config, batch);
                    let mut found = vec![f32::NAN; batch * config.outputs()];
                    let mut scratch = vec![f32::NAN; model.scratch_len_on(level, &pool)];
                    model.run(RunOptions::new(level).executor(&pool), &images, &mut found, &mut scratch).unwrap();
                    let expected = logits(&model, level, &images);
                    assert_eq!(bits(&found), bits(&expected), "{threads} threads, batch {batch}, {level}, {config:?}");
                }
            }
        }
    }
}

/// Windows of 1, 16 and 64 tokens, with a shift and on maps of one window or four; images of few tokens; both kinds of
/// tokens-to-token. Nine threads are more than most of these have windows or vectors of tokens.
#[cfg(feature = "parallel")]
#[test]
fn more_threads_than_work() {
    let swin = SwinConfig {
        patch_size: 4,
        in_channels: 1,
        num_classes: 3,
        dim: 4,
        depths: Stages::new(&[2, 2]).unwrap(),
        heads: Stages::new(&[1, 2]).unwrap(),
        shuffle: true,
        ..SwinConfig::default()
    };
    let vit = VitConfig {
        patch_size: 4,
        in_channels: 1,
        num_classes: 3,
        dim: 6,
        depth: 2,
        heads: 2,
        shuffle: true,
        ..VitConfig::default()
    };
    let t2t = VitConfig { patch_size: 16, tokens: Tokens::T2tPerformer, depth: 1, ..vit };
    let configs = [
        Config::new(SwinConfig { image_size: 16, window: Stages::single(1), ..swin }).unwrap(),
        Config::new(SwinConfig { image_size: 32, window: Stages::single(4), ..swin }).unwrap(),
        Config::new(SwinConfig { image_size: 64, window: Stages::single(8), ..swin }).unwrap(),
        Config::new(SwinConfig { image_size: 56, window: Stages::single(7), ..swin }).unwrap(),
        Config::new(VitConfig { image_size: 4, distilled: true, ..vit }).unwrap(),
        Config::new(VitConfig { image_size: 20, pool: Pool::Avg, ..vit }).unwrap(),
        Config::new(VitConfig { image_size: 32, ..vit }).unwrap(),
        Config::new(VitConfig { image_size: 16, ..t2t }).unwrap(),
        Config::new(VitConfig { image_size: 48, ..t2t }).unwrap(),
        Config::new(VitConfig { image_size: 48, tokens: Tokens::T2tTransformer, ..t2t }).unwrap(),
    ];
    for config in configs {
        let packed = packed(&config);
        let model = Model::new(&config, &packed).unwrap();
        let images = images(&config, 1);
        for level in Level::available() {
            let expected = logits(&model, level, &images);
            assert!(expected.iter().all(|x| x.is_finite()), "{level}, {config:?}");
            for threads in 1..=9 {
                let pool = Rayon::new(threads).unwrap();
                let mut found = vec![f32::NAN; config.outputs()];
                let mut scratch = vec![f32::NAN; model.scratch_len_on(level, &pool)];
                model.run(RunOptions::new(level).executor(&pool), &images, &mut found, &mut scratch).unwrap();
                assert_eq!(bits(&found), bits(&expected), "{threads} threads, {level}, {config:?}");
            }
        }
    }
}

/// A profiler hears of the same work on any number of threads, and changes nothing.
#[cfg(feature = "parallel")]
#[test]
fn profiling_changes_nothing() {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    for config in configs() {
        let packed = packed(&config);
        let model = Model::new(&config, &packed).unwrap();
        let (level, images) = (Level::detect(), images(&config, 2));
        let expected = bits(&logits(&model, level, &images));
        let mut alone = None;
        for threads in [1, 2, 3] {
            let pool = Rayon::new(threads).unwrap();
            let macs = AtomicU64::new(0);
            let profiler = |_, step| _ = macs.fetch_add(step, Relaxed);
            let mut found = vec![f32::NAN; 2 * config.outputs()];
            let mut scratch = vec![f32::NAN; model.scratch_len_on(level, &pool)];
            let options = RunOptions::new(level).executor(&pool).profiler(&profiler);
            model.run(options, &images, &mut found, &mut scratch).unwrap();
            assert_eq!(bits(&found), expected, "{threads} threads, {config:?}");
            let macs = macs.into_inner();
            assert_eq!(*alone.get_or_insert(macs), macs, "{threads} threads, {config:?}");
        }
    }
}

#[test]
fn threads_share_one_model() {
    let config = configs()[1];
    let packed = packed(&config);
    let model = Model::new(&config, &packed).unwrap();
    let images = images(&config, 2);
    let expected = bits(&logits(&model, Level::detect(), &images));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..3).for_each(|_| assert_eq!(bits(&logits(&model, Level::detect(), &images)), expected)));
        }
    });
}

/// Threads spin in joins, so runs that meet on one pool, from outside and from one of its threads, must not wait for each
/// other.
#[cfg(feature = "parallel")]
#[test]
fn runs_share_a_pool() {
    let config = configs()[1];
    let packed = packed(&config);
    let model = Model::new(&config, &packed).unwrap();
    let (level, images) = (Level::detect(), images(&config, 4));
    let expected = bits(&logits(&model, level, &images));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    let threads = Rayon::current();
    let run = || {
        let mut found = vec![f32::NAN; 4 * config.outputs()];
        let mut scratch = vec![f32::NAN; model.scratch_len_on(level, &threads)];
        model.run(RunOptions::new(level).executor(&threads), &images, &mut found, &mut scratch).unwrap();
        assert_eq!(bits(&found), expected);
    };
    let owned = Rayon::new(2).unwrap().spin(std::time::Duration::ZERO);
    let run_on_owned = || {
        let mut found = vec![f32::NAN; 4 * config.outputs()];
        let mut scratch = vec![f32::NAN; model.scratch_len_on(level, &owned)];
        model.run(RunOptions::new(level).executor(&owned), &images, &mut found, &mut scratch).unwrap();
        assert_eq!(bits(&found), expected);
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..5).for_each(|_| run()));
            scope.spawn(|| (0..5).for_each(|_| pool.install(run)));
            scope.spawn(|| (0..5).for_each(|_| run_on_owned()));
            scope.spawn(|| (0..5).for_each(|_| pool.install(run_on_owned)));
        }
    });
}

/// Every number of a configuration reaches the computation.
#[test]
fn eps_changes_the_logits() {
    for config in configs() {
        let weights = packed(&config);
        let images = images(&config, 1);
        let other = match *config.family() {
            Family::Vit(c) => Config::new(VitConfig { layer_norm_eps: 0.1, ..c }).unwrap(),
            Family::Swin(c) => Config::new(SwinConfig { layer_norm_eps: 0.1, ..c }).unwrap(),
            _ => unreachable!("all families are above"),
        };
        let run = |config: &Config| logits(&Model::new(config, &weights).unwrap(), Level::detect(), &images);
        assert_ne!(bits(&run(&config)), bits(&run(&other)), "{config:?}");
    }
}
