//! What loads, and how: prefixes, types, alignment, the three ways in, descriptions, and files written here.

mod common;

use std::borrow::Cow;

use common::{Builder, Tensor, aligned, checkpoint, good, open, raw, small, zeros_of};
use half::{bf16, f16};
use vit::{Config, Family, Pool, Stages, SwinConfig, TensorName, Tensors, VitConfig};
use weights::{Checkpoint, Description, Interpolation, Loader, Random, TensorFile, save, write_tensors};

/// Every value of a checkpoint in the model's order.
fn values(checkpoint: &mut Checkpoint) -> Vec<f32> {
    let config = checkpoint.description().config;
    let mut all = Vec::new();
    config.visit_tensors(&mut |name, shape| all.extend(checkpoint.tensor(name, shape).unwrap()));
    all
}

fn all_values(builder: &Builder) -> Vec<f32> {
    values(&mut open(&builder.bytes(), None).unwrap())
}

#[test]
fn prefixes_are_dropped() {
    let expected = all_values(&good());
    for prefix in ["model.", "module.", "module.model.", "model.module.model."] {
        let mut builder = good();
        builder.tensors.iter_mut().for_each(|tensor| tensor.name.insert_str(0, prefix));
        assert_eq!(all_values(&builder), expected, "{prefix}");
        builder.remove(&format!("{prefix}norm.bias"));
        let error = open(&builder.bytes(), None).unwrap_err().to_string();
        assert!(error.contains(&format!("`{prefix}norm.bias` is missing")), "{error}");
    }
    let mut builder = good();
    builder.tensor("norm.bias").name = "model.norm.bias".into();
    let error = open(&builder.bytes(), None).unwrap_err().to_string();
    assert!(error.contains("`norm.bias` is missing") && error.contains("`model.norm.bias` is extra"), "{error}");
}

#[test]
fn halves_are_widened_exactly() {
    let single = all_values(&good());
    let convert = |dtype, convert: fn(f32) -> u16| {
        let mut builder = good();
        builder.tensors.iter_mut().for_each(|tensor| tensor.retype(dtype, convert));
        all_values(&builder)
    };
    let halves = convert("F16", |x| f16::from_f32(x).to_bits());
    assert!(single.iter().zip(&halves).all(|(x, half)| f16::from_f32(*x).to_f32() == *half));
    let brains = convert("BF16", |x| bf16::from_f32(x).to_bits());
    assert!(single.iter().zip(&brains).all(|(x, brain)| bf16::from_f32(*x).to_f32() == *brain));
}

#[test]
fn types_may_be_mixed() {
    let mut builder = good();
    builder.tensor("cls_token").retype("F16", |x| f16::from_f32(x).to_bits());
    builder.tensor("norm.bias").retype("BF16", |x| bf16::from_f32(x).to_bits());
    assert_eq!(all_values(&builder).len(), all_values(&good()).len());
}

#[test]
fn doubles_are_rounded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let single = all_values(&good());
    let mut builder = checkpoint(VitConfig { dim: 64, num_classes: 100, ..small() }); // more than is read at once
    let expected = all_values(&builder);
    builder.tensors.iter_mut().for_each(common::Tensor::widen);
    assert_eq!(all_values(&builder), expected);
    std::fs::write(&path, builder.bytes()).unwrap();
    assert_eq!(values(&mut Loader::new().checkpoint(TensorFile::from_file(&path).unwrap()).unwrap()), expected);
    let mut builder = good();
    builder.tensor("norm.bias").widen();
    assert_eq!(all_values(&builder), single);
}

