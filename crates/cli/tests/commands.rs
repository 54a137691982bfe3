//! Every command but `classify` and `eval`: its text, its JSON, its files.

mod common;

use std::fs;
use std::process::Stdio;

use common::*;
use serde_json::json;
use vit::{Config, Family, Tensors, VitConfig};

#[test]
fn help_lists_what_works_and_nothing_else() {
    let program = Program::new();
    let help = program.stdout(&["--help"]);
    for command in ["classify", "run", "bench", "profile", "inspect", "table", "export-random", "pack", "eval"] {
        assert!(help.contains(&format!("  {command} ")), "{help}");
        let own = program.stdout(&[command, "--help"]);
        assert!(own.contains(&format!("Examples:\n  shuffle-vit {command}")), "{own}");
        let computes = !["inspect", "table", "export-random", "pack"].contains(&command);
        assert_eq!(own.contains("--threads"), computes, "{own}");
    }
    for later in ["quantize", "features"] {
        assert!(!help.contains(&format!("  {later} ")), "{help}");
        program.failure(2, &[later]);
    }
    assert!(program.stdout(&["--version"]).starts_with("shuffle-vit "));
}

#[test]
fn run_writes_logits_and_taps() {
    let program = Program::new();
    program.small_model("small.safetensors");
    program.input("in.safetensors", 3);
    let args =
        ["run", "--model", "small.safetensors", "--input", "in.safetensors", "--output", "out.safetensors", "--taps"];
    let summary = program.json(&args);
    assert_eq!(keys(&summary), ["batch", "ms", "output", "taps"]);
    assert_eq!(
        (&summary["output"], &summary["batch"], &summary["taps"]),
        (&json!("out.safetensors"), &json!(3), &json!(2))
    );
    let file = weights::TensorFile::from_file(program.path("out.safetensors")).unwrap();
    let tensors: Vec<_> = file.tensors().iter().map(|tensor| (tensor.name.as_str(), &tensor.shape[..])).collect();
    // 8 x 8 pixels in patches of 4 and a class token; 8 attended channels and 8 idle ones.
    assert_eq!(tensors, [("logits", &[3, 5][..]), ("tap.0", &[3, 5, 16]), ("tap.1", &[3, 5, 16])]);

    let with_taps = bits(&program.path("out.safetensors"), "logits");
    let plain = program.stdout(&args[..args.len() - 1]);
    assert!(plain.starts_with("out.safetensors: logits of 3 image(s), computed in "), "{plain}");
    assert_eq!(bits(&program.path("out.safetensors"), "logits"), with_taps);
    assert_eq!(fs::read_dir(program.path("")).unwrap().count(), 3, "no temporary file is left");
}

#[test]
fn an_empty_batch_has_no_logits() {
    let program = Program::new();
    program.small_model("small.safetensors");
    program.input("in.safetensors", 0);
    let args = ["run", "--model", "small.safetensors", "--input", "in.safetensors", "--output", "out.safetensors"];
    assert_eq!(program.json(&args)["batch"], 0);
    assert_eq!(tensor(&program.path("out.safetensors"), "logits"), [0.0; 0]);
}

