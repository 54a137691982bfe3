//! Flags about a model's file: what it leaves open, and what is wanted otherwise than it says.

mod common;

use std::fs;

use common::*;
use serde_json::json;
use vit::{Config, Family, Tensors, VitConfig};

/// A file of `deit_tiny`'s sizes, small otherwise, under these prefixes.
fn write_deit(program: &Program, name: &str, prefixes: &[&str], foreign: &[&str]) {
    let Some(&Family::Vit(tiny)) = Config::named("deit_tiny").as_ref().map(Config::family) else {
        panic!("deit_tiny is built in")
    };
    let config = Config::new(VitConfig { image_size: 32, num_classes: 3, ..tiny }).unwrap();
    let mut random = weights::Random::new(1);
    let mut tensors = Vec::new();
    config.visit_tensors(&mut |tensor, shape| {
        for prefix in prefixes {
            tensors.push((format!("{prefix}{tensor}"), shape.to_vec(), random.tensor(tensor, shape).unwrap().to_vec()));
        }
    });
    tensors.extend(foreign.iter().map(|name| (name.to_string(), vec![1], vec![0.0])));
    let tensors: Vec<_> = tensors.iter().map(|(name, shape, values)| (&name[..], &shape[..], &values[..])).collect();
    weights::write_tensors(program.path(name), &tensors).unwrap();
}

