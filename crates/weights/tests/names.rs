//! What checkpoints call their tensors: wrappers' prefixes, tensors of others, several models in a file, and the names of
//! the library transformers.

mod common;

use common::{Builder, Tensor, checkpoint, checkpoint_of, from_bytes, good, small, small_swin};
use vit::{Config, Level, Rescale, VitConfig};
use weights::{Error, LoadedModel, Loader};

fn logits(loaded: &LoadedModel) -> Vec<u32> {
    let (model, level) = (loaded.model(), Level::detect());
    let image: Vec<f32> = (0..model.config().image_len()).map(|i| (i % 251) as f32 / 125.0 - 1.0).collect();
    let mut logits = vec![0.0; model.config().outputs()];
    model.run(level, &image, &mut logits, &mut vec![0.0; model.scratch_len(level)]).unwrap();
    logits.into_iter().map(f32::to_bits).collect()
}

fn loaded(builder: &Builder) -> LoadedModel<'static> {
    from_bytes(&builder.bytes(), None).and_then(LoadedModel::into_owned).unwrap()
}

fn message(loader: &Loader, builder: &Builder) -> String {
    loader.from_bytes(&builder.bytes()).unwrap_err().to_string()
}

#[track_caller]
fn says(message: &str, words: &[&str]) {
    for words in words {
        assert!(message.contains(words), "{message:?} lacks {words:?}");
    }
}

/// The file with a prefix in front of every name.
fn under(prefix: &str, mut builder: Builder) -> Builder {
    builder.tensors.iter_mut().for_each(|tensor| tensor.name.insert_str(0, prefix));
    builder
}

fn foreign(name: &str) -> Tensor {
    Tensor { name: name.into(), dtype: "I64", shape: vec![], bytes: vec![0; 8] }
}

#[test]
fn any_prefix_is_found() {
    for builder in [good(), checkpoint_of(Config::new(small_swin()).unwrap())] {
        let expected = logits(&loaded(&builder));
        for prefix in [
            "_orig_mod.",
            "module._orig_mod.",
            "model._orig_mod.",
            "backbone.",
            "net.",
            "student.",
            "teacher.backbone.",
            "encoder.",
            "ema.",
            "a.b.c.d.e.f.g.",
            "layers.",
            "blocks.",
            "é.",
            "my-model.0.",
        ] {
            assert_eq!(logits(&loaded(&under(prefix, builder.clone()))), expected, "{prefix}");
        }
    }
}

#[test]
fn tensors_of_others_are_reported_each_once_and_left_out_on_demand() {
    let expected = logits(&loaded(&good()));
    for prefix in ["", "module."] {
        let mut builder = under(prefix, good());
        let names =
            ["n_averaged", "criterion.weight", "optimizer.state.0", "optimizer.state.1", "bn.num_batches_tracked"];
        builder.tensors.extend(names.map(foreign));
        let error = message(&Loader::new(), &builder);
        says(&error, &["5 problems", "tensor `n_averaged` is extra: expected no such tensor, found I64 []"]);
        says(
            &error,
            &[
                "to load it without the others: --ignore 'bn.num_batches_tracked' --ignore 'criterion.weight' --ignore 'n_averaged' --ignore 'optimizer.*'",
            ],
        );
        let loader =
            Loader::new().ignore("n_averaged").ignore("criterion.*").ignore("opt*").ignore("*.num_batches_tracked");
        let loaded = loader.from_bytes(&builder.bytes()).and_then(LoadedModel::into_owned).unwrap();
        assert_eq!((logits(&loaded), loaded.warnings()), (expected.clone(), &[][..]));
    }
    let loaded =
        Loader::new().ignore("criterion.*").from_bytes(&good().bytes()).and_then(LoadedModel::into_owned).unwrap();
    assert_eq!(loaded.warnings(), ["no tensor is ignored: none matches criterion.*"]);
    let without = Loader::new().ignore("*.norm1.bias");
    says(&message(&without, &good()), &["1 problem\n", "`blocks.0.norm1.bias` is missing"]);
}

/// Two models of different weights under two prefixes.
fn two(first: &str, second: &str) -> Builder {
    let mut builder = under(first, good());
    let mut other = under(second, good());
    other.tensor(&format!("{second}head.bias")).set_values(&[(0, 5.0)]);
    builder.tensors.extend(other.tensors);
    builder
}

