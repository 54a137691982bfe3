//! Wrong usage (exit code 2) and failures (exit code 1): the message names what is wrong and what to do, and standard
//! output stays empty.

mod common;

use std::fs;

use common::*;

/// Fails unless the message has all of these words.
#[track_caller]
fn says(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "{message:?} lacks {word:?}");
    }
}

#[test]
fn wrong_values_are_usage_errors() {
    let program = Program::new();
    let image = sample("bag.png");
    let classify = |flags: &[&str]| program.failure(2, &[&["classify", &image, "--json"], flags].concat());
    for threads in ["0", "-1", "-9999999999999999999999", "two", "1.5", ""] {
        says(&classify(&["--threads", threads]), &["--threads", "a whole number from 1 to"]);
    }
    says(&classify(&["--dtype", "bf16"]), &["--dtype", "does not compute in bf16 yet", "f32 works"]);
    says(&classify(&["--dtype", "int8"]), &["does not compute in int8 yet"]);
    says(&classify(&["--dtype", "f64"]), &["expected f32"]);
    says(&classify(&["--level", "mmx"]), &["--level", "auto, portable"]);
    says(&classify(&["--top", "0"]), &["--top", "a whole number from 1 to"]);
    says(&classify(&["--arch", "deit_tiny"]), &["--model"]);
    says(&classify(&["--modle", "x"]), &["--modle", "--model"]);
    says(&program.failure(2, &["classify"]), &["IMAGE"]);

    let bench = |flags: &[&str]| program.failure(2, &[&["bench"], flags].concat());
    says(&bench(&[]), &["--model", "--arch"]);
    says(&bench(&["--arch", "deit_tny"]), &["nearest: deit_tiny"]);
    says(&bench(&["--arch", "shuffle_swim_tiny"]), &["nearest: shuffle_swin_tiny", "t2t_vit_t_14"]);
    says(&program.failure(2, &["table", "--arch", "deit_tiny"]), &["--arch"]);
    says(&bench(&["--arch", "deit_tiny", "--batch", "0"]), &["--batch"]);
    says(&bench(&["--arch", "deit_tiny", "--iters", "0"]), &["--iters"]);
    says(&program.failure(2, &["inspect"]), &["FILE", "--arch"]);
    says(&program.failure(2, &["run", "--model", "m"]), &["--input", "--output"]);
    says(&program.failure(2, &["export-random", "--arch", "deit_tiny", "--seed", "-1", "x"]), &["--seed"]);
    says(&program.failure(2, &["eval"]), &["DATA"]);
    says(&program.failure(2, &["clasify"]), &["classify"]);
    says(&program.failure(2, &[]), &["Usage", "classify"]);
}

#[test]
fn wrong_settings_are_usage_errors() {
    let program = Program::new();
    program.small_model("small.safetensors");
    for command in [&["bench"][..], &["profile"], &["inspect"], &["export-random", "out.safetensors"]] {
        let set = |settings: &[&str]| {
            let flags: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
            program.failure(2, &[command, &["--arch", "deit_tiny", "--json"], &flags[..]].concat())
        };
        says(
            &set(&["dpeth=6"]),
            &["deit_tiny(dpeth=6)", "`dpeth`", "nearest: `depth`", "keys of deit_tiny: image_size, "],
        );
        says(&set(&["depth=six"]), &["`depth`", "expected a whole number from 1 to 1024, found \"six\""]);
        says(&set(&["shuffle=1"]), &["`shuffle`", "expected true or false, found 1"]);
        says(
            &set(&["heads=5", "image_size=100"]),
            &["2 problems", "a divisor of dim 192", "a divisor of image_size 100"],
        );
        says(&set(&["depth=6", "depth=7"]), &["`depth`", "occurs once"]);
        says(&set(&["dim=65536", "heads=1024", "depth=1024"]), &["smaller sizes", "the number of weights"]);
        says(&set(&["depth"]), &["--set", "KEY=VALUE"]);
        assert!(!program.path("out.safetensors").exists());
    }
    for file in [
        &["bench", "--model", "small.safetensors"][..],
        &["profile", "--model", "small.safetensors"],
        &["inspect", "small.safetensors"],
    ] {
        let error = program.failure(2, &[file, &["--arch", "deit_tiny", "--set", "depth=6"]].concat());
        says(&error, &["--set", "small.safetensors", "tensors"]);
    }
    says(&program.failure(2, &["bench", "--set", "depth=6"]), &["--arch"]);
    let huge = ["--arch", "deit_tiny", "--set", "dim=65536", "--set", "heads=1024"];
    for command in [&["bench"][..], &["export-random", "out.safetensors"]] {
        says(&program.failure(1, &[command, &huge].concat()), &["deit_tiny(dim=65536", "more than there is"]);
    }
}

#[test]
fn the_level_may_come_from_the_environment() {
    let program = Program::new();
    program.small_model("small.safetensors");
    let bench = |variable: &str, flags: &[&str]| {
        let args = [&["bench", "--model", "small.safetensors", "--iters", "1", "--json"], flags].concat();
        done(program.command(&args).env("SHUFFLE_VIT_LEVEL", variable).output().unwrap())
    };
    let level = |done: Done| parse(&done.stdout)["level"].as_str().unwrap().to_string();
    let best = vit::Level::detect().name();
    assert_eq!(level(bench("portable", &[])), "portable");
    assert_eq!(level(bench("auto", &[])), best);
    assert_eq!(level(bench("", &[])), best);
    assert_eq!(level(bench("portable", &["--level", "auto"])), best);
    let refused = bench("avx1024", &[]);
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""));
    says(&refused.stderr, &["avx1024", "SHUFFLE_VIT_LEVEL", "portable"]);
    for level in levels() {
        let done = bench("mmx", &["--level", level.name()]);
        assert_eq!(done.code, 0, "{}: a flag goes before the variable", done.stderr);
    }
}