/// Every command that loads a file takes the flags about it.
#[test]
fn prefixes_and_foreign_tensors_are_for_every_command() {
    let program = Program::new();
    write_deit(&program, "two.safetensors", &["model.", "ema."], &["n_averaged", "criterion.weight"]);
    let bag = sample("bag.png");
    let pixels = vec![0.5; 3 * 32 * 32];
    weights::write_tensors(program.path("in"), &[("image", &[1, 3, 32, 32], &pixels)]).unwrap();
    program.write("data/0/x.png", &std::fs::read(&bag).unwrap());
    let commands: [&[&str]; 7] = [
        &["classify", "--model", "two.safetensors", &bag],
        &["eval", "--model", "two.safetensors", "data"],
        &["run", "--model", "two.safetensors", "--input", "in", "--output", "out"],
        &["bench", "--iters", "1", "--model", "two.safetensors"],
        &["profile", "--iters", "1", "--model", "two.safetensors"],
        &["inspect", "two.safetensors"],
        &["pack", "two.safetensors", "two.packed"],
    ];
    for command in commands {
        let with = |flags: &[&'static str]| [command, &["--arch", "deit_tiny"], flags].concat();
        let error = program.failure(1, &with(&["--ignore", "*a*"]));
        assert!(error.contains("two.safetensors"), "{error}");
        let error = program.failure(1, &with(&[]));
        assert!(error.contains("`ema.`") && error.contains("`model.`") && error.contains("--prefix"), "{error}");
        program.success(&with(&["--prefix", "ema.", "--ignore", "n_averaged", "--ignore", "criterion.*"]));
        let error = program.failure(1, &with(&["--prefix", "net."]));
        assert!(error.contains("`net.`"), "{error}");
    }
}

#[test]
fn flags_about_a_file_need_one() {
    let program = Program::new();
    let bag = sample("bag.png");
    for flags in [&["--arch", "deit_tiny"][..], &["--prefix", "ema."], &["--ignore", "x"], &["--map"]] {
        let error = program.failure(2, &[&["classify", &bag], flags].concat());
        assert!(error.contains(flags[0]) && error.contains("--model"), "{error}");
    }
    for flags in [&["--prefix", "ema."][..], &["--ignore", "x"], &["--map"]] {
        for (command, file) in [("bench", "--model"), ("profile", "--model"), ("inspect", "FILE")] {
            let error = program.failure(2, &[&[command, "--arch", "deit_tiny"], flags].concat());
            assert!(error.contains(flags[0]) && error.contains(file), "{error}");
        }
    }
}

/// A plain file says nothing about images; a described one is overruled, with a warning.
#[test]
fn preparation_is_said_by_flags() {
    let program = Program::new();
    write_deit(&program, "plain.safetensors", &[""], &[]);
    program.write("names.txt", "cat\ndog\n\u{dc}ml\u{e4}ut\n".as_bytes());
    let bag = sample("bag.png");
    let plain = ["--model", "plain.safetensors", "--arch", "deit_tiny"];
    let flags = [
        "--mean",
        "0.5,0.25,-0.125",
        "--std",
        "0.5,0.5,1",
        "--crop-pct",
        "1",
        "--interpolation",
        "nearest",
        "--labels",
        "names.txt",
    ];
    let dump = ["classify", &bag, "--top", "3", "--json", "--dump-input"];
    let (answers, stderr) = program.success(&[&dump[..], &["said"], &plain, &flags].concat());
    assert_eq!(stderr, "", "everything is said");
    let mut names: Vec<_> =
        parse(&answers)[0]["top"].as_array().unwrap().iter().map(|class| class["label"].to_string()).collect();
    names.sort();
    assert_eq!(names, ["\"cat\"", "\"dog\"", "\"\u{dc}ml\u{e4}ut\""]);
    let said = tensor(&program.path("said"), "image");
    let (_, stderr) =
        program.success(&[&dump[..], &["assumed"], &plain, &flags[..4], &flags[6..8], &["--resize", "64"]].concat());
    assert_eq!(stderr, "");
    // A black pixel in the corner, and the short side resized to the crop or to twice as much.
    assert_eq!([said[0], said[1024], said[2048]], [-1.0, -0.5, 0.125]);
    assert_ne!(tensor(&program.path("assumed"), "image"), said);

    // What is packed with it says it from then on.
    program.success(&[&["pack", "plain.safetensors", "plain.packed", "--arch", "deit_tiny"], &flags[..]].concat());
    let again = ["classify", &bag, "--model", "plain.packed", "--dump-input", "again"];
    assert!(!program.stdout(&again).is_empty());
    assert!(tensor(&program.path("again"), "image") == said);
    let (_, stderr) = program.success(&[&again[..], &["--mean", "0.5,0.5,0.5"]].concat());
    assert!(stderr.starts_with("warning: ") && stderr.contains("mean"), "{stderr}");
}

/// Half black, half white: the centre has both, whether the sides are resized alike or not; the edges say which.
#[test]
fn crop_modes_and_keys_are_set() {
    let program = Program::new();
    program.small_model("small.safetensors");
    let wide: Vec<u8> = (0..32 * 8).map(|i| if (8..24).contains(&(i % 32)) { 255 } else { 0 }).collect();
    program.write("wide.png", &grey_png(32, 8, &wide));
    let dump = |flags: &[&str]| {
        let args = ["classify", "wide.png", "--model", "small.safetensors", "--resize", "8", "--dump-input", "in"];
        let flags = [&["--set", "mean=[0,0,0]", "--set", "std=[1,1,1]", "--set", "interpolation=nearest"], flags];
        program.success(&[&args[..], &flags.concat()].concat());
        tensor(&program.path("in"), "image")[..8].to_vec()
    };
    assert_eq!(dump(&[]), [1.0; 8]);
    assert_eq!(dump(&["--crop-mode", "center"]), [1.0; 8]);
    let squashed = [0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0];
    assert_eq!(dump(&["--crop-mode", "squash"]), squashed);
    assert_eq!(dump(&["--set", "crop_mode=squash"]), squashed);
    let named = ["eval", "nowhere", "--model", "small.safetensors", "--set"];
    assert!(program.failure(2, &[&named[..], &["depth=3"]].concat()).contains("`depth`"));
    program.success(&["pack", "small.safetensors", "named.packed", "--set", "name=mine", "--crop-mode", "squash"]);
    let shown = program.stdout(&["inspect", "named.packed"]);
    assert!(shown.starts_with("mine: ") && shown.contains("both sides to 8 "), "{shown}");
}

#[test]
fn preparation_that_cannot_be_is_wrong_usage() {
    let program = Program::new();
    program.small_model("small.safetensors");
    program.write("two.txt", b"a\nb\n");
    program.write("no.json", b"[1, 2]");
    let bag = sample("bag.png");
    let classify = |code, flags: &[&str]| {
        program.failure(code, &[&["classify", "--model", "small.safetensors", &bag, "--json"], flags].concat())
    };
    for (flags, words) in [
        (&["--mean", "0.5"][..], ["mean", "3 values"]),
        (&["--std", "1,1"], ["std", "3 values"]),
        (&["--labels", "two.txt"], ["labels", "5 values"]),
        (&["--std", "1,0,1"], ["--std", "above 0"]),
        (&["--mean", "a,b,c"], ["--mean", "a number"]),
        (&["--crop-pct", "0"], ["--crop-pct", "above 0"]),
        (&["--crop-pct", "1", "--resize", "9"], ["--crop-pct", "--resize"]),
        (&["--resize", "0"], ["--resize", "whole number"]),
        (&["--crop-mode", "border"], ["--crop-mode", "center or squash"]),
        (&["--set", "dim=8"], ["`dim`", "mean or std"]),
        (&["--set", "mean=[0,0,0]", "--mean", "0,0,0"], ["mean", "set it once"]),
        (&["--set", "std=[1,1,1]", "--set", "std=1"], ["std", "set it once"]),
        (&["--interpolation", "lanczos"], ["--interpolation", "bicubic, bilinear or nearest"]),
    ] {
        let error = classify(2, flags);
        assert!(words.iter().all(|word| error.contains(word)), "{flags:?}: {error}");
    }
    assert!(classify(1, &["--labels", "missing.txt"]).contains("missing.txt: cannot be read"));
    assert!(classify(1, &["--labels", "no.json"]).contains("no.json: is no file of labels"));
}

/// A model without a head gives features, and names no class.
#[test]
fn a_model_without_a_head_gives_features() {
    let program = Program::new();
    let config = small_with(|config| VitConfig { num_classes: 0, ..config });
    program.model("headless.safetensors", &weights::Description::new(config));
    program.input("in", 2);
    let run = ["run", "--model", "headless.safetensors", "--input", "in", "--output", "out"];
    assert!(program.stdout(&run).starts_with("out: features of 2 image(s)"));
    let out = weights::TensorFile::from_file(program.path("out")).unwrap();
    assert_eq!((out.info("features").unwrap().shape.clone(), out.tensors().len()), (vec![2, 16], 1));
    program.json(&["bench", "--model", "headless.safetensors", "--iters", "1"]);
    assert!(program.stdout(&["inspect", "headless.safetensors"]).contains("16 features"));
    for command in [["classify", "x.png"], ["eval", "."]] {
        let error = program.failure(1, &[&command[..], &["--model", "headless.safetensors"]].concat());
        assert!(error.contains("no class head") && error.contains("`run`") && error.contains("16 features"), "{error}");
    }
}

/// A mapped file gives the same answers.
#[test]
fn packed_files_are_mapped_when_asked() {
    let program = Program::new();
    program.small_model("small.safetensors");
    program.stdout(&["pack", "small.safetensors", "small.packed"]);
    program.input("in", 2);
    let run = |flags: &[&str], model: &str| {
        program.stdout(&[&["run", "--model", model, "--input", "in", "--output", "out"], flags].concat());
        bits(&program.path("out"), "logits")
    };
    let read = run(&[], "small.packed");
    assert_eq!(run(&["--map"], "small.packed"), read);
    assert_eq!(run(&["--map"], "small.safetensors"), read);
    let error = program.failure(2, &["pack", "--map", "small.safetensors", "again.packed"]);
    assert!(error.contains("--map"), "{error}");
    assert_eq!(
        program.json(&["inspect", "--map", "--verify", "small.packed"])["params"],
        json!(small().config.params())
    );
}

/// A folder as the Hugging Face hub has it, with its weights in two files: every command takes it, and none writes into it.
#[test]
fn a_folder_is_a_model() {
    let program = Program::new();
    let hub = repository().join("crates/weights/tests/goldens/hub/hf_vit_sharded");
    let files: Vec<String> =
        fs::read_dir(&hub).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    files.iter().for_each(|file| drop(program.write(&format!("model/{file}"), &fs::read(hub.join(file)).unwrap())));
    let input = text(&hub.join("expected.safetensors"));
    let run = ["run", "--input", &input, "--output", "out.safetensors", "--model"];
    for model in ["model", "model/model.safetensors.index.json"] {
        program.stdout(&[&run[..], &[model]].concat());
        let expected = tensor(&hub.join("expected.safetensors"), "logits");
        let found = tensor(&program.path("out.safetensors"), "logits");
        assert!(expected.iter().zip(&found).all(|(a, b)| (a - b).abs() < 1e-5), "{expected:?} {found:?}");
        let answers = program.json(&["classify", "--model", model, &sample("bag.png")]);
        assert!(answers[0]["top"][0]["label"].is_string(), "its labels are in config.json");
    }
    program.json(&["bench", "--iters", "1", "--model", "model"]);
    program.stdout(&["pack", "model", "folder.packed"]);
    program.stdout(&[&run[..], &["folder.packed"]].concat());
    assert!(program.stdout(&["inspect", "model"]).contains("tensors F32"));

    let read = files.iter().filter(|file| *file != "expected.safetensors");
    for file in read.map(|file| format!("model/{file}")) {
        let before = fs::read(program.path(&file)).unwrap();
        let error = program.failure(2, &["pack", "model", &file]);
        assert!(error.contains("is read by this command"), "{file}: {error}");
        program.failure(2, &["run", "--model", "model", "--input", &input, "--output", &file]);
        assert_eq!(fs::read(program.path(&file)).unwrap(), before);
    }
}