#[test]
fn profile_shows_where_time_goes() {
    let program = Program::new();
    program.small_model("small.safetensors");
    for threads in ["1", "2"] {
        let args = ["profile", "--model", "small.safetensors", "--iters", "5", "--threads", threads];
        let profile = program.json(&args);
        #[rustfmt::skip]
        assert_eq!(keys(&profile), [
            "dtype", "gmacs", "gmacs_per_s", "iters", "level", "name", "operations", "peak_gmacs_per_s", "peak_share",
            "threads", "total_ms",
        ]);
        let operations = profile["operations"].as_array().unwrap();
        for operation in operations {
            assert_eq!(keys(operation), ["gmacs", "gmacs_per_s", "ms", "operation", "peak_share", "share"]);
            let multiplies = operation["gmacs"].as_f64() > Some(0.0);
            assert_eq!(multiplies, operation["peak_share"].is_f64(), "{operation}");
            assert_eq!(multiplies, operation["gmacs_per_s"].is_f64(), "{operation}");
        }
        let sum = |key: &str| operations.iter().map(|operation| operation[key].as_f64().unwrap()).sum::<f64>();
        assert!(
            (sum("share") - 1.0).abs() < 1e-9 && (sum("gmacs") / profile["gmacs"].as_f64().unwrap() - 1.0).abs() < 1e-9
        );
        let names: Vec<_> = operations.iter().map(|operation| operation["operation"].as_str().unwrap()).collect();
        let mut expected =
            vec!["unfold", "embedding", "layer_norm", "qkv", "attention", "proj", "fc1", "fc2", "head", "wait"];
        if threads == "1" {
            expected.pop();
        }
        assert_eq!(names, expected);
        // Tokens that no logit depends on are not computed.
        assert!(profile["gmacs"].as_f64().unwrap() < small().config.macs() as f64 / 1e9, "{profile}");
        let text = program.stdout(&args);
        assert!(text.contains("of the peak of") && text.contains("\nattention "), "{text}");
    }
    // A mean over all tokens needs them all: executed is what the specification counts.
    let swin = program.json(&["profile", "--arch", "shuffle_swin_extra_tiny", "--iters", "1"]);
    assert!((swin["gmacs"].as_f64().unwrap() - 1.031659008).abs() < 1e-9, "{swin}");
    let t2t = program.json(&["profile", "--arch", "t2t_vit_7", "--set", "pool=avg", "--iters", "1"]);
    assert!((t2t["gmacs"].as_f64().unwrap() / 1.146738176 - 1.0).abs() < 0.01, "{t2t}");
}

#[test]
fn bench_times_a_file_and_a_built_in_model() {
    let program = Program::new();
    program.small_model("small.safetensors");
    let args = ["bench", "--model", "small.safetensors", "--batch", "3", "--iters", "7", "--threads", "2"];
    let timing = program.json(&args);
    #[rustfmt::skip]
    assert_eq!(keys(&timing), [
        "batch", "dtype", "gmacs", "gmacs_per_s", "images_per_s", "iters", "level", "median_ms", "min_ms", "name",
        "p90_ms", "params", "peak_rss_bytes", "scratch_bytes", "threads", "weight_bytes",
    ]);
    assert_eq!((&timing["name"], &timing["dtype"]), (&json!("small"), &json!("f32")));
    assert_eq!((&timing["batch"], &timing["iters"], &timing["threads"]), (&json!(3), &json!(7), &json!(2)));
    assert_eq!(timing["params"], json!(small().config.params()));
    let number = |key: &str| timing[key].as_f64().unwrap_or_else(|| panic!("{key}: {timing}"));
    assert!(0.0 < number("min_ms") && number("min_ms") <= number("median_ms"), "{timing}");
    assert!(number("median_ms") <= number("p90_ms"), "{timing}");
    assert!((number("images_per_s") * number("median_ms") / 3e3 - 1.0).abs() < 1e-6, "{timing}");
    assert!((number("gmacs_per_s") / number("images_per_s") / number("gmacs") - 1.0).abs() < 1e-6, "{timing}");
    assert_eq!(number("gmacs"), small().config.macs() as f64 / 1e9);
    let text = program.stdout(&args);
    assert!(text.contains("median       ") && text.contains("2 thread(s), batch 3"), "{text}");

    for name in ["shuffle_t2t_vit_7", "shuffle_swin_extra_tiny"] {
        let timing = program.json(&["bench", "--arch", name, "--iters", "1"]);
        assert_eq!((&timing["name"], &timing["params"]), (&json!(name), &json!(Config::named(name).unwrap().params())));
    }
    let built_in = program.json(&["bench", "--arch", "deit_tiny", "--iters", "1", "--threads", "1"]);
    assert_eq!((&built_in["name"], &built_in["batch"]), (&json!("deit_tiny"), &json!(1)));
    assert_eq!((&built_in["params"], &built_in["gmacs"]), (&json!(5717416), &json!(1.2536832)));
    assert!(built_in["weight_bytes"].as_u64() >= Some(4 * 5717416), "{built_in}");
    if cfg!(target_os = "linux") {
        assert!(built_in["peak_rss_bytes"].as_u64() > built_in["weight_bytes"].as_u64(), "{built_in}");
    }
}

