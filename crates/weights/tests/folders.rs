//! Folders of the Hugging Face hub: what descriptions say becomes the model and its preparation, and what is wrong with them is
//! told with the file's name and the library's own key.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Builder, checkpoint_of};
use serde_json::{Value, json};
use vit::{Config, Family, VitConfig};
use weights::{CropMode, Description, Error, Interpolation, LoadedModel, Loader, TensorFile};

/// A folder of the goldens, copied so that it can be damaged.
struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    fn of(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/hub").join(name);
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            if entry.file_name() != "expected.safetensors" {
                fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
            }
        }
        Folder { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn edit(&self, file: &str, edit: impl FnOnce(&mut Value)) {
        let mut value = serde_json::from_slice(&fs::read(self.path(file)).unwrap()).unwrap();
        edit(&mut value);
        fs::write(self.path(file), value.to_string()).unwrap();
    }

    fn load(&self) -> Result<LoadedModel<'static>, Error> {
        Loader::new().load(self.folder.path())
    }

    fn description(&self) -> Description {
        self.load().unwrap().description().clone()
    }

    fn error(&self) -> String {
        self.load().unwrap_err().to_string()
    }
}

#[track_caller]
fn says(message: &str, words: &[&str]) {
    for words in words {
        assert!(message.contains(words), "{message:?} lacks {words:?}");
    }
}

#[test]
fn timm_says_how_images_are_prepared_and_what_classes_are_called() {
    let folder = Folder::of("timm_vit");
    let loaded = folder.load().unwrap();
    let description = loaded.description();
    let preparation = &description.preparation;
    assert_eq!((&preparation.mean[..], &preparation.std[..]), (&[0.5; 3][..], &[0.5; 3][..]));
    assert_eq!((preparation.image_size, preparation.resize, preparation.crop_mode), (16, 17, CropMode::Center));
    assert_eq!(description.label(1), Some("n01443537"));
    assert_eq!(description.name.as_deref(), Some("vit_tiny_patch16_224.augreg_in21k_ft_in1k"));
    assert_eq!((loaded.warnings(), loaded.assumed()), (&[][..], &[][..]));

    folder.edit("config.json", |c| {
        c["pretrained_cfg"]["crop_mode"] = json!("squash");
        c["pretrained_cfg"]["crop_pct"] = json!(1.0);
        c["pretrained_cfg"]["interpolation"] = json!("bilinear");
        c["label_names"] = json!({"0": "tench", "4": "hammerhead"});
        c["new_key"] = json!(3);
    });
    let description = folder.description();
    let preparation = &description.preparation;
    assert_eq!((preparation.resize, preparation.crop_mode), (16, CropMode::Squash));
    assert_eq!(preparation.interpolation, Interpolation::Bilinear);
    assert_eq!(description.labels, [Some("tench".into()), None, None, None, Some("hammerhead".into())]);

    // Where the file says nothing, timm's weights of that name do.
    folder.edit("config.json", |c| {
        let cfg = c["pretrained_cfg"].as_object_mut().unwrap();
        cfg.retain(|key, _| key == "tag" || key == "num_classes");
    });
    assert_eq!(folder.description().preparation.mean, [0.5; 3]);
}