#[test]
fn one_of_two_models_is_chosen() {
    let builder = two("model.", "ema.");
    let error = Loader::new().from_bytes(&builder.bytes()).unwrap_err();
    assert!(matches!(error, Error::SeveralModels { .. }), "{error}");
    says(&error.to_string(), &["several models", "`ema.` and `model.`", "such as --prefix 'model.'"]);
    let with = |prefix: &str| {
        Loader::new().prefix(prefix).from_bytes(&builder.bytes()).and_then(LoadedModel::into_owned).unwrap()
    };
    assert_eq!(logits(&with("model.")), logits(&loaded(&good())));
    assert_ne!(logits(&with("ema.")), logits(&loaded(&good())));
    assert_eq!(logits(&with("ema")), logits(&with("ema.")));
    assert_eq!(with("ema.").warnings(), ["22 tensors are left out, which are under `model.`"]);
    says(
        &message(&Loader::new().prefix("teacher."), &builder),
        &["no model is under the prefix `teacher.`, found `ema.` and `model.`: correct --prefix or leave it out"],
    );
    // One of them may have no prefix, or one that goes on from the other's.
    for (first, second) in [("", "ema."), ("model.", "model.ema.")] {
        let builder = two(first, second);
        let with = |prefix: &str| {
            logits(
                &Loader::new().prefix(prefix).from_bytes(&builder.bytes()).and_then(LoadedModel::into_owned).unwrap(),
            )
        };
        assert_eq!(with(first), logits(&loaded(&good())));
        assert_ne!(with(second), with(first));
        let mut builder = builder.clone();
        builder.tensors.push(foreign("n_averaged"));
        says(&message(&Loader::new().prefix(second), &builder), &["1 problem\n", "`n_averaged` is extra"]);
    }
    // What is not a model's stays an error.
    let mut builder = two("model.", "ema.");
    builder.tensors.push(foreign("n_averaged"));
    says(&message(&Loader::new().prefix("ema."), &builder), &["1 problem\n", "`n_averaged` is extra"]);
    let without = Loader::new()
        .ignore("model.*")
        .ignore("n_averaged")
        .from_bytes(&builder.bytes())
        .and_then(LoadedModel::into_owned)
        .unwrap();
    assert_eq!(logits(&without), logits(&with("ema.")));
    says(&message(&Loader::new().prefix("x."), &Builder { tensors: vec![], ..good() }), &["found no model at all"]);
}

/// The names that transformers gives, query, key and value apart.
fn in_transformers_names(builder: &Builder, body: &str) -> Builder {
    let mut theirs = Builder { tensors: Vec::new(), ..builder.clone() };
    for tensor in &builder.tensors {
        let swin = tensor.name.starts_with("layers.");
        let attention = if swin { "attention.self" } else { "attention.attention" };
        let block = tensor.name.replace("blocks.0", if swin { "blocks.0" } else { "encoder.layer.0" });
        let block = if swin { block.replace("layers.", "encoder.layers.") } else { block };
        let name = [
            (".norm1.", ".layernorm_before."),
            (".norm2.", ".layernorm_after."),
            (".attn.proj.", ".attention.output.dense."),
            (".attn.relative", ".attention.self.relative"),
            (".mlp.fc1.", ".intermediate.dense."),
            (".mlp.fc2.", ".output.dense."),
            ("patch_embed.proj.", "embeddings.patch_embeddings.projection."),
            ("patch_embed.norm.", "embeddings.norm."),
            ("cls_token", "embeddings.cls_token"),
            ("dist_token", "embeddings.distillation_token"),
            ("pos_embed", "embeddings.position_embeddings"),
        ]
        .iter()
        .fold(block, |name, (ours, theirs)| name.replace(ours, theirs));
        let name = match name.strip_prefix("norm.") {
            Some(last) => format!("{body}layernorm.{last}"),
            None if name.starts_with("head_dist.") => name.replace("head_dist", "distillation_classifier"),
            None if name.starts_with("head.") => name.replace("head", "classifier"),
            None => format!("{body}{name}"),
        };
        if !name.contains(".attn.qkv.") {
            theirs.tensors.push(Tensor { name, ..tensor.clone() });
            continue;
        }
        let third = tensor.bytes.len() / 3;
        for (i, part) in ["query", "key", "value"].iter().enumerate() {
            let mut shape = tensor.shape.clone();
            shape[0] /= 3;
            let name = name.replace(".attn.qkv.", &format!(".{attention}.{part}."));
            let bytes = tensor.bytes[i * third..][..third].to_vec();
            theirs.tensors.push(Tensor { name, dtype: tensor.dtype, shape, bytes });
        }
    }
    theirs
}