#[test]
fn inspect_shows_layers_that_add_up() {
    let program = Program::new();
    for name in Config::names() {
        let config = Config::named(name).unwrap();
        let inspection = program.json(&["inspect", "--arch", name]);
        assert_eq!(keys(&inspection), ["gmacs", "layers", "name", "params"]);
        assert_eq!((&inspection["name"], &inspection["params"]), (&json!(name), &json!(config.params())));
        assert_eq!(inspection["gmacs"], json!(config.macs() as f64 / 1e9));
        let layers = inspection["layers"].as_array().unwrap();
        let sum = |key: &str| layers.iter().map(|layer| layer[key].as_u64().unwrap()).sum::<u64>();
        assert_eq!((sum("params"), sum("macs")), (config.params(), config.macs()));
        assert_eq!(keys(&layers[0]), ["macs", "name", "params"]);
    }
    program.small_model("small.safetensors");
    let text = program.stdout(&["inspect", "small.safetensors", "--level", "portable"]);
    for shown in [
        "small: ",
        "tensors F32",
        "3 x 8 x 8, patches of 4",
        "8 of 16 channels attended",
        "rescale learned, pool cls, qkv bias",
        "short side to 8 (bicubic)",
        "cat, dog/wolf, Ümläut, (none), (none)",
        "every operation runs on portable",
        "blocks.1.mlp.fc2 ",
    ] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
}

#[test]
fn inspect_shows_what_a_family_is_made_of() {
    let program = Program::new();
    let says = |name, expected: &[&str]| {
        let text = program.stdout(&["inspect", "--arch", name]);
        expected.iter().for_each(|shown| assert!(text.contains(shown), "{shown}: {text}"));
    };
    says("deit_tiny_distilled", &["class token, distillation token, 196 patches", "pool cls, qkv bias"]);
    says("shuffle_t2t_vit_7", &["class token, 196 patches by tokens-to-token (performer)", "no qkv bias"]);
    says(
        "t2t_vit_t_14",
        &[
            "196 patches by tokens-to-token (transformer)",
            "14, 384 channels; 6 heads, 1152 hidden channels",
            "attention2.attn.qkv",
        ],
    );
    says(
        "shuffle_swin_tiny",
        &[
            "3 x 224 x 224, patches of 4",
            "3: 5 block(s), 384 of 768 channels attended, then shuffled; 12 heads; 14 x 14 tokens in windows of 7, shifted by 3",
            "4: 2 block(s), 768 of 1536 channels attended, then shuffled; 24 heads; 7 x 7 tokens in windows of 7\n",
            "layers.0.downsample.reduction_2 ",
        ],
    );
}

#[test]
fn settings_change_built_in_models() {
    let program = Program::new();
    let tiny = ["--arch", "deit_tiny", "--set", "image_size=96", "--set", "depth=6", "--set", "shuffle=true"];
    let Some(&Family::Vit(deit)) = Config::named("deit_tiny").as_ref().map(Config::family) else {
        panic!("deit_tiny is built in")
    };
    let config = Config::new(VitConfig { image_size: 96, depth: 6, shuffle: true, ..deit }).unwrap();
    let name = json!("deit_tiny(image_size=96, depth=6, shuffle=true)");
    let inspection = program.json(&[&["inspect"], &tiny[..]].concat());
    assert_eq!((&inspection["name"], &inspection["params"]), (&name, &json!(config.params())));
    let timing = program.json(&[&["bench", "--iters", "1"], &tiny[..]].concat());
    assert_eq!((&timing["name"], &timing["gmacs"]), (&name, &json!(config.macs() as f64 / 1e9)));
    program.stdout(&[&["export-random", "out.safetensors"], &tiny[..]].concat());
    let exported = program.json(&["inspect", "out.safetensors"]);
    assert_eq!((&exported["name"], &exported["params"]), (&name, &json!(config.params())));

    let swin = ["inspect", "--arch", "swin_tiny", "--set", "depths=[2,2,4,2]", "--set", "rescale=half"];
    let text = program.stdout(&swin);
    assert!(text.starts_with("swin_tiny(depths=[2,2,4,2], rescale=half): "), "{text}");
    assert!(text.contains("3: 4 block(s)") && text.contains("rescale half"), "{text}");
}