#[test]
fn what_is_wrong_in_timms_description_is_named() {
    let wrong = |edit: &dyn Fn(&mut Value), words: &[&str]| {
        let folder = Folder::of("timm_vit");
        folder.edit("config.json", edit);
        let error = folder.error();
        says(&error, words);
        says(&error, &["config.json"]);
    };
    wrong(&|c| c["model_args"]["num_heads"] = json!(3), &["`model_args.num_heads`", "a divisor of dim 16, found 3"]);
    wrong(
        &|c| c["model_args"]["img_size"] = json!([16, 32]),
        &["`model_args.img_size`", "two that are equal, found [16,32]"],
    );
    wrong(&|c| c["model_args"]["embed_dim"] = json!("wide"), &["`model_args.embed_dim`", "found \"wide\""]);
    wrong(
        &|c| c["model_args"]["act_layer"] = json!("quick_gelu"),
        &["`model_args.act_layer`", "expected gelu, found \"quick_gelu\""],
    );
    wrong(&|c| c["model_args"]["global_pool"] = json!("map"), &["`global_pool`", "expected token or avg"]);
    wrong(&|c| c["model_args"]["num_classes"] = json!(-1), &["`model_args.num_classes`", "a whole number, found -1"]);
    wrong(&|c| c["label_names"] = json!(["a"]), &["`label_names`", "5 names, one for each class"]);
    wrong(
        &|c| c["pretrained_cfg"]["input_size"] = json!([3, 16]),
        &["`pretrained_cfg.input_size`", "channels, height and width"],
    );
    wrong(
        &|c| c["pretrained_cfg"]["input_size"] = json!([3, 16, 24]),
        &["`pretrained_cfg.input_size`", "that are equal"],
    );
    wrong(&|c| c["pretrained_cfg"]["mean"] = json!([0.5]), &["`pretrained_cfg.mean`", "3 values"]);
    wrong(
        &|c| c["pretrained_cfg"]["interpolation"] = json!("lanczos"),
        &["`pretrained_cfg.interpolation`", "expected bicubic, bilinear or nearest"],
    );
    wrong(
        &|c| c["pretrained_cfg"]["crop_mode"] = json!("border"),
        &["`pretrained_cfg.crop_mode`", "expected center or squash"],
    );
    wrong(&|c| c["architecture"] = json!(7), &["`architecture`", "a string, found 7"]);
    wrong(&|c| *c = json!([1]), &["a JSON object"]);
    // A head of another width is the tensors' matter, and named so.
    let folder = Folder::of("timm_vit");
    folder.edit("config.json", |c| (c["model_args"]["num_classes"], c["label_names"]) = (json!(7), Value::Null));
    says(&folder.error(), &["model.safetensors", "`head.weight` is misshapen: expected [7, 16], found [5, 16]"]);
}

#[test]
fn an_architecture_that_is_not_known_is_read_from_its_tensors() {
    let folder = Folder::of("timm_vit");
    folder.edit("config.json", |c| c["architecture"] = json!("vit_my_own"));
    let loaded = folder.load().unwrap();
    says(
        &loaded.warnings().concat(),
        &["vit_my_own is no model that is known here; its sizes are those of the tensors"],
    );
    assert!(matches!(loaded.model().config().family(), Family::Vit(vit) if (vit.heads, vit.dim) == (2, 16)));
    folder.edit("config.json", |c| c["model_args"]["extra"] = json!(1));
    says(&folder.load().unwrap().warnings().concat(), &["`model_args.extra` is unknown and ignored"]);
    folder.edit("config.json", |c| *c = json!({"architecture": "resnet50", "num_classes": 5}));
    says(&folder.error(), &["`architecture`", "a plain ViT, a DeiT, a DINOv2 or a Swin of timm, found \"resnet50\""]);
}

/// What transformers' own classes do with a file that says no more than whose it is.
#[test]
fn what_a_processor_does_by_default_is_known() {
    for (name, from, resize, mode, interpolation, mean) in [
        ("hf_vit", "ViTFeatureExtractor", 16, CropMode::Squash, Interpolation::Bilinear, 0.5),
        ("hf_swin", "ViTImageProcessorFast", 32, CropMode::Squash, Interpolation::Bilinear, 0.5),
        ("hf_vit", "DeiTImageProcessor", 18, CropMode::Squash, Interpolation::Bicubic, 0.5),
        ("hf_dinov2", "BitImageProcessor", 16, CropMode::Center, Interpolation::Bicubic, 0.48145466),
        ("hf_vit", "ConvNextImageProcessor", 16, CropMode::Squash, Interpolation::Bicubic, 0.5),
        ("hf_vit", "", 16, CropMode::Squash, Interpolation::Bilinear, 0.5),
        ("hf_deit", "", 18, CropMode::Squash, Interpolation::Bicubic, 0.5),
        ("hf_dinov2", "", 16, CropMode::Center, Interpolation::Bicubic, 0.48145466),
    ] {
        let folder = Folder::of(name);
        folder.edit("preprocessor_config.json", |p| {
            *p = if from.is_empty() { json!({}) } else { json!({"image_processor_type": from}) }
        });
        let found = folder.description().preparation;
        assert_eq!(
            (found.resize, found.crop_mode, found.interpolation),
            (resize, mode, interpolation),
            "{name} {from}"
        );
        assert_eq!(found.mean[0], mean, "{name} {from}");
    }
    // A part of it is enough: the centre is cut out because BiT's processor does so.
    let folder = Folder::of("hf_dinov2");
    folder.edit("preprocessor_config.json", |p| {
        p.as_object_mut().unwrap().remove("do_center_crop");
    });
    assert_eq!(folder.description().preparation.resize, 18);
}

