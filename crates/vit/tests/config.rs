//! What configurations are possible, and what follows from one: tensors, parameters, multiply-accumulates.

use vit::{Config, ConfigError, Family, MAX_SIZE, Pool, Stages, SwinConfig, Tokens, VitConfig};

fn check(family: impl Into<Family>) -> Result<(), ConfigError> {
    Config::new(family).map(|_| ())
}

#[test]
fn counts_equal_the_published_table() {
    let table = [
        ("deit_tiny", 5717416, 1253683200),
        ("shuffle_deit_tiny", 6095488, 1282776576),
        ("deit_tiny_distilled", 5910800, 1261003776),
        ("shuffle_deit_tiny_distilled", 6481256, 1290289152),
        ("deit_small", 22050664, 4598882304),
        ("shuffle_deit_small", 22806784, 4657069056),
        ("deit_small_distilled", 22436432, 4624140288),
        ("shuffle_deit_small_distilled", 23577320, 4682711040),
        ("t2t_vit_7", 4310222, 1146738176),
        ("shuffle_t2t_vit_7", 4765148, 1175895552),
        ("t2t_vit_10", 5889230, 1516203008),
        ("shuffle_t2t_vit_10", 6344162, 1545360384),
        ("t2t_vit_12", 6941902, 1762512896),
        ("shuffle_t2t_vit_12", 7396838, 1791670272),
        ("t2t_vit_14", 21545550, 4783343104),
        ("shuffle_t2t_vit_14", 22227946, 4827079168),
        ("t2t_vit_t_14", 21541070, 6088721920),
        ("shuffle_t2t_vit_t_14", 22223466, 6132457984),
        ("swin_extra_tiny", 6852742, 1071089664),
        ("shuffle_swin_extra_tiny", 7182846, 1031659008),
        ("swin_tiny", 28288354, 4490566656),
        ("shuffle_swin_tiny", 28839980, 4325001216),
    ];
    for (name, params, macs) in table {
        let config = Config::named(name).unwrap();
        assert_eq!((config.params(), config.macs()), (params, macs), "{name}");
    }
    assert_eq!(table.map(|row| row.0), *Config::names());
}

#[test]
fn layers_are_grouped_and_cover_all_parameters() {
    let config = Config::named("shuffle_deit_tiny").unwrap();
    let mut names = Vec::new();
    config.visit_layers(&mut |layer| names.push(layer.name.to_string()));
    assert_eq!(names[..5], ["cls_token", "pos_embed", "patch_embed.proj", "blocks.0.alpha", "blocks.0.beta"]);
    assert_eq!(names.last().unwrap(), "head");
    let unique: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(unique.len(), names.len());
}

#[test]
fn windows_that_do_not_cover_a_map_name_sizes_that_work() {
    let Some(&Family::Swin(swin)) = Config::named("swin_tiny").as_ref().map(Config::family) else { panic!("a Swin") };
    let message = check(SwinConfig { image_size: 256, ..swin }).unwrap_err().to_string();
    assert!(message.contains("224") && message.contains("448"), "{message}");
    let small = SwinConfig { image_size: 32, ..swin };
    assert!(check(small).is_err(), "a map of 8 tokens and windows of 7");
    let stages = SwinConfig { heads: Stages::new(&[3, 6]).unwrap(), ..swin };
    assert!(check(stages).unwrap_err().to_string().contains("depths has 4"));
    let windows = SwinConfig { window: Stages::new(&[7, 7]).unwrap(), ..swin };
    assert!(check(windows).unwrap_err().to_string().contains("one for each stage"));
    assert!(check(SwinConfig::default()).is_err());
}