#[test]
fn doubles_that_f32_cannot_hold_are_all_told() {
    let mut builder = good();
    for name in ["norm.bias", "head.bias"] {
        builder.tensor(name).widen();
        builder.tensor(name).bytes[16..24].copy_from_slice(&(-1e39f64).to_le_bytes());
    }
    let bytes = builder.bytes();
    let error = common::from_bytes(&bytes, None).unwrap_err().to_string();
    let problem = |name, len| {
        format!(
            "tensor `{name}` is not finite: expected finite values that f32 can hold, up to 3.4e38, \
             found 0 NaN and 1 infinite of {len}, the first at index 2"
        )
    };
    for line in ["2 problems\n", &problem("norm.bias", 8), &problem("head.bias", 3)] {
        assert!(error.contains(line), "{error}");
    }
    let file = TensorFile::from_bytes(&bytes).unwrap();
    assert!(file.tensor("norm.bias").unwrap_err().to_string().contains(&problem("norm.bias", 8)));
    // As it is in a file of F32, where the value may be looked at.
    let mut builder = good();
    builder.tensor("norm.bias").set_values(&[(2, f32::INFINITY)]);
    assert_eq!(TensorFile::from_bytes(&builder.bytes()).unwrap().tensor("norm.bias").unwrap()[2], f32::INFINITY);
}

