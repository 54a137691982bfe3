//! `eval` on folders and IDX pairs.

mod common;

use std::io::Write;

use common::*;
use serde_json::json;

/// Folders called like the labels, as far as folders can be, with a sample each.
fn wardrobe() -> Program {
    let program = Program::new();
    for (folder, file) in [
        ("t-shirt_top", "t-shirt.png"),
        ("Trouser", "trouser.png"),
        ("Ankle boot", "ankle-boot.png"),
        ("bag", "bag.png"),
        ("Sneaker", "sneaker.png"),
    ] {
        program.write(&format!("data/{folder}/{file}"), &std::fs::read(sample(file)).unwrap());
    }
    program.write("data/.cache/x", b"");
    program.write("data/bag/.hidden", b"");
    program.write("data/readme.txt", b"beside the class folders");
    program
}

#[test]
fn folders_are_matched_to_labels() {
    let program = wardrobe();
    let evaluation = program.json(&["eval", "data"]);
    assert_eq!(keys(&evaluation), ["confusion", "failed", "images", "labels", "ms_per_image", "name", "top1", "top5"]);
    assert_eq!((&evaluation["images"], &evaluation["failed"]), (&json!(5), &json!(0)));
    assert_eq!((&evaluation["top1"], &evaluation["top5"]), (&json!(1.0), &json!(1.0)));
    assert_eq!(evaluation["labels"][0], "T-shirt/top");
    for (class, count) in [(0, 1), (1, 1), (2, 0), (7, 1), (8, 1), (9, 1)] {
        assert_eq!(evaluation["confusion"][class][class], count, "class {class}");
    }

    let text = program.stdout(&["eval", "data", "--threads", "1"]);
    assert!(text.contains("top-1   100.00 %") && text.contains("top-5   100.00 %"), "{text}");
    let matrix: Vec<&str> = text.lines().skip_while(|line| !line.contains("Trouser")).collect();
    assert_eq!(matrix.len(), 11, "{text}");
    // Each count stands under the end of its class's name.
    for (row, label) in [(1, "T-shirt/top"), (2, "Trouser"), (10, "Ankle boot")] {
        let end = matrix[0].find(label).unwrap() + label.len();
        assert!(matrix[row].starts_with(label) && matrix[row][..end].ends_with(" 1"), "{text}");
    }
}

#[test]
fn images_that_cannot_be_read_are_reported_and_not_counted() {
    let program = wardrobe();
    program.write("data/bag/broken.png", b"\x89PNG\r\n\x1a\nand no more");
    program.write("data/bag/deeper/image.png", b"");
    let done = program.run(&["eval", "data", "--json"]);
    assert_eq!(done.code, 1);
    let evaluation = parse(&done.stdout);
    assert_eq!((&evaluation["images"], &evaluation["failed"]), (&json!(5), &json!(2)));
    assert_eq!(evaluation["top1"], 1.0);
    let errors: Vec<&str> = done.stderr.lines().collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].starts_with("error: data/bag/broken.png: is a damaged PNG"), "{errors:?}");
    assert!(errors[1].starts_with("error: data/bag/deeper: is a folder"), "{errors:?}");
}

#[test]
fn sets_that_do_not_fit_are_refused() {
    let program = wardrobe();
    let failure = |data: &str| program.failure(1, &["eval", data, "--json"]);
    assert!(failure("missing").contains("missing: cannot be read"));
    program.write("data/Hat/x.png", b"");
    let error = failure("data");
    assert!(error.contains("folder Hat") && error.contains("T-shirt/top, Trouser"), "{error}");
    program.write("flat/x.png", b"");
    assert!(failure("flat").contains("no class folders"));
    std::fs::create_dir_all(program.path("hollow/Bag")).unwrap();
    assert!(failure("hollow").contains("hollow: holds no images"));
    program.write("bad/Bag/x.png", b"");
    let error = failure("bad");
    assert!(error.contains("bad/Bag/x.png: is empty") && error.contains("none of the 1 image"), "{error}");
    (0..11).for_each(|i| drop(program.write(&format!("many/{i}/x.png"), b"")));
    assert!(failure("many").contains("11 class folders, but the model has 10"));

    program.write("images-idx3", &idx_file(&[1, 28, 28], &[0; 784]));
    assert!(failure("images-idx3").contains("labels-idx1"));
    program.write("labels-idx1", &idx_file(&[2], &[0, 1]));
    assert!(failure("images-idx3").contains("2 labels for the 1 images"));
    program.write("labels-idx1", &idx_file(&[1], &[10]));
    let error = failure("images-idx3");
    assert!(error.contains("label 10") && error.contains("10 classes (0 to 9)"), "{error}");
}

/// Without labels, or without a folder that is called like one, sorted folders are the classes in order.
#[test]
fn folders_are_counted_where_names_say_nothing() {
    let program = Program::new();
    let bag = std::fs::read(sample("bag.png")).unwrap();
    (0..10).for_each(|i| drop(program.write(&format!("digits/{i}/x.png"), &bag)));
    let done = program.run(&["eval", "digits", "--json"]);
    assert_eq!(done.code, 0);
    assert!(done.stderr.starts_with("warning: no folder is called like one of the model's labels"), "{}", done.stderr);
    let evaluation = parse(&done.stdout);
    assert_eq!(evaluation["top1"], 0.1);
    assert!((0..10).all(|class| evaluation["confusion"][class][8] == 1), "{evaluation}");

    let mut description = small();
    description.labels.clear();
    program.model("nameless.safetensors", &description);
    (0..5).for_each(|i| drop(program.write(&format!("five/class{i}/x.png"), &bag)));
    let evaluation = program.json(&["eval", "five", "--model", "nameless.safetensors"]);
    assert_eq!(evaluation["labels"], json!(["class0", "class1", "class2", "class3", "class4"]));
    assert_eq!((&evaluation["top1"], &evaluation["top5"]), (&json!(0.2), &json!(1.0)));
}

/// Both files compressed, and of another size than the model takes.
#[test]
fn compressed_idx_files_are_resized() {
    let program = Program::new();
    program.small_model("small.safetensors");
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let pixels: Vec<u8> = (0..40 * 12 * 10).map(|i| (i % 251) as u8).collect();
    program.write("x-images-idx3-ubyte.gz", &gzip(&idx_file(&[40, 12, 10], &pixels)));
    program.write("x-labels-idx1-ubyte.gz", &gzip(&idx_file(&[40], &[4; 40])));
    let args = ["eval", "x-images-idx3-ubyte.gz", "--model", "small.safetensors"];
    let evaluation = program.json(&args);
    assert_eq!((&evaluation["images"], &evaluation["top5"]), (&json!(40), &json!(1.0)));
    assert_eq!(evaluation["labels"], json!(["cat", "dog/wolf", "Ümläut", null, null]));
    let again = program.json(&[&args[..], &["--threads", "1"]].concat());
    assert_eq!(evaluation["confusion"], again["confusion"]);
}
