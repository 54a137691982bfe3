//! Swin's files: Microsoft's names and timm's, buffers, descriptions, and what damaged ones say.

mod common;

use common::{Builder, check, check_config, checkpoint_of, complaint, open, small_swin, zeros_of};
use vit::{Config, Family, Stages, SwinConfig};

fn swin() -> Builder {
    checkpoint_of(Config::new(small_swin()).unwrap())
}

/// Logits of an image of halves.
fn logits(bytes: &[u8], arch: Option<&str>) -> Vec<f32> {
    let loaded = common::from_bytes(bytes, arch).unwrap();
    let (model, level) = (loaded.model(), vit::Level::detect());
    let image = vec![0.5; model.config().image_len()];
    let mut logits = vec![0.0; model.config().outputs()];
    model.run(level, &image, &mut logits, &mut vec![0.0; model.scratch_len(level)]).unwrap();
    logits
}

/// The names that timm gives a Swin's tensors.
fn in_timms_names(builder: &Builder) -> Builder {
    let mut timm = builder.clone();
    for tensor in &mut timm.tensors {
        for s in (0..8).rev() {
            tensor.name =
                tensor.name.replace(&format!("layers.{s}.downsample"), &format!("layers.{}.downsample", s + 1));
        }
        if let Some(last) = tensor.name.strip_prefix("head.") {
            tensor.name = format!("head.fc.{last}");
        }
    }
    timm
}

/// The buffers that state dicts carry.
fn add_buffers(builder: &mut Builder, prefix: &str) {
    let mut buffer = builder.tensors[0].clone();
    buffer.name = format!("{prefix}layers.0.blocks.1.attn_mask");
    builder.tensors.push(buffer.clone());
    buffer.name = format!("{prefix}layers.1.blocks.0.attn.relative_position_index");
    (buffer.dtype, buffer.shape, buffer.bytes) = ("I64", vec![9, 9], vec![0; 8 * 81]);
    builder.tensors.push(buffer);
}

#[test]
fn descriptions_go_there_and_back() {
    common::round_trip(Config::new(small_swin()).unwrap());
    let plain = SwinConfig { shuffle: false, rescale: vit::Rescale::Half, qkv_bias: false, ..small_swin() };
    common::round_trip(Config::new(plain).unwrap());
}