/// The published figures of all built-in models, vanilla next to shuffled.
#[test]
fn table_has_every_model_in_exact_numbers() {
    let program = Program::new();
    let rows = program.json(&["table"]);
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["name"].as_str().unwrap()).collect::<Vec<_>>(), Config::names());
    for row in rows {
        let config = Config::named(row["name"].as_str().unwrap()).unwrap();
        assert_eq!(keys(row), ["macs", "name", "params"]);
        assert_eq!((&row["params"], &row["macs"]), (&json!(config.params()), &json!(config.macs())));
    }
    assert_eq!(rows[21], json!({"name": "shuffle_swin_tiny", "params": 28839980, "macs": 4325001216u64}));
    let text = program.stdout(&["table"]);
    for shown in ["1,253,683,200", "1,282,776,576", "+29,093,376 (+2.3 %)", "top-1 72.2 -> 74.4"] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
}

#[test]
fn random_checkpoints_repeat_and_run() {
    let program = Program::new();
    let args = |seed, out| ["export-random", "--arch", "shuffle_deit_tiny", "--seed", seed, out];
    let summary = program.json(&args("7", "a.safetensors"));
    let bytes = fs::read(program.path("a.safetensors")).unwrap();
    assert_eq!(summary, json!({"output": "a.safetensors", "params": 6095488, "bytes": bytes.len()}));
    let text = program.stdout(&args("7", "b.safetensors"));
    assert_eq!(text, "b.safetensors: 6,095,488 parameters, 23.3 MiB\n");
    assert!(fs::read(program.path("b.safetensors")).unwrap() == bytes);
    program.stdout(&args("8", "b.safetensors"));
    assert!(fs::read(program.path("b.safetensors")).unwrap() != bytes);
    assert_eq!(program.json(&["inspect", "a.safetensors"])["name"], "shuffle_deit_tiny");
    // An image of another size and colour type is prepared for it.
    let answers = program.json(&["classify", "--model", "a.safetensors", &sample("bag.png")]);
    assert!(answers[0]["top"][0]["label"].is_null());
}

#[test]
fn every_family_is_exported_inspected_and_run() {
    let program = Program::new();
    let pixels: Vec<f32> = (0..3 * 224 * 224).map(|i| (i * 89 % 251) as f32 / 125.0 - 1.0).collect();
    weights::write_tensors(program.path("in"), &[("image", &[1, 3, 224, 224], &pixels)]).unwrap();
    let families: [(&str, &[[usize; 2]]); 2] = [
        ("shuffle_t2t_vit_7", &[[197, 512]; 7]),
        ("shuffle_swin_extra_tiny", &[[3136, 96], [784, 192], [196, 384], [49, 768]]),
    ];
    for (name, taps) in families {
        program.stdout(&["export-random", "--arch", name, "random.safetensors"]);
        let inspection = program.json(&["inspect", "random.safetensors"]);
        assert_eq!(inspection["params"], json!(Config::named(name).unwrap().params()));
        let run = ["run", "--model", "random.safetensors", "--input", "in", "--output", "out", "--taps"];
        assert_eq!(program.json(&run)["taps"], json!(taps.len()));
        let out = weights::TensorFile::from_file(program.path("out")).unwrap();
        for (i, [tokens, channels]) in taps.iter().enumerate() {
            assert_eq!(out.info(&format!("tap.{i}")).unwrap().shape, [1, *tokens, *channels], "{name}");
        }
        let with_taps = bits(&program.path("out"), "logits");
        program.stdout(&run[..run.len() - 1]);
        assert_eq!(bits(&program.path("out"), "logits"), with_taps);
    }
}