#[test]
fn impossible_configurations_are_named() {
    let good = VitConfig { dim: 24, depth: 2, heads: 3, ..VitConfig::default() };
    assert_eq!(check(good), Ok(()));
    let over = MAX_SIZE + 1;
    #[rustfmt::skip]
    let bad: [(VitConfig, &str); 30] = [
        (VitConfig { image_size: 0, ..good }, "image_size is 0"),
        (VitConfig { image_size: over, ..good }, "image_size is 1048577"),
        (VitConfig { patch_size: 0, ..good }, "patch_size is 0"),
        (VitConfig { patch_size: over, ..good }, "patch_size is"),
        (VitConfig { in_channels: 0, ..good }, "in_channels is 0"),
        (VitConfig { in_channels: over, ..good }, "in_channels is"),
        (VitConfig { register_tokens: over, ..good }, "register_tokens is 1048577, expected 0 to"),
        (VitConfig { num_classes: over, ..good }, "num_classes is"),
        (VitConfig { dim: 0, ..good }, "dim is 0"),
        (VitConfig { dim: over, heads: 1, ..good }, "dim is"),
        (VitConfig { depth: 0, ..good }, "depth is 0"),
        (VitConfig { depth: 1025, ..good }, "depth is 1025"),
        (VitConfig { heads: 0, ..good }, "heads is 0"),
        (VitConfig { heads: usize::MAX, ..good }, "heads is"),
        (VitConfig { heads: 5, ..good }, "heads 5 does not divide dim 24"),
        (VitConfig { patch_size: 15, ..good }, "patch_size 15 does not divide image_size 224"),
        (VitConfig { mlp_ratio: f64::NAN, ..good }, "mlp_ratio"),
        (VitConfig { mlp_ratio: f64::INFINITY, ..good }, "mlp_ratio"),
        (VitConfig { mlp_ratio: -1.0, ..good }, "mlp_ratio"),
        (VitConfig { mlp_ratio: 0.01, ..good }, "dim * mlp_ratio"),
        (VitConfig { layer_norm_eps: 0.0, ..good }, "layer_norm_eps"),
        (VitConfig { layer_norm_eps: 1e-60, ..good }, "layer_norm_eps"),
        (VitConfig { norm_after_pool: true, ..good }, "norm_after_pool"),
        (VitConfig { norm_after_pool: true, pool: Pool::ClsAvg, ..good }, "norm_after_pool"),
        (VitConfig { distilled: true, pool: Pool::Avg, ..good }, "distilled"),
        (VitConfig { distilled: true, pool: Pool::ClsAvg, ..good }, "distilled"),
        (VitConfig { class_token: false, ..good }, "set pool to avg"),
        (VitConfig { class_token: false, pool: Pool::ClsAvg, ..good }, "set pool to avg"),
        (VitConfig { patch_size: 8, tokens: Tokens::T2tPerformer, ..good }, "patch_size to 16"),
        (VitConfig { image_size: MAX_SIZE, patch_size: 1, in_channels: MAX_SIZE, ..good }, "overflows"),
    ];
    for (config, expected) in bad {
        let message = check(config).unwrap_err().to_string();
        assert!(message.contains(expected), "{message:?} lacks {expected:?}");
    }
}

/// A little less than 2^40 values are accepted, a little more are not: every factor of a product counts.
#[test]
#[cfg(target_pointer_width = "64")]
fn more_values_than_the_bound_are_refused() {
    let large = |what| Err(ConfigError::TooLarge { what });
    let wide = VitConfig { dim: 1 << 18, depth: 1, heads: 1, ..VitConfig::default() };
    assert_eq!(check(wide), Ok(()));
    assert_eq!(check(VitConfig { depth: 2, ..wide }), large("the number of weights"));
    let long = VitConfig { image_size: 1024, patch_size: 1, dim: 1 << 16, ..wide };
    assert_eq!(check(long), Ok(()));
    assert_eq!(check(VitConfig { dim: 1 << 17, ..long }), large("the number of activations"));

    let attentive = VitConfig { image_size: 1 << 14, patch_size: 1, dim: 8, depth: 14, ..wide };
    assert_eq!(check(attentive), Ok(()));
    let deep = VitConfig { depth: 15, ..attentive };
    assert_eq!(check(deep), large("the number of multiply-accumulates"));

    let one = Stages::single(1);
    let wide = SwinConfig { dim: 1 << 17, depths: Stages::single(4), heads: one, ..SwinConfig::default() };
    assert_eq!(check(wide), Ok(()));
    let deep = SwinConfig { depths: Stages::single(5), ..wide };
    assert_eq!(check(deep), large("the number of weights"));
    let long = SwinConfig { image_size: 1 << 10, patch_size: 1, dim: 1 << 16, window: one, ..wide };
    assert_eq!(check(long), Ok(()));
    let longer = SwinConfig { dim: 1 << 17, ..long };
    assert_eq!(check(longer), large("the number of activations"));
    let attentive = SwinConfig { image_size: 1 << 10, patch_size: 1, window: Stages::single(1 << 10), dim: 1, ..wide };
    assert_eq!(check(attentive), large("the number of weights"), "biases count");
}

