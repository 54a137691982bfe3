//! Packed files: every command takes them and answers as it does for their checkpoint, and damage is told.

mod common;

use std::fs;

use common::*;
use serde_json::json;

/// The program with a checkpoint, `small.safetensors`, and its packed file, `small.packed`.
fn packed() -> Program {
    let program = Program::new();
    program.small_model("small.safetensors");
    program.stdout(&["pack", "small.safetensors", "small.packed"]);
    program
}

#[test]
fn pack_reports_what_it_wrote() {
    let program = packed();
    let length = fs::metadata(program.path("small.packed")).unwrap().len();
    let summary = program.json(&["pack", "small.safetensors", "again.packed"]);
    assert_eq!(keys(&summary), ["bytes", "checksum", "output", "params"]);
    assert_eq!((&summary["output"], &summary["bytes"]), (&json!("again.packed"), &json!(length)));
    assert_eq!(summary["params"], json!(small().config.params()));
    let checksum = summary["checksum"].as_str().unwrap();
    let text = program.stdout(&["pack", "small.safetensors", "again.packed"]);
    assert!(text.starts_with("again.packed: ") && text.ends_with(&format!(" KiB, {checksum}\n")), "{text}");
    assert!(fs::read(program.path("again.packed")).unwrap() == fs::read(program.path("small.packed")).unwrap());
    assert_eq!(fs::read_dir(program.path("")).unwrap().count(), 3, "no temporary file is left");
}

#[test]
fn packed_files_are_taken_wherever_a_checkpoint_is() {
    let program = packed();
    program.input("in.safetensors", 3);
    let both = |args: &dyn Fn(&str) -> Vec<String>| {
        ["small.safetensors", "small.packed"].map(|model| {
            let args = args(model);
            program.json(&args.iter().map(String::as_str).collect::<Vec<_>>())
        })
    };
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    for threads in ["1", "2"] {
        let logits = |model: &str| {
            let run = ["run", "--model", model, "--input", "in.safetensors", "--output", "out", "--threads", threads];
            program.stdout(&run);
            bits(&program.path("out"), "logits")
        };
        assert_eq!(logits("small.packed"), logits("small.safetensors"));
    }
    let [a, b] = both(&|model| words(&["classify", "--model", model, "--top", "5", &sample("bag.png")]));
    assert_eq!(a[0]["top"], b[0]["top"]);
    let [a, b] = both(&|model| words(&["bench", "--model", model, "--iters", "1"]));
    assert_eq!((&a["name"], &a["params"], &a["weight_bytes"]), (&b["name"], &b["params"], &b["weight_bytes"]));
    let [a, b] = both(&|model| words(&["inspect", model]));
    assert_eq!(a, b);
    for class in ["cat", "dog_wolf"] {
        let png = grey_png(8, 8, &[class.len() as u8 * 20; 64]);
        program.write(&format!("data/{class}/1.png"), &png);
    }
    let [a, b] = both(&|model| words(&["eval", "--model", model, "data"]));
    assert_eq!(a["confusion"], b["confusion"]);
}

#[test]
fn verify_checks_every_value() {
    let program = packed();
    let checksum = |file: &str| {
        let inspection = program.json(&["inspect", "--verify", file]);
        assert_eq!(keys(&inspection), ["checksum", "gmacs", "layers", "name", "params"]);
        inspection["checksum"].as_str().unwrap().to_string()
    };
    assert_eq!(checksum("small.packed"), checksum("small.safetensors"));
    let text = program.stdout(&["inspect", "--verify", "small.packed"]);
    let verified = format!("verified     every value is finite; {}", checksum("small.packed"));
    assert!(text.contains(&verified) && text.contains("small.packed, "), "{text}");
    assert!(text.contains(", 1 tensor F32\n"), "{text}");
    assert!(!program.stdout(&["inspect", "small.packed"]).contains("verified"));

    let mut bytes = fs::read(program.path("small.packed")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    program.write("damaged.packed", &bytes);
    program.json(&["inspect", "damaged.packed"]);
    let error = program.failure(1, &["inspect", "--verify", "damaged.packed", "--json"]);
    let damage =
        format!("error: damaged.packed: damaged: expected checksum {}, found crc32:", checksum("small.packed"));
    assert!(error.starts_with(&damage) && error.contains("pack the checkpoint again"), "{error}");
    program.write("short.packed", &bytes[..bytes.len() - 64]);
    let error = program.failure(1, &["inspect", "short.packed"]);
    assert!(error.contains("short.packed: 1 problem") && error.contains("`packed` is wrongly declared"), "{error}");
    let error = program.failure(2, &["inspect", "--verify", "--arch", "deit_tiny"]);
    assert!(error.contains("FILE"), "{error}");
}

#[test]
fn what_cannot_be_packed_is_named() {
    let program = packed();
    let error = program.failure(1, &["pack", "small.packed", "again.packed", "--json"]);
    assert!(error.starts_with("error: small.packed: is a packed file, expected a checkpoint"), "{error}");
    let error = program.failure(1, &["pack", "missing.safetensors", "out.packed"]);
    assert!(error.contains("missing.safetensors: cannot open"), "{error}");
    let error = program.failure(1, &["pack", "small.safetensors", "nowhere/out.packed"]);
    assert!(error.contains("the folder nowhere does not exist"), "{error}");
    let error = program.failure(1, &["pack", "small.safetensors", "."]);
    assert!(error.contains("is a folder"), "{error}");
    let mut bytes = fs::read(program.path("small.safetensors")).unwrap();
    let end = bytes.len() - 4;
    bytes[end..].copy_from_slice(&f32::NAN.to_le_bytes());
    program.write("nan.safetensors", &bytes);
    let error = program.failure(1, &["pack", "nan.safetensors", "out.packed"]);
    assert!(error.contains("nan.safetensors: 1 problem") && error.contains("not finite"), "{error}");
    assert!(!program.path("out.packed").exists());
    assert!(program.failure(2, &["pack", "small.safetensors"]).contains("<OUT>"));
    assert!(program.failure(2, &["pack", "small.safetensors", "out", "--arch", "deit_tny"]).contains("nearest"));
}

/// A file without a description is named once, when it is packed; from then on the packed file knows.
#[test]
fn a_name_is_given_once() {
    let program = Program::new();
    let deit = ["--arch", "deit_tiny"];
    let whole = ["--set", "image_size=32", "--set", "depth=12", "--set", "num_classes=3"];
    program.stdout(&[&["export-random", "described.safetensors"], &deit[..], &whole].concat());
    let described = weights::TensorFile::from_file(program.path("described.safetensors")).unwrap();
    let values: Vec<_> = described.tensors().iter().map(|info| described.tensor(&info.name).unwrap()).collect();
    let tensors: Vec<_> =
        described.tensors().iter().zip(&values).map(|(info, v)| (&info.name[..], &info.shape[..], &v[..])).collect();
    weights::write_tensors(program.path("timm.safetensors"), &tensors).unwrap();

    let unnamed = program.run(&["pack", "timm.safetensors", "unnamed.packed"]);
    assert!(unnamed.stderr.contains("nothing says what the model is"), "{}", unnamed.stderr);
    let (_, stderr) = program.success(&[&["pack", "timm.safetensors", "timm.packed"], &deit[..]].concat());
    assert!(stderr.starts_with("note: how images are prepared is not said in full; assumed mean"), "{stderr}");
    let inspection = program.json(&["inspect", "timm.packed"]);
    assert_eq!(inspection["name"], "deit_tiny");
    assert_eq!(inspection["params"], program.json(&["inspect", "described.safetensors"])["params"]);
}