fn plain() -> VitConfig {
    VitConfig { shuffle: false, rescale: Rescale::None, ..small() }
}

#[test]
fn transformers_names_load() {
    let mut swin = small_swin();
    (swin.shuffle, swin.rescale) = (false, Rescale::None);
    for (config, body) in [
        (Config::new(plain()).unwrap(), "vit."),
        (Config::new(VitConfig { qkv_bias: false, ..plain() }).unwrap(), "deit."),
        (Config::new(VitConfig { distilled: true, ..plain() }).unwrap(), "deit."),
        (Config::new(VitConfig { num_classes: 0, ..plain() }).unwrap(), ""),
        (Config::new(swin).unwrap(), "swin."),
    ] {
        let builder = checkpoint_of(config);
        let expected = logits(&loaded(&builder));
        for prefix in ["", "module.", "model._orig_mod."] {
            let mut theirs = under(prefix, in_transformers_names(&builder, body));
            assert_eq!(logits(&loaded(&theirs)), expected, "{prefix}{body}");
            theirs.tensors.push(foreign(&format!("{prefix}{body}pooler.dense.weight")));
            theirs.tensors.push(foreign(&format!("{prefix}{body}embeddings.mask_token")));
            let loaded = loaded(&theirs);
            let note = format!("{prefix}{body}embeddings.mask_token, {prefix}{body}pooler.dense.weight");
            let note = format!("left out, having no part in what is computed here: {note}");
            assert_eq!((logits(&loaded), loaded.warnings()), (expected.clone(), &[note][..]), "{prefix}{body}");
        }
    }
    // Halves are joined as well as singles.
    let mut theirs = in_transformers_names(&checkpoint(plain()), "vit.");
    theirs.tensors.iter_mut().for_each(|tensor| tensor.retype("BF16", |x| (x.to_bits() >> 16) as u16));
    let mut ours = checkpoint(plain());
    ours.tensors.iter_mut().for_each(|tensor| tensor.retype("BF16", |x| (x.to_bits() >> 16) as u16));
    assert_eq!(logits(&loaded(&theirs)), logits(&loaded(&ours)));
}

#[test]
fn what_is_wrong_is_named_as_the_file_names_it() {
    let theirs = || in_transformers_names(&checkpoint(plain()), "vit.");
    let wrong = |damage: &dyn Fn(&mut Builder), words: &[&str]| {
        let mut builder = theirs();
        damage(&mut builder);
        says(&message(&Loader::new(), &builder), words);
    };
    let key = "vit.encoder.layer.0.attention.attention.key.weight";
    wrong(
        &|b| b.remove(key),
        &["1 problem\n", "`vit.encoder.layer.0.attention.attention.key.weight` is missing", "[4, 4]"],
    );
    wrong(
        &|b| b.tensor(key).reshape(&[2, 4]),
        &["1 problem\n", "key.weight` is misshapen: expected [4, 4], found [2, 4]"],
    );
    wrong(&|b| b.tensor(key).set_values(&[(3, f32::NAN)]), &["1 problem\n", "key.weight` is not finite"]);
    wrong(&|b| b.remove("classifier.bias"), &["1 problem\n", "tensor `classifier.bias` is missing"]);
    wrong(&|b| b.remove("vit.layernorm.bias"), &["1 problem\n", "tensor `vit.layernorm.bias` is missing"]);
    wrong(
        &|b| b.remove("vit.encoder.layer.0.layernorm_after.bias"),
        &["1 problem\n", "`vit.encoder.layer.0.layernorm_after.bias` is missing"],
    );
    wrong(
        &|b| b.tensor("vit.encoder.layer.0.output.dense.bias").name = "vit.encoder.layer.0.output.dense.offset".into(),
        &[
            "2 problems",
            "`vit.encoder.layer.0.output.dense.bias` is missing",
            "nearest: `vit.encoder.layer.0.output.dense.offset`",
        ],
    );
    // The same tensor under two names.
    wrong(
        &|b| {
            let mut again = b.tensor("vit.encoder.layer.0.layernorm_before.bias").clone();
            again.name = "vit.encoder.layer.0.norm1.bias".into();
            b.tensors.push(again);
        },
        &["1 problem\n", "`vit.encoder.layer.0.norm1.bias` is extra"],
    );
}