#[test]
fn transformers_say_how_images_are_prepared() {
    let prepared = |edit: &dyn Fn(&mut Value)| {
        let folder = Folder::of("hf_vit");
        folder.edit("preprocessor_config.json", edit);
        let loaded = folder.load().unwrap();
        (loaded.description().preparation.clone(), loaded.warnings().to_vec())
    };
    let size = |value: Value, crop: Value| {
        prepared(&|p| {
            let crops = !crop.is_null();
            (p["size"], p["crop_size"], p["do_center_crop"]) = (value.clone(), crop.clone(), json!(crops));
        })
    };
    let square = json!({"height": 16, "width": 16});
    for (value, crop, resize, mode) in [
        (json!(16), Value::Null, 16, CropMode::Squash),
        (square.clone(), Value::Null, 16, CropMode::Squash),
        (json!({"height": 20, "width": 20}), square.clone(), 20, CropMode::Squash),
        (json!(18), json!(16), 18, CropMode::Squash),
        (json!({"shortest_edge": 18}), square, 18, CropMode::Center),
    ] {
        let (preparation, warnings) = size(value, crop);
        assert_eq!((preparation.resize, preparation.crop_mode, warnings), (resize, mode, vec![]));
    }
    // ConvNeXT's processor.
    let (preparation, _) = prepared(&|p| (p["size"], p["crop_pct"]) = (json!({"shortest_edge": 16}), json!(0.875)));
    assert_eq!((preparation.resize, preparation.crop_mode), (18, CropMode::Center));
    let (preparation, warnings) = size(json!(32), Value::Null);
    assert_eq!((preparation.image_size, preparation.resize), (16, 16));
    says(&warnings.concat(), &["images of 32 pixels are described, but the model takes 16", "--resize-positions"]);

    let (preparation, _) = prepared(&|p| p["resample"] = json!(2));
    assert_eq!(preparation.interpolation, Interpolation::Bilinear);
    let (preparation, _) = prepared(&|p| p["resample"] = json!(0));
    assert_eq!(preparation.interpolation, Interpolation::Nearest);
    let (preparation, _) = prepared(&|p| p["do_normalize"] = json!(false));
    assert_eq!((&preparation.mean[..], &preparation.std[..]), (&[0.0; 3][..], &[1.0; 3][..]));
    // (x * factor - mean) / std is ((x / 255) - mean / (255 factor)) / (std / (255 factor)).
    let (preparation, _) = prepared(&|p| {
        (p["rescale_factor"], p["image_mean"], p["image_std"]) =
            (json!(2.0 / 255.0), json!([1, 1, 1]), json!([4, 4, 4]))
    });
    assert!(
        preparation.mean.iter().all(|x| (x - 0.5).abs() < 1e-6)
            && preparation.std.iter().all(|x| (x - 2.0).abs() < 1e-6)
    );
    let (preparation, _) = prepared(&|p| (p["do_rescale"], p["do_normalize"]) = (json!(false), json!(false)));
    assert!(preparation.std.iter().all(|x| (x - 1.0 / 255.0).abs() < 1e-9));
    let (_, warnings) = prepared(&|p| p["do_resize"] = json!(false));
    says(&warnings.concat(), &["do_resize is false"]);
}