#[test]
fn the_nearest_sizes_that_windows_cover_are_named() {
    let nearest = |image_size, patch_size, depths: &[usize], window: &[usize]| {
        let ones = Stages::new(&depths.iter().map(|_| 1).collect::<Vec<_>>()).unwrap();
        let (depths, window) = (Stages::new(depths).unwrap(), Stages::new(window).unwrap());
        let config =
            SwinConfig { image_size, patch_size, dim: 1, depths, heads: ones, window, ..SwinConfig::default() };
        match check(config) {
            Err(ConfigError::Windows { window, below, above, .. }) => Some((window, below, above)),
            result => result.map(|()| None).unwrap(),
        }
    };
    assert_eq!(nearest(256, 4, &[2, 2, 6, 2], &[7]), Some((7, 224, 448)));
    assert_eq!(nearest(224, 4, &[2, 2, 6, 2], &[7]), None);
    // Up to its window a map is one window.
    assert_eq!([1, 2, 3, 6].map(|size| nearest(size, 1, &[1], &[3])), [None; 4]);
    assert_eq!(nearest(4, 1, &[1], &[3]), Some((3, 3, 6)));
    assert_eq!(nearest(5, 1, &[1], &[3]), Some((3, 3, 6)));
    assert_eq!(nearest(7, 1, &[1], &[3]), Some((3, 6, 9)));
    // The first stage that does not fit is named, and sizes that fit all.
    assert_eq!(nearest(20, 1, &[1, 1], &[5, 4]), Some((4, 4, 40)));
    assert_eq!(nearest(1, 1, &[1, 1], &[1]), Some((1, 0, 2)));
    let half = MAX_SIZE / 2;
    assert_eq!(nearest(MAX_SIZE, 1, &[1], &[half + 1]), Some((half + 1, half + 1, 0)));
}

/// What is let through can be counted: in debug builds an overflow would panic here.
#[test]
fn the_largest_configurations_can_be_counted() {
    let vit = VitConfig {
        patch_size: 1,
        in_channels: 1,
        dim: 1,
        depth: 1,
        heads: 1,
        mlp_ratio: 1.0,
        num_classes: 1,
        ..VitConfig::default()
    };
    let swin = SwinConfig {
        patch_size: 1,
        in_channels: 1,
        dim: 1,
        num_classes: 1,
        window: Stages::single(1),
        depths: Stages::new(&[1]).unwrap(),
        heads: Stages::new(&[1]).unwrap(),
        ..SwinConfig::default()
    };
    let mut counted = 0;
    for size in (4..=20).map(|bits| 1 << bits) {
        let t2t = |tokens| VitConfig { image_size: size, patch_size: 16, tokens, ..vit };
        let configs = [
            Config::new(VitConfig { image_size: size, ..vit }),
            Config::new(t2t(Tokens::T2tPerformer)),
            Config::new(t2t(Tokens::T2tTransformer)),
            Config::new(SwinConfig { image_size: size, ..swin }),
            Config::new(SwinConfig { image_size: size, window: Stages::single(size), ..swin }),
        ];
        counted += configs.iter().flatten().filter(|config| config.macs() > 0 && config.params() > 0).count();
    }
    assert!(counted > 30, "{counted} configurations were accepted");
}