#[test]
fn images_that_cannot_be_classified_are_named() {
    let program = Program::new();
    says(&program.failure(1, &["classify", "missing.png", "--json"]), &["missing.png", "none of the 1 image"]);
    says(&program.failure(1, &["classify", "."]), &[".: holds no images", "PNG, JPEG or WebP"]);
    program.write("note.png", b"just text");
    says(&program.failure(1, &["classify", "note.png", "--json"]), &["note.png", "expected PNG, JPEG or WebP"]);
    let dump = ["classify", &sample("bag.png"), "--dump-input", "nowhere/in.safetensors", "--json"];
    says(&program.failure(1, &dump), &["nowhere/in.safetensors", "the folder nowhere does not exist"]);
}

#[test]
fn models_that_cannot_be_loaded_are_named() {
    let program = Program::new();
    let image = sample("bag.png");
    let classify = |model: &str| program.failure(1, &["classify", "--model", model, &image, "--json"]);
    says(&classify("missing.safetensors"), &["missing.safetensors: cannot open"]);
    says(&classify("."), &["folder"]);
    let whole = fs::read(program.small_model("small.safetensors")).unwrap();
    program.write("short.safetensors", &whole[..whole.len() - 4]);
    says(&classify("short.safetensors"), &["short.safetensors"]);
    program.write("empty.safetensors", b"");
    says(&classify("empty.safetensors"), &["empty.safetensors", "safetensors file"]);
    program.write("nan.safetensors", &[&whole[..whole.len() - 4], &f32::NAN.to_le_bytes()[..]].concat());
    for args in [
        &["inspect", "nan.safetensors", "--json"][..],
        &["bench", "--model", "nan.safetensors", "--json"],
        &["eval", "--model", "nan.safetensors", ".", "--json"],
        &["run", "--model", "nan.safetensors", "--input", "in", "--output", "out", "--json"],
    ] {
        says(&program.failure(1, args), &["nan.safetensors: 1 problem", "not finite"]);
    }
}

#[test]
fn two_channels_are_for_raw_tensors_only() {
    let program = Program::new();
    let mut description = small();
    let vit::Family::Vit(mut config) = *description.config.family() else { unreachable!() };
    config.in_channels = 2;
    description = weights::Description::new(vit::Config::new(config).unwrap());
    program.model("two.safetensors", &description);
    let image = sample("bag.png");
    let error = program.failure(1, &["classify", "--model", "two.safetensors", &image, &image]);
    says(&error, &["2 channels", "`run`"]);
    assert_eq!(error.lines().count(), 1, "{error}");
    says(&program.failure(1, &["eval", "--model", "two.safetensors", "."]), &["2 channels", "`run`"]);
}

#[test]
fn raw_tensors_of_another_type_or_shape_are_refused() {
    let program = Program::new();
    program.small_model("small.safetensors");
    program.input("in.safetensors", 1);
    let run = |input: &str, output: &str| {
        program.failure(1, &["run", "--model", "small.safetensors", "--input", input, "--output", output, "--json"])
    };
    says(&run("missing.safetensors", "out"), &["missing.safetensors: cannot open"]);
    says(&run("in.safetensors", "nowhere/out"), &["the folder nowhere does not exist"]);
    says(&run("in.safetensors", "."), &["is a folder"]);

    let shapes: [&[usize]; 4] = [&[1, 3, 16, 8], &[1, 1, 8, 8], &[3, 8, 8], &[1, 3, 8, 8, 1]];
    for shape in shapes {
        let values = vec![0.0; shape.iter().product()];
        weights::write_tensors(program.path("bad.safetensors"), &[("image", shape, &values)]).unwrap();
        let found = format!("F32 {shape:?}");
        says(&run("bad.safetensors", "out"), &["bad.safetensors", &found, "expected F32 [batch, 3, 8, 8]"]);
    }
    let header = br#"{"image":{"dtype":"F16","shape":[1,3,8,8],"data_offsets":[0,384]}}"#;
    let half = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 384]].concat();
    program.write("half.safetensors", &half);
    says(&run("half.safetensors", "out"), &["F16 [1, 3, 8, 8]", "expected F32 [batch, 3, 8, 8]"]);
    weights::write_tensors(program.path("other.safetensors"), &[("images", &[1], &[0.0])]).unwrap();
    says(&run("other.safetensors", "out"), &["other.safetensors", "`image`", "found `images`"]);
    assert!(!program.path("out").exists());
}

#[test]
fn places_where_no_file_can_be_are_refused() {
    let program = Program::new();
    let export = |out: &str| program.failure(1, &["export-random", "--arch", "deit_tiny", out, "--json"]);
    says(&export("nowhere/a.safetensors"), &["nowhere/a.safetensors", "create it"]);
    says(&export("."), &["is a folder"]);
}
