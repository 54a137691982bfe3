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
    let (evaluation, stderr) = program.success(&["eval", "data", "--json"]);
    assert_eq!(stderr, "note: skipped 3 entries: 2 hidden, 1 .txt\n");
    let evaluation = parse(&evaluation);
    assert_eq!(keys(&evaluation), ["confusion", "failed", "images", "labels", "ms_per_image", "name", "top1", "top5"]);
    assert_eq!((&evaluation["images"], &evaluation["failed"]), (&json!(5), &json!(0)));
    assert_eq!((&evaluation["top1"], &evaluation["top5"]), (&json!(1.0), &json!(1.0)));
    assert_eq!(evaluation["labels"][0], "T-shirt/top");
    for (class, count) in [(0, 1), (1, 1), (2, 0), (7, 1), (8, 1), (9, 1)] {
        assert_eq!(evaluation["confusion"][class][class], count, "class {class}");
    }

    let (text, _) = program.success(&["eval", "data", "--threads", "1"]);
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
    program.write("data/bag/empty.jpg", b"");
    let done = program.run(&["eval", "data", "--json"]);
    assert_eq!(done.code, 1);
    let evaluation = parse(&done.stdout);
    assert_eq!((&evaluation["images"], &evaluation["failed"]), (&json!(5), &json!(2)));
    assert_eq!(evaluation["top1"], 1.0);
    let errors: Vec<&str> = done.stderr.lines().collect();
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors[1].starts_with("error: data/bag/broken.png: is a damaged PNG"), "{errors:?}");
    assert!(errors[2].starts_with("error: data/bag/empty.jpg: is empty"), "{errors:?}");
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
    let reason = "warning: no folder is called like one of the model's labels";
    assert!(done.stderr.starts_with(reason) && done.stderr.contains("classes of their numbers"), "{}", done.stderr);
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

/// As many classes as ImageNet-21k has, whose full matrix would take 4 GB.
#[test]
fn many_classes_are_counted_by_what_occurred() {
    let program = Program::new();
    let config = small_with(|config| vit::VitConfig { num_classes: 21_843, ..config });
    program.model("many.safetensors", &weights::Description::new(config));
    let bag = std::fs::read(sample("bag.png")).unwrap();
    ["7", "21842"].iter().for_each(|class| drop(program.write(&format!("data/{class}/x.png"), &bag)));
    let eval = ["eval", "data", "--model", "many.safetensors"];
    let (stdout, stderr) = program.success(&eval);
    assert!(stdout.contains("The most frequent confusions") && stdout.contains("images  2\n"), "{stdout}");
    assert!(stdout.lines().any(|line| line.starts_with("21842 ") && line.ends_with(" 1")), "{stdout}");
    assert!(stderr.contains("taken for the classes of their numbers"), "{stderr}");
    let error = program.failure(1, &[&eval[..], &["--json"]].concat());
    assert!(error.contains("21843 classes is too large for --json"), "{error}");
}

/// As macOS writes names, and as a name that lost its mark must not be read.
#[test]
fn marks_of_letters_are_composed_and_never_dropped() {
    let program = Program::new();
    let mut description = small();
    description.labels = ["Cafe", "Caf\u{e9}", "Bar"].map(|label| Some(label.into())).into();
    description.labels.resize(5, None);
    program.model("small.safetensors", &description);
    let png = grey_png(8, 8, &[7; 64]);
    program.write("data/Cafe/1.png", &png);
    (1..=2).for_each(|i| drop(program.write(&format!("data/Cafe\u{301}/{i}.png"), &png)));
    let evaluation = program.json(&["eval", "data", "--model", "small.safetensors"]);
    let images = |class: usize| {
        evaluation["confusion"][class].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!([0, 1, 2].map(images), [1, 2, 0]);

    description.labels[0] = Some("Pub".into());
    program.model("small.safetensors", &description);
    let error = program.failure(1, &["eval", "data", "--model", "small.safetensors"]);
    assert!(error.contains("folder Cafe is called like none of the model's labels (Pub, Caf\u{e9}, Bar)"), "{error}");
}

/// Twelve folders whose sorted order is 0, 1, 10, 11, 2, ...
#[test]
fn numbers_are_classes() {
    let program = Program::new();
    let config = small_with(|config| vit::VitConfig { num_classes: 12, ..config });
    program.model("twelve.safetensors", &weights::Description::new(config));
    let png = grey_png(8, 8, &[7; 64]);
    for class in 0..12 {
        (0..=class).for_each(|i| drop(program.write(&format!("data/{class}/{i}.png"), &png)));
    }
    let images = |evaluation: &serde_json::Value| -> Vec<u64> {
        let rows = evaluation["confusion"].as_array().unwrap();
        rows.iter().map(|row| row.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum()).collect()
    };
    let eval = ["eval", "data", "--model", "twelve.safetensors", "--json"];
    assert_eq!(images(&parse(&program.stdout(&eval))), (1..=12).collect::<Vec<_>>());

    // Without one of them the others are the same classes, which is said.
    std::fs::remove_dir_all(program.path("data/4")).unwrap();
    let (evaluation, stderr) = program.success(&eval);
    assert_eq!(images(&parse(&evaluation)), [1, 2, 3, 4, 0, 6, 7, 8, 9, 10, 11, 12]);
    assert!(stderr.contains("the 11 folders are taken for the classes of their numbers"), "{stderr}");

    // Numbers that are no classes are an order.
    std::fs::rename(program.path("data/0"), program.path("data/2024")).unwrap();
    let (evaluation, stderr) = program.success(&eval);
    assert_eq!(images(&parse(&evaluation)), [2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 1, 0]);
    assert!(stderr.contains("not all folders have numbers of classes (0 to 11)"), "{stderr}");
}

/// What people's folders hold beside images, and in what depth the images are.
#[test]
#[cfg(unix)]
fn junk_is_counted_and_nesting_walked() {
    let program = wardrobe();
    for junk in ["Thumbs.db", ".DS_Store", "notes.txt", "IMG_1.HEIC", "2024/.DS_Store"] {
        program.write(&format!("data/bag/{junk}"), b"\xd0\xcf\x11\xe0");
    }
    program.write("data/__MACOSX/bag/._bag.png", b"\0\x05\x16\x07");
    program.write("data/bag/2024/summer/deep.png", &std::fs::read(sample("bag.png")).unwrap());
    program.write("data/bag/2024/camera-001", &std::fs::read(sample("bag.png")).unwrap());
    program.write("data/loose.png", &std::fs::read(sample("bag.png")).unwrap());
    program.fifo("data/bag/pipe.png");
    let _socket = std::os::unix::net::UnixListener::bind(program.path("data/bag/socket")).unwrap();
    std::os::unix::fs::symlink("..", program.path("data/bag/2024/loop")).unwrap();
    std::fs::create_dir(program.path("data/empty")).unwrap();
    let (evaluation, stderr) = program.success(&["eval", "data", "--json"]);
    assert_eq!(parse(&evaluation)["images"], 7, "{stderr}");
    assert_eq!(
        stderr,
        "note: skipped 13 entries: 5 hidden, 2 .txt, 2 pipe or device, 1 .db, 1 .heic, 1 folder without images, \
         1 image outside the class folders\n"
    );
}