/// A file as timm exports it does not describe itself: the model is named, and sizes are read from the tensors.
#[test]
fn a_file_without_a_description_is_named() {
    let program = Program::new();
    let Some(&Family::Vit(tiny)) = Config::named("deit_tiny").as_ref().map(Config::family) else {
        panic!("deit_tiny is built in")
    };
    let config = Config::new(VitConfig { image_size: 32, num_classes: 3, ..tiny }).unwrap();
    let mut tensors = Vec::new();
    let mut random = weights::Random::new(1);
    config.visit_tensors(&mut |name, shape| {
        let values = random.tensor(name, shape).unwrap().to_vec();
        tensors.push((name.to_string(), shape.to_vec(), values));
    });
    let tensors: Vec<_> = tensors.iter().map(|(name, shape, values)| (&name[..], &shape[..], &values[..])).collect();
    weights::write_tensors(program.path("timm.safetensors"), &tensors).unwrap();

    let unnamed = program.run(&["inspect", "timm.safetensors", "--json"]);
    assert!(unnamed.stderr.contains("a plain ViT of 192 channels") && unnamed.stderr.contains("3 heads are assumed"));
    let error = program.failure(1, &["inspect", "timm.safetensors", "--arch", "shuffle_deit_tiny"]);
    assert!(error.contains("timm.safetensors: 31 problems") && error.contains("and 11 more: "), "{error}");
    let named = ["--arch", "deit_tiny"];
    let inspection = program.json(&[&["inspect", "timm.safetensors"], &named[..]].concat());
    assert_eq!((&inspection["name"], &inspection["params"]), (&json!("deit_tiny"), &json!(config.params())));
    let classify = ["classify", "--model", "timm.safetensors", "--top", "5", &sample("bag.png")];
    let (answers, stderr) = program.success(&[&classify[..], &named, &["--json"]].concat());
    assert_eq!(parse(&answers)[0]["top"].as_array().unwrap().len(), 3);
    assert!(stderr.starts_with("note: how images are prepared"), "{stderr}");
    assert!(stderr.contains("mean [0.485, 0.456, 0.406]") && stderr.contains("--mean"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "once, not for each image: {stderr}");
    let timing = program.json(&[&["bench", "--model", "timm.safetensors", "--iters", "1"], &named[..]].concat());
    assert_eq!(timing["params"], json!(config.params()));
}

/// What is odd but harmless is said on standard error, and standard output is as ever.
#[test]
fn warnings_do_not_disturb_the_answer() {
    let program = Program::new();
    program.small_model("small.safetensors");
    let done = program.run(&["inspect", "small.safetensors", "--arch", "deit_tiny", "--json"]);
    assert_eq!(parse(&done.stdout)["name"], "small");
    assert!(done.stderr.starts_with("warning: ") && done.stderr.contains("deit_tiny"), "{}", done.stderr);
    assert_eq!(done.code, 0);
}

/// `shuffle-vit ... | head -1`
#[test]
fn a_reader_that_stops_reading_is_no_failure() {
    let program = Program::new();
    for args in [&["inspect", "--arch", "deit_tiny"][..], &["--help"], &["classify", &sample("bag.png"), "--json"]] {
        let mut child = program.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let done = done(child.wait_with_output().unwrap());
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{args:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_a_failure() {
    let program = Program::new();
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = program.command(&["inspect", "--arch", "deit_tiny"]);
    let done = done(command.stdout(full()).output().unwrap());
    assert_eq!(done.code, 1);
    assert!(done.stderr.starts_with("error: cannot write to standard output"), "{}", done.stderr);
    // Where not even the message can be written, the code still says it.
    let mut command = program.command(&["inspect", "missing.safetensors"]);
    assert_eq!(command.stderr(full()).output().unwrap().status.code(), Some(1));
}