#[test]
fn what_is_wrong_in_transformers_descriptions_is_named() {
    let wrong = |file: &str, edit: &dyn Fn(&mut Value), words: &[&str]| {
        let folder = Folder::of("hf_vit");
        folder.edit(file, edit);
        let error = folder.error();
        says(&error, words);
        says(&error, &[file]);
    };
    let config = |edit: &dyn Fn(&mut Value), words: &[&str]| wrong("config.json", edit, words);
    config(
        &|c| c["model_type"] = json!("beit"),
        &["`model_type`", "expected vit, deit, swin, dinov2 or dinov2_with_registers, found \"beit\""],
    );
    config(
        &|c| c["hidden_act"] = json!("gelu_new"),
        &["`hidden_act`", "expected gelu, the exact one, found \"gelu_new\""],
    );
    config(&|c| c["hidden_size"] = json!(0), &["`hidden_size`", "found 0"]);
    config(&|c| c["num_attention_heads"] = json!(3), &["`num_attention_heads`", "a divisor of dim 16, found 3"]);
    config(&|c| c["num_hidden_layers"] = json!(1 << 20), &["`num_hidden_layers`", "1 to 1024"]);
    config(&|c| c["image_size"] = json!([16, 24]), &["`image_size`", "two that are equal"]);
    config(&|c| c["layer_norm_eps"] = json!(-1.0), &["`layer_norm_eps`", "a finite number above 0"]);
    config(
        &|c| c["id2label"] = json!({"0": "a", "9": "b", "1": "c", "2": "d", "3": "e"}),
        &["`id2label`", "an object of numbers and names"],
    );
    let images = |edit: &dyn Fn(&mut Value), words: &[&str]| wrong("preprocessor_config.json", edit, words);
    images(&|p| p["resample"] = json!(1), &["`resample`", "0 (nearest), 2 (bilinear) or 3 (bicubic), found 1"]);
    images(&|p| p["size"] = json!({"height": 16, "width": 24}), &["`size`", "a height and a width that are equal"]);
    images(&|p| p["image_std"] = json!([1, 0, 1]), &["`image_std`", "deviations above 0"]);
    images(&|p| p["image_mean"] = json!([1]), &["`image_mean`", "3 finite numbers"]);
    images(&|p| p["rescale_factor"] = json!(0), &["`rescale_factor`", "a finite number above 0, found 0"]);
    let folder = Folder::of("hf_swin");
    folder.edit("config.json", |c| c["use_absolute_embeddings"] = json!(true));
    says(&folder.error(), &["`use_absolute_embeddings`", "expected false"]);
    let folder = Folder::of("hf_dinov2");
    folder.edit("config.json", |c| c["use_swiglu_ffn"] = json!(true));
    says(&folder.error(), &["`use_swiglu_ffn`", "gated MLPs"]);
}

#[test]
fn a_shard_that_is_not_there_or_elsewhere_is_named() {
    let folder = Folder::of("hf_vit_sharded");
    let alone = Loader::new().load(folder.path("model-00002-of-00002.safetensors")).unwrap_err().to_string();
    says(&alone, &["is missing", "the file is one of several of a checkpoint: name their folder"]);
    fs::remove_file(folder.path("model-00002-of-00002.safetensors")).unwrap();
    says(
        &folder.error(),
        &[
            "model.safetensors.index.json: 1 problem\n",
            "file `model-00002-of-00002.safetensors` is not to be read: expected a file of that name in the folder",
            "fetch all files of the checkpoint again",
        ],
    );
    let folder = Folder::of("hf_vit_sharded");
    let index = "model.safetensors.index.json";
    for elsewhere in ["../model.safetensors", "/etc/passwd", "a/../../b.safetensors", "", "x.bin", "..\\x.safetensors"]
    {
        folder.edit(index, |i| i["weight_map"]["classifier.bias"] = json!(elsewhere));
        says(&folder.error(), &["`classifier.bias`", "the name of a .safetensors file in the index's folder"]);
    }
    folder.edit(index, |i| i["weight_map"] = json!({}));
    says(&folder.error(), &["`weight_map`", "expected 1 to 1024 files, found 0"]);
    folder.edit(index, |i| i["weight_map"] = json!(3));
    says(&folder.error(), &["`weight_map`", "expected a JSON object"]);
    // The same tensor in two files.
    let folder = Folder::of("hf_vit_sharded");
    fs::copy(folder.path("model-00001-of-00002.safetensors"), folder.path("again.safetensors")).unwrap();
    folder.edit(index, |i| i["weight_map"]["again"] = json!("again.safetensors"));
    says(&folder.error(), &["is wrongly declared: expected the tensor in one of the files, found it in"]);
}

#[test]
fn a_folder_without_weights_says_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let error = || Loader::new().load(folder.path()).unwrap_err().to_string();
    says(
        &error(),
        &[
            "has no model.safetensors and no model.safetensors.index.json",
            "name a folder as the Hugging Face hub has it",
        ],
    );
    fs::write(folder.path().join("pytorch_model.bin"), "").unwrap();
    says(&error(), &["pytorch_model.bin is of another format", "python -m shuffle_vit export"]);
    fs::write(folder.path().join("best.safetensors"), "").unwrap();
    says(&error(), &["name one of its files", "best.safetensors"]);
}