/// Factors of LayerScale, by any of its names, are multiplied into what they scale, with the module and without.
#[test]
fn layer_scale_is_folded_into_the_weights() {
    let factors = [0.5f32, 2.0, -1.0, 0.25];
    let gamma = |name: &str| Tensor {
        name: name.into(),
        dtype: "F32",
        shape: vec![4],
        bytes: factors.iter().flat_map(|x| x.to_le_bytes()).collect(),
    };
    for config in [plain(), small(), VitConfig { rescale: Rescale::Half, ..small() }] {
        let mut expected = checkpoint(config);
        for name in
            ["blocks.0.attn.proj.weight", "blocks.0.attn.proj.bias", "blocks.0.mlp.fc2.weight", "blocks.0.mlp.fc2.bias"]
        {
            let tensor = expected.tensor(name);
            let row = tensor.bytes.len() / 4 / factors.len();
            let values: Vec<f32> = tensor.bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
            let scaled = values.iter().enumerate().map(|(i, x)| (i, x * factors[i / row])).collect::<Vec<_>>();
            tensor.set_values(&scaled);
        }
        for names in [["ls1.gamma", "ls2.gamma"], ["gamma_1", "gamma_2"]] {
            let mut builder = checkpoint(config);
            builder.tensors.extend(names.map(|name| gamma(&format!("blocks.0.{name}"))));
            assert_eq!(logits(&loaded(&builder)), logits(&loaded(&expected)), "{names:?}");
            builder.tensors.pop();
            let error = message(&Loader::new(), &builder);
            says(&error, &["1 problem\n", "`blocks.0.ls2.gamma` is missing: expected F32, F16, BF16 or F64 [4]"]);
        }
    }
    let mut builder = good();
    builder.tensors.extend(["blocks.0.ls1.gamma", "blocks.0.ls2.gamma"].map(gamma));
    builder.tensor("blocks.0.ls2.gamma").set_values(&[(1, f32::INFINITY)]);
    says(&message(&Loader::new(), &builder), &["1 problem\n", "`blocks.0.ls2.gamma` is not finite"]);
    builder.tensor("blocks.0.ls2.gamma").set_values(&[(1, 3e38)]);
    builder.tensor("blocks.0.mlp.fc2.bias").set_values(&[(1, 2.0)]);
    says(
        &message(&Loader::new(), &builder),
        &["`blocks.0.mlp.fc2.bias` is not finite", "multiplied by blocks.0.ls2.gamma"],
    );
    builder.tensor("blocks.0.ls1.gamma").reshape(&[3]);
    says(
        &message(&Loader::new(), &builder),
        &["1 problem\n", "`blocks.0.ls1.gamma` is misshapen: expected [4], found [3]"],
    );
}

#[test]
fn a_swin_of_timm_is_told_by_its_merging_or_by_its_head() {
    let timm = |builder: &Builder, merging: bool, head: bool| {
        let mut timm = builder.clone();
        for tensor in &mut timm.tensors {
            if merging {
                tensor.name = tensor.name.replace("layers.0.downsample", "layers.1.downsample");
            }
            if head {
                tensor.name = tensor.name.replace("head.", "head.fc.");
            }
        }
        timm
    };
    let swin = checkpoint_of(Config::new(small_swin()).unwrap());
    let expected = logits(&loaded(&swin));
    assert_eq!(logits(&loaded(&timm(&swin, true, true))), expected);
    let no_head = checkpoint_of(Config::new(vit::SwinConfig { num_classes: 0, ..small_swin() }).unwrap());
    assert_eq!(logits(&loaded(&timm(&no_head, true, false))), logits(&loaded(&no_head)));
    let one = vit::Stages::new(&[1]).unwrap();
    let one_stage = checkpoint_of(Config::new(vit::SwinConfig { depths: one, heads: one, ..small_swin() }).unwrap());
    assert_eq!(logits(&loaded(&timm(&one_stage, false, true))), logits(&loaded(&one_stage)));
    // Its head's name is nobody else's.
    for builder in [swin, good()] {
        let error = message(&Loader::new(), &timm(&builder, false, true));
        says(&error, &["4 problems", "`head.bias` is missing", "`head.fc.bias` is extra"]);
    }
}