#[test]
fn a_short_description_takes_the_defaults() {
    let one = Stages::new(&[1]).unwrap();
    let config = SwinConfig { dim: 2, depths: one, heads: one, ..SwinConfig::default() };
    let mut builder = checkpoint_of(Config::new(config).unwrap());
    builder.config = Some(r#"{"heads":[1],"dim":2,"depths":[1],"arch":"swin"}"#.into());
    assert_eq!(open(&builder.bytes(), None).unwrap().description().config, Config::new(config).unwrap());
}

#[test]
fn timms_names_and_buffers_are_microsofts() {
    for config in [small_swin(), SwinConfig { shuffle: false, ..small_swin() }] {
        let builder = checkpoint_of(Config::new(config).unwrap());
        let expected = logits(&builder.bytes(), None);
        for prefix in ["", "model.", "module.model."] {
            for mut builder in [builder.clone(), in_timms_names(&builder)] {
                builder.tensors.iter_mut().for_each(|tensor| tensor.name.insert_str(0, prefix));
                add_buffers(&mut builder, prefix);
                assert_eq!(logits(&builder.bytes(), None), expected, "{prefix}");
            }
        }
    }
    // What is wrong is named as the file names it.
    let timm = in_timms_names(&swin());
    check(timm.clone(), |b| b.remove("head.fc.bias"), &["1 problem\n", "`head.fc.bias` is missing"]);
    check(
        timm,
        |b| b.tensor("layers.1.downsample.norm_2.weight").reshape(&[8]),
        &["1 problem\n", "`layers.1.downsample.norm_2.weight` is misshapen: expected [16], found [8]"],
    );
}

#[test]
fn tensors() {
    check(
        swin(),
        |b| b.remove("layers.0.downsample.reduction_1.weight"),
        &["1 problem\n", "`layers.0.downsample.reduction_1.weight` is missing: expected F32, F16, BF16 or F64 [8, 16]"],
    );
    check(
        swin(),
        |b| b.tensor("layers.1.blocks.1.attn.relative_position_bias_table").reshape(&[49, 2]),
        &["`layers.1.blocks.1.attn.relative_position_bias_table` is misshapen: expected [25, 2], found [49, 2]"],
    );
    check(
        swin(),
        |b| b.tensor("layers.0.blocks.0.alpha").set_values(&[(0, f32::NAN)]),
        &["`layers.0.blocks.0.alpha` is not finite"],
    );
    check(
        swin(),
        |b| b.tensor("layers.0.blocks.1.alpha").name = "blocks.1.alpha".into(),
        &["2 problems", "`layers.0.blocks.1.alpha` is missing", "`blocks.1.alpha` is extra"],
    );
    check(
        swin(),
        |b| b.tensor("patch_embed.norm.bias").dtype = "I32",
        &["`patch_embed.norm.bias` is wrongly typed: expected F32, F16, BF16 or F64, found I32"],
    );
    // A rescaling scalar may have no dimension.
    let mut builder = swin();
    builder.tensor("layers.1.blocks.0.beta").shape = vec![];
    assert_eq!(complaint(&builder.bytes(), None), None);
    // Without the module there is one merging, of all channels.
    let one = "`layers.0.downsample.norm.weight` is missing: expected F32, F16, BF16 or F64 [16]";
    check_config(swin(), r#""shuffle":true"#, r#""shuffle":false"#, &["`norm.weight` is misshapen", one]);
}

#[test]
fn configurations() {
    let cases: &[(&str, &str, &[&str])] = &[
        (
            r#""arch":"swin""#,
            r#""arch":"swim""#,
            &["1 problem\n", "expected vit or swin, found \"swim\"; nearest: `swin`"],
        ),
        (
            r#""arch":"swin""#,
            r#""arch":"vit""#,
            &["`heads`", "expected a whole number", "`depth`", "the key is required"],
        ),
        (r#""depths":[2,2],"#, "", &["1 problem\n", "`depths`", "the key is required, found none"]),
        (r#""depths":[2,2],"#, r#""depth":[2,2],"#, &["1 problem\n", "found none; nearest: `depth`"]),
        (
            r#""depths":[2,2]"#,
            r#""depths":2"#,
            &["1 problem\n", "expected a list of 1 to 8 whole numbers from 1 to 1024, found 2"],
        ),
        (r#""depths":[2,2]"#, r#""depths":[]"#, &["1 problem\n", "`depths`", "found []"]),
        (r#""depths":[2,2]"#, r#""depths":[2,0]"#, &["1 problem\n", "`depths`", "found [2,0]"]),
        (r#""depths":[2,2]"#, r#""depths":[2,1025]"#, &["1 problem\n", "`depths`", "found [2,1025]"]),
        (r#""depths":[2,2]"#, r#""depths":[1,1,1,1,1,1,1,1,1]"#, &["1 problem\n", "`depths`", "a list of 1 to 8"]),
        (
            r#""depths":[2,2]"#,
            r#""depths":[2]"#,
            &["1 problem\n", "`heads`", "expected 1 numbers, as depths has, found 2"],
        ),
        (r#""heads":[1,2]"#, r#""heads":[3,2]"#, &["1 problem\n", "`heads`", "a divisor of a stage's dim 4, found 3"]),
        (r#""heads":[1,2]"#, r#""heads":[3,5]"#, &["2 problems", "dim 4, found 3", "dim 8, found 5"]),
        (r#""dim":4"#, r#""dim":1048576"#, &["1 problem\n", "`dim`", "expected 1 to 262144, found 1048576"]),
        (r#""window":3"#, r#""window":0"#, &["1 problem\n", "`window`", "found 0"]),
        (
            r#""window":3"#,
            r#""window":4"#,
            &["1 problem\n", "`image_size`", "windows of 4 tokens, such as 8 or 16, found 12"],
        ),
        (r#""image_size":12"#, r#""image_size":14"#, &["1 problem\n", "`image_size`", "such as 12 or 24, found 14"]),
        (r#""image_size":12"#, r#""image_size":13"#, &["1 problem\n", "`patch_size`", "a divisor of image_size 13"]),
        (r#""image_size":12"#, r#""image_size":"12""#, &["1 problem\n", "`image_size`"]),
        (r#""mlp_ratio":2.0"#, r#""mlp_ratio":0.2"#, &["1 problem\n", "`dim * mlp_ratio`", "found 0"]),
        (r#""in_channels":1"#, r#""in_channels":2"#, &["`mean`", "expected 2 values, as in_channels says, found 1"]),
    ];
    for (from, to, needles) in cases {
        check_config(swin(), from, to, needles);
    }
    let mut builder = swin();
    builder.edit_config(r#""window":3"#, r#""window":3,"tokens":"patch","pool":"avg""#);
    let warnings = open(&builder.bytes(), None).unwrap().warnings().to_vec();
    assert_eq!(warnings.len(), 2, "keys of another family have no meaning: {warnings:?}");
}

#[test]
fn files_without_a_description() {
    let Some(&Family::Swin(mut config)) = Config::named("shuffle_swin_extra_tiny").as_ref().map(Config::family) else {
        panic!("a Swin")
    };
    (config.in_channels, config.num_classes) = (1, 10);
    let mut builder = zeros_of(Config::new(config).unwrap());
    builder.config = None;
    add_buffers(&mut builder, "");
    for builder in [builder.clone(), in_timms_names(&builder)] {
        let bytes = builder.bytes();
        assert_eq!(
            open(&bytes, Some("shuffle_swin_extra_tiny")).unwrap().description().config,
            Config::new(config).unwrap()
        );
        let message = open(&bytes, Some("swin_extra_tiny")).unwrap_err().to_string();
        assert!(message.contains("38 extra") && message.contains("is misshapen"), "{message}");
    }
}