/// The file's own description wins over what is beside it, and what is of neither dialect is left alone with a warning.
#[test]
fn which_description_counts() {
    let folder = Folder::of("timm_vit");
    let own = checkpoint_of(Config::new(common::small()).unwrap());
    fs::write(folder.path("own.safetensors"), own.bytes()).unwrap();
    let loaded = Loader::new().load(folder.path("own.safetensors")).unwrap();
    assert_eq!((loaded.model().config().image_size(), loaded.warnings()), (8, &[][..]));

    let named = Loader::new().arch("deit_small").heads(4).load(folder.path("model.safetensors")).unwrap();
    says(&named.warnings().join("\n"), &["arch deit_small is ignored: the file describes itself", "heads are ignored"]);

    folder.edit("config.json", |c| *c = json!({"lr": 0.1}));
    let loaded = Loader::new().heads(2).load(folder.folder.path()).unwrap();
    says(
        &loaded.warnings().concat(),
        &["config.json has neither timm's `architecture` nor transformers' `model_type`"],
    );
    assert_eq!(loaded.description().preparation.mean, [0.485, 0.456, 0.406]);
}

fn undescribed(config: VitConfig) -> Builder {
    Builder { config: None, ..checkpoint_of(Config::new(config).unwrap()) }
}

#[test]
fn models_are_known_by_their_tensors() {
    let plain = VitConfig {
        dim: 64,
        heads: 1,
        depth: 2,
        mlp_ratio: 1.5,
        image_size: 12,
        patch_size: 4,
        num_classes: 3,
        ..VitConfig::default()
    };
    for config in [
        plain,
        VitConfig { qkv_bias: false, in_channels: 1, ..plain },
        VitConfig { distilled: true, ..plain },
        VitConfig { num_classes: 0, ..plain },
        VitConfig { register_tokens: 2, ..plain },
        VitConfig { register_tokens: 4, embed_registers: true, ..plain },
        VitConfig { register_tokens: 4, embed_class_token: false, image_size: 20, ..plain },
        VitConfig { pre_norm: true, pool: vit::Pool::Avg, norm_after_pool: true, ..plain },
        VitConfig { class_token: false, pool: vit::Pool::Avg, ..plain },
        VitConfig { pool: vit::Pool::ClsAvg, ..plain },
        VitConfig { qk_norm: true, heads: 4, ..plain },
        VitConfig { shuffle: true, rescale: vit::Rescale::Learned, ..plain },
    ] {
        let bytes = undescribed(config).bytes();
        let loaded = Loader::new().from_bytes(&bytes).unwrap_or_else(|error| panic!("{config:?}: {error}"));
        let Family::Vit(found) = *loaded.model().config().family() else { panic!() };
        let expected = Config::new(config).unwrap();
        let Family::Vit(expected) = *expected.family() else { panic!() };
        let same = VitConfig { mlp_ratio: expected.mlp_ratio, embed_class_token: expected.embed_class_token, ..found };
        assert_eq!((same, found.hidden()), (expected, expected.hidden()));
        says(
            &loaded.warnings()[0],
            &["nothing says what the model is; it is taken for what it looks like: names of timm"],
        );
        assert_eq!(loaded.warnings().len(), if config.qk_norm { 1 } else { 2 }, "{:?}", loaded.warnings());
    }
    let heads = |heads: usize| Loader::new().heads(heads).from_bytes(&undescribed(plain).bytes()).map(drop);
    assert_eq!(heads(4), Ok(()));
    says(
        &heads(5).unwrap_err().to_string(),
        &[
            "`heads`",
            "a divisor of dim 64, found 5",
            "the file does not describe itself: correct what --arch and --heads say",
        ],
    );
    let narrow = undescribed(VitConfig { dim: 48, heads: 2, ..plain });
    let error = Loader::new().from_bytes(&narrow.bytes()).unwrap_err().to_string();
    says(
        &error,
        &[
            "or its heads counted (names of timm",
            "a plain ViT of 48 channels, 2 block(s) and patches of 4: --heads N): --arch",
        ],
    );
}

#[test]
fn a_name_of_timms_is_a_description() {
    let small = Config::new(*weights::named("timm:vit_small_patch32_224").unwrap().family()).unwrap();
    let Family::Vit(config) = *small.family() else { panic!() };
    let config = VitConfig { num_classes: 10, image_size: 96, depth: config.depth, ..config };
    let bytes = Builder { config: None, ..common::zeros_of(Config::new(config).unwrap()) }.bytes();
    let open = |name: &str| Loader::new().arch(name).checkpoint(TensorFile::from_bytes(&bytes).unwrap());
    let load = |name: &str| open(name).unwrap();
    let loaded = load("timm:vit_small_patch32_224");
    assert_eq!(*loaded.description().config.family(), Family::Vit(config));
    assert_eq!(loaded.description().preparation.mean, [0.5; 3]);
    says(
        &loaded.assumed().concat(),
        &["as for timm's default weights, vit_small_patch32_224.augreg_in21k_ft_in1k, since the name has no tag"],
    );
    assert_eq!(load("vit_small_patch32_224.augreg_in21k_ft_in1k").assumed(), [""; 0]);
    let error = open("timm:vit_tiny_patch16_224").unwrap_err().to_string();
    says(
        &error,
        &[
            "the file has names of timm",
            "a plain ViT of 384 channels, 12 block(s) and patches of 32; it would load with --arch timm:vit_small_patch32_224",
        ],
    );
    let error = open("timm:vit_smal_patch32_224").unwrap_err().to_string();
    says(&error, &["nearest: timm:vit_small_patch32_224", "or a name of timm's"]);
    let described = weights::named_with("timm:vit_tiny_patch16_224", &[("depth", "2")]).unwrap();
    assert_eq!((described.preparation.mean, described.config.image_size()), (vec![0.5; 3], 224));
}