#[test]
fn metadata_that_is_null_is_none() {
    let file = raw(r#"{"__metadata__":null,"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, &[0; 4]);
    safetensors::SafeTensors::deserialize(&file).unwrap();
    let file = TensorFile::from_bytes(&file).unwrap();
    assert_eq!((file.metadata("config"), &*file.tensor("x").unwrap()), (None, &[0.0][..]));
    let error = TensorFile::from_bytes(&raw(r#"{"__metadata__":"null"}"#, &[])).unwrap_err().to_string();
    assert!(error.contains("`__metadata__`") && error.contains("an object of strings"), "{error}");
}

#[test]
fn aligned_singles_are_borrowed_and_others_copied() {
    let x: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    for padding in 0..8 {
        let header = r#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#.to_string() + &" ".repeat(padding);
        let bytes = raw(&header, &x);
        for shift in 0..8 {
            let bytes = aligned(&bytes, shift);
            let file = TensorFile::from_bytes(&bytes).unwrap();
            let values = file.tensor("x").unwrap();
            assert_eq!(*values, [1.5, -2.0]);
            let aligned = (bytes.as_ptr().addr() + 8 + header.len()).is_multiple_of(4);
            let borrowed = matches!(values, Cow::Borrowed(_));
            assert_eq!(borrowed, aligned && cfg!(target_endian = "little"), "padding {padding}, shift {shift}");
        }
    }
}

/// A source of tensors may be asked for anything, by a program of one's own as well.
#[test]
fn a_tensor_has_one_length() {
    let bytes = good().bytes();
    let mut checkpoint = open(&bytes, None).unwrap();
    let name = TensorName::Top("cls_token");
    let len = good().tensor("cls_token").shape.iter().product::<u64>() as usize;
    for wrong in [0, len - 1, len + 1] {
        let error = checkpoint.tensor(name, &[wrong]).unwrap_err().to_string();
        assert!(error.contains(&format!("expected a tensor of {wrong} values, found {len} values")), "{error}");
    }
}

#[test]
fn a_checkpoint_at_any_offset_has_the_same_values() {
    let expected = all_values(&good());
    for (padding, shift) in [(0, 0), (1, 0), (2, 1), (3, 2), (0, 3)] {
        let bytes = Builder { padding, ..good() }.bytes();
        assert_eq!(values(&mut open(&aligned(&bytes, shift), None).unwrap()), expected);
    }
    // A tensor of odd length in front shifts all that follow.
    let mut builder = good();
    builder.tensor("cls_token").retype("F16", |x| f16::from_f32(x).to_bits());
    builder.tensors.insert(0, builder.tensors[0].clone());
    builder.tensors[0].name = "blocks.0.odd".into();
    builder.tensors[0] = Tensor { dtype: "U8", shape: vec![3], bytes: vec![0; 3], ..builder.tensors[0].clone() };
    let error = open(&builder.bytes(), None).unwrap_err().to_string();
    assert!(error.contains("1 problem") && error.contains("found U8 [3]"), "{error}");
}

#[test]
fn memory_disk_and_map_give_the_same_values() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.safetensors");
    let mut builder = checkpoint(VitConfig { dim: 64, num_classes: 100, ..small() }); // more than a piece of 8192 bytes
    builder.tensor("head.weight").retype("F16", |x| f16::from_f32(x).to_bits());
    std::fs::write(&path, builder.bytes()).unwrap();
    let expected = all_values(&builder);
    assert_eq!(values(&mut Loader::new().checkpoint(TensorFile::from_file(&path).unwrap()).unwrap()), expected);
    #[cfg(feature = "mmap")]
    {
        // SAFETY: nobody else knows the folder, and nothing writes to the file while it is mapped.
        let mapped = unsafe { TensorFile::from_mmap(&path) }.unwrap();
        assert_eq!(values(&mut Loader::new().checkpoint(mapped).unwrap()), expected);
    }
}

#[test]
fn a_file_shortened_behind_our_back_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.safetensors");
    std::fs::write(&path, good().bytes()).unwrap();
    let mut checkpoint = Loader::new().checkpoint(TensorFile::from_file(&path).unwrap()).unwrap();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(100).unwrap();
    let error = checkpoint.tensor(TensorName::Top("head.bias"), &[3]).unwrap_err().to_string();
    assert!(error.contains("small.safetensors: cannot read"), "{error}");
}

#[test]
fn rescaling_scalars_may_have_no_dimension() {
    let mut builder = good();
    builder.tensor("blocks.0.alpha").shape = vec![];
    assert_eq!(all_values(&builder), all_values(&good()));
}

#[test]
fn files_without_a_description() {
    let named = |edit: fn(&mut VitConfig), name: &str| {
        let Some(&Family::Vit(mut config)) = Config::named(name).as_ref().map(Config::family) else { panic!("{name}") };
        edit(&mut config);
        let mut builder = zeros_of(Config::new(config).unwrap());
        builder.config = None;
        let bytes = builder.bytes();
        let checkpoint = open(&bytes, Some(name)).unwrap();
        assert_eq!(checkpoint.description().config, Config::new(config).unwrap());
        assert_eq!(checkpoint.description().name.as_deref(), Some(name));
        checkpoint.description().preparation.clone()
    };
    let preparation =
        named(|c| (c.image_size, c.in_channels, c.num_classes) = (64, 1, 10), "shuffle_deit_tiny_distilled");
    assert_eq!((preparation.image_size, preparation.mean), (64, vec![0.5]));
    named(|c| (c.image_size, c.in_channels, c.num_classes) = (48, 1, 10), "shuffle_t2t_vit_7");
    // timm's global pooling: `fc_norm` in place of `norm`.
    named(|c| (c.pool, c.norm_after_pool, c.image_size) = (Pool::Avg, true, 32), "deit_tiny");
}

#[test]
fn a_description_goes_there_and_back() {
    let mut description = Description::new(
        Config::new(VitConfig {
            qkv_bias: false,
            layer_norm_eps: 1e-5,
            pool: Pool::Avg,
            norm_after_pool: true,
            mlp_ratio: 2.5,
            ..small()
        })
        .unwrap(),
    );
    description.name = Some("a \"name\"".into());
    description.labels = vec![Some("T-shirt/top".into()), None, Some("Ankle boot".into())];
    description.preparation.resize = 9;
    description.preparation.interpolation = Interpolation::Bilinear;
    description.preparation.mean = vec![0.2860];
    description.preparation.std = vec![0.3530];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    save(&path, &description, &mut Random::new(3)).unwrap();
    let checkpoint = Loader::new().checkpoint(TensorFile::from_file(&path).unwrap()).unwrap();
    assert_eq!(checkpoint.description(), &description);
    assert_eq!(checkpoint.warnings(), [""; 0]);
    assert_eq!(checkpoint.description().label(2), Some("Ankle boot"));
    assert_eq!(checkpoint.description().label(1), None);
}

/// Every key beyond the built-in models' is written, read back the same without a warning, and has a default.
#[test]
fn further_keys_go_there_and_back() {
    let vit = small();
    let swin = Stages::new(&[3, 2]).unwrap();
    let configs = [
        Config::new(VitConfig { class_token: false, pool: Pool::Avg, ..vit }).unwrap(),
        Config::new(VitConfig { register_tokens: 4, ..vit }).unwrap(),
        Config::new(VitConfig { register_tokens: 2, embed_registers: true, ..vit }).unwrap(),
        Config::new(VitConfig { embed_class_token: false, ..vit }).unwrap(),
        Config::new(VitConfig { pre_norm: true, ..vit }).unwrap(),
        Config::new(VitConfig { qk_norm: true, ..vit }).unwrap(),
        Config::new(VitConfig { pool: Pool::ClsAvg, ..vit }).unwrap(),
        Config::new(VitConfig { num_classes: 0, ..vit }).unwrap(),
        Config::new(SwinConfig { num_classes: 0, ..common::small_swin() }).unwrap(),
        Config::new(SwinConfig { window: swin, image_size: 24, ..common::small_swin() }).unwrap(),
    ];
    for config in configs {
        let bytes = common::checkpoint_of(config).bytes();
        let checkpoint = open(&bytes, None).unwrap();
        assert_eq!(checkpoint.description().config, config);
        assert_eq!(checkpoint.warnings(), [""; 0], "{config:?}");
    }
}

#[test]
fn further_keys_are_checked() {
    let cases = [
        (r#""distilled":false"#, r#""class_token":false"#, "set pool to avg"),
        (r#""pool":"cls""#, r#""register_tokens":-1"#, "a whole number from 0 to 1048576"),
        (r#""pool":"cls""#, r#""qk_norm":1"#, "true or false"),
        (r#""pool":"cls""#, r#""pool":"cls_avgg""#, "nearest: `cls_avg`"),
        (r#""num_classes":3"#, r#""num_classes":1048577"#, "a whole number from 0 to 1048576"),
        (r#""num_classes":3"#, r#""num_classes":0,"labels":["a"]"#, "expected 0 values"),
    ];
    for (from, to, needle) in cases {
        let mut builder = good();
        builder.edit_config(from, to);
        let error = open(&builder.bytes(), None).unwrap_err().to_string();
        assert!(error.contains(needle), "{error} lacks {needle}");
    }
    let mut builder = common::checkpoint_of(Config::new(common::small_swin()).unwrap());
    builder.edit_config(r#""window":3"#, r#""window":[3,3,3]"#);
    let error = open(&builder.bytes(), None).unwrap_err().to_string();
    assert!(
        error.contains("1 problem\n") && error.contains("one number, or 2, as depths has, found 3 numbers"),
        "{error}"
    );
}

#[test]
fn a_short_description_takes_the_defaults() {
    let mut builder = checkpoint(VitConfig { dim: 4, depth: 1, heads: 2, ..VitConfig::default() });
    builder.config = Some(r#"{"arch":"vit","dim":4,"depth":1,"heads":2}"#.into());
    let bytes = builder.bytes();
    let checkpoint = open(&bytes, None).unwrap();
    let description = checkpoint.description();
    assert_eq!(
        description.config,
        Config::new(VitConfig { dim: 4, depth: 1, heads: 2, ..VitConfig::default() }).unwrap()
    );
    assert_eq!((description.preparation.resize, description.preparation.mean.len()), (248, 3));
    assert_eq!((&description.name, description.labels.len()), (&None, 0));
    let resize = |keys: &str| {
        let mut builder = builder.clone();
        builder.edit_config("}", keys);
        open(&builder.bytes(), None).unwrap().description().preparation.resize
    };
    assert_eq!(resize(r#","crop_pct":0.875}"#), 256);
    assert_eq!(resize(r#","crop_pct":1}"#), 224);
    assert_eq!(resize(r#","crop_pct":0.875,"resize":240}"#), 240);
}

#[test]
fn odd_but_harmless_things_are_warned_about() {
    let mut builder = good();
    builder.edit_config(r#""dim":4"#, r#""dim":4,"mlp_ration":3,"zzz":[{}]"#);
    let warnings = open(&builder.bytes(), Some("deit_tiny")).unwrap().warnings().to_vec();
    assert_eq!(
        warnings,
        [
            "config: key `mlp_ration` is unknown and ignored; nearest: `mlp_ratio`",
            "config: key `zzz` is unknown and ignored",
            "arch deit_tiny is ignored: the file describes itself",
        ]
    );
    let many: String = (0..25).map(|i| format!(r#","__{i}":0"#)).collect();
    builder.edit_config(r#","zzz":[{}]"#, &many);
    let warnings = open(&builder.bytes(), None).unwrap().warnings().to_vec();
    assert_eq!((warnings.len(), warnings[20].as_str()), (21, "config: 6 more unknown keys are ignored"));
}

#[test]
fn what_is_written_reads_back_and_lies_on_cache_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let config = VitConfig { dim: 48, ..small() };
    let bytes = save(&path, &Description::new(Config::new(config).unwrap()), &mut Random::new(1)).unwrap();
    let content = std::fs::read(&path).unwrap();
    assert_eq!(bytes, content.len() as u64);
    assert_eq!(values(&mut open(&content, None).unwrap()), all_values(&checkpoint(config)));
    // The public reader agrees, and finds every tensor of whole lines on a line of the file.
    let peer = safetensors::SafeTensors::deserialize(&content).unwrap();
    for (name, tensor) in peer.iter() {
        let offset = tensor.data().as_ptr().addr() - content.as_ptr().addr();
        assert!(
            offset.is_multiple_of(if tensor.data().len().is_multiple_of(64) { 64 } else { 4 }),
            "{name} at {offset}"
        );
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file was left behind");
}

#[test]
fn raw_tensors_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let values: Vec<f32> = (0..2100).map(|i| i as f32 - 0.5).collect();
    write_tensors(&path, &[("tap.0", &[3, 700], &values), ("none", &[0, 4], &[]), ("logits", &[], &[f32::NAN])])
        .unwrap();
    let file = TensorFile::from_file(&path).unwrap();
    assert_eq!(
        file.tensors().iter().map(|tensor| tensor.name.as_str()).collect::<Vec<_>>(),
        ["logits", "none", "tap.0"]
    );
    assert_eq!((file.info("tap.0").unwrap().len(), file.info("none").unwrap().is_empty()), (2100, true));
    assert_eq!(*file.tensor("tap.0").unwrap(), values);
    assert!(file.tensor("logits").unwrap()[0].is_nan());
    let error = file.tensor("tap.1").unwrap_err().to_string();
    assert!(error.contains("tensor `tap.1` is missing") && error.contains("nearest: `tap.0`"), "{error}");
}

#[test]
fn places_that_cannot_be_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let error = |path: &std::path::Path| write_tensors(path, &[("x", &[1], &[0.0])]).unwrap_err().to_string();
    let absent = error(&folder.path().join("absent/x.safetensors"));
    assert!(
        absent.contains("absent/x.safetensors: cannot create: the folder")
            && absent.contains("does not exist; create it")
    );
    assert!(error(folder.path()).contains("it is a folder"));
    let path = folder.path().join("x.safetensors");
    let wrong = write_tensors(&path, &[("x", &[2], &[0.0])]).unwrap_err().to_string();
    assert!(wrong.contains("as many values as [2] has, found 1 values"), "{wrong}");
    assert!(write_tensors(&path, &[("x", &[1], &[0.0]), ("x", &[1], &[0.0])]).is_err());
    assert!(!path.exists());
}

#[test]
fn a_failing_source_leaves_the_old_file() {
    struct Failing;
    impl Tensors for Failing {
        type Error = weights::Error;
        fn tensor(&mut self, _: TensorName, _: &[usize]) -> Result<&[f32], weights::Error> {
            TensorFile::from_bytes(&[]).map(|_| &[][..])
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    std::fs::write(&path, "old").unwrap();
    assert!(save(&path, &Description::new(Config::new(small()).unwrap()), &mut Failing).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn impossible_requests_to_write_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    assert!(write_tensors(&path, &[("x", &[usize::MAX, 2], &[])]).is_err());
    assert!(!path.exists());
}