#[test]
fn what_the_file_looks_like_is_said_with_the_command() {
    let swin = Config::named("swin_extra_tiny").unwrap();
    let bytes = Builder { config: None, ..common::zeros_of(swin) }.bytes();
    let error = Loader::new().arch("deit_tiny").from_bytes(&bytes).unwrap_err().to_string();
    says(&error, &["a Swin of 48 channels with 2, 2, 5, 2 blocks; it would load with --arch swin_extra_tiny"]);
    let hub = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/hub");
    let bytes = fs::read(hub.join("hf_swin/model.safetensors")).unwrap();
    let error = Loader::new().arch("swin_tiny").from_bytes(&bytes).unwrap_err().to_string();
    says(&error, &["the file has names of Hugging Face transformers, a Swin of ", "it would load with no --arch"]);
    let bytes = fs::read(hub.join("hf_vit/model.safetensors")).unwrap();
    let error = Loader::new().arch("deit_tiny").from_bytes(&bytes).unwrap_err().to_string();
    says(
        &error,
        &[
            "names of Hugging Face transformers, a plain ViT of 16 channels",
            "it would load with --heads N and no --arch",
        ],
    );
}

#[test]
fn positions_are_resampled_only_on_demand() {
    let folder = Folder::of("timm_dinov2");
    // Described for 12 pixels, of 20 in the file.
    folder.edit("config.json", |c| c["model_args"]["img_size"] = json!([12, 12]));
    says(
        &folder.error(),
        &[
            "`pos_embed` is misshapen: expected [1, 10, 16], found [1, 26, 16]",
            "its positions are for images of 20 x 20 pixels, described are 12 x 12: --resize-positions resamples them",
        ],
    );
    let resize = |size: Option<usize>| Loader::new().resize_positions(size).load(folder.folder.path());
    let by_description = resize(None).unwrap();
    assert_eq!(by_description.model().config().image_size(), 12);
    assert_eq!(resize(Some(20)).unwrap().model().config().image_size(), 20);
    let error = |size| resize(Some(size)).unwrap_err().to_string();
    says(&error(13), &["its positions cannot be resized: 13 pixels are not whole patches of 4; 12 or 16 would be"]);
    says(&error(0), &["0 pixels are not whole patches of 4; 4 would be"]);
    says(&error(1 << 30), &["cannot be resized: image_size would have to be 1 to 1048576"]);

    let folder = Folder::of("timm_vit_plain_file");
    let error = Loader::new().resize_positions(None).load(folder.folder.path()).unwrap_err().to_string();
    says(&error, &["nothing says for which size: give one, such as --resize-positions=224"]);
    let larger = Loader::new().resize_positions(32).load(folder.folder.path()).unwrap();
    assert_eq!((larger.model().config().image_size(), larger.description().preparation.image_size), (32, 32));

    // A Swin has no positions to resample: its windows stay.
    let folder = Folder::of("timm_swin");
    let larger = Loader::new().resize_positions(64).load(folder.folder.path()).unwrap();
    assert_eq!((larger.model().config().image_size(), larger.description().preparation.resize), (64, 71));
    let error = Loader::new().resize_positions(36).load(folder.folder.path()).unwrap_err().to_string();
    says(&error, &["image_size would have to be a size of which every stage's map is covered by windows of 4"]);

    let t2t = checkpoint_of(Config::new(common::small_t2t(vit::Tokens::T2tPerformer)).unwrap());
    let error = Loader::new().resize_positions(32).from_bytes(&t2t.bytes()).unwrap_err().to_string();
    says(&error, &["those of a T2T-ViT are fixed waves"]);
}
