//! `classify`: its answers, and what people give it: folders, standard input, many images, names with escape sequences.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use common::*;
use serde_json::json;

fn bag() -> Vec<u8> {
    fs::read(sample("bag.png")).unwrap()
}

#[test]
fn samples_show_what_they_are_called() {
    let program = Program::new();
    let names = [
        ("t-shirt", "T-shirt/top"),
        ("trouser", "Trouser"),
        ("pullover", "Pullover"),
        ("dress", "Dress"),
        ("coat", "Coat"),
        ("sandal", "Sandal"),
        ("shirt", "Shirt"),
        ("sneaker", "Sneaker"),
        ("bag", "Bag"),
        ("ankle-boot", "Ankle boot"),
    ];
    let paths: Vec<String> = names.iter().map(|(file, _)| sample(&format!("{file}.png"))).collect();
    let args = [&["classify"], &paths.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat();

    let answers = program.json(&args);
    for (i, (_, class)) in names.iter().enumerate() {
        let answer = &answers[i];
        assert_eq!(keys(answer), ["image", "ms", "top"]);
        assert_eq!((&answer["image"], answer["top"].as_array().unwrap().len()), (&json!(paths[i]), 1));
        assert_eq!(keys(&answer["top"][0]), ["index", "label", "probability"]);
        assert_eq!((&answer["top"][0]["index"], &answer["top"][0]["label"]), (&json!(i), &json!(class)));
        assert!(answer["ms"].as_f64().unwrap() > 0.0);
    }

    let text = program.stdout(&args);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["image", "class", "probability", "ms"]);
    for ((line, path), (_, class)) in lines[1..].iter().zip(&paths).zip(names) {
        assert!(line.starts_with(&format!("{path} ")) && line.contains(&format!("  {class}  ")), "{line}");
    }
}

#[test]
fn the_most_probable_classes_come_in_order_and_sum_to_one() {
    let program = Program::new();
    program.small_model("small.safetensors");
    let args = ["classify", "--model", "small.safetensors", "--top", "99", &sample("bag.png")];
    let answers = program.json(&args);
    let top = answers[0]["top"].as_array().unwrap();
    let probabilities: Vec<f64> = top.iter().map(|class| class["probability"].as_f64().unwrap()).collect();
    assert_eq!(top.len(), 5);
    assert!(probabilities.is_sorted_by(|a, b| a >= b), "{probabilities:?}");
    assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    let nameless = top.iter().filter(|class| class["label"].is_null());
    assert_eq!(nameless.map(|class| class["index"].as_u64().unwrap()).filter(|&index| index >= 3).count(), 2);
    let text = program.stdout(&args);
    assert!(text.contains("class 4") && text.contains("Ümläut") && text.lines().count() == 6, "{text}");
}

#[test]
fn of_several_images_the_bad_are_reported_and_the_rest_classified() {
    let program = Program::new();
    program.write("broken.png", b"\x89PNG\r\n\x1a\nand no more");
    let done = program.run(&["classify", "broken.png", &sample("bag.png"), "missing.png", "--json"]);
    assert_eq!(done.code, 1);
    let answers = parse(&done.stdout);
    assert_eq!((answers.as_array().unwrap().len(), &answers[0]["top"][0]["label"]), (1, &json!("Bag")));
    let errors: Vec<&str> = done.stderr.lines().collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    for (error, file) in errors.iter().zip(["broken.png", "missing.png"]) {
        assert!(error.starts_with(&format!("error: {file}: ")), "{error}");
    }
}

/// What `classify` feeds the model, `run` computes the same classes from; images that fail leave no gap.
#[test]
fn dumped_inputs_run() {
    let program = Program::new();
    let model = text(&repository().join("crates/cli/model/fashion_mnist.safetensors"));
    let images = [sample("sneaker.png"), sample("dress.png")];
    let dump = ["classify", "--dump-input", "in.safetensors", &images[0], "missing.png", &images[1]];
    assert_eq!(program.run(&dump).code, 1);
    let run = ["run", "--model", &model, "--input", "in.safetensors", "--output", "out.safetensors"];
    assert_eq!(program.json(&run)["batch"], 2);
    let logits = tensor(&program.path("out.safetensors"), "logits");
    let best = |logits: &[f32]| (0..10).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
    assert_eq!(logits.chunks(10).map(best).collect::<Vec<_>>(), [7, 3]);
    // ToTensor and Normalize of the first pixel, which is black.
    assert_eq!(tensor(&program.path("in.safetensors"), "image")[0], (0.0 - 0.286) / 0.353);
}

/// Rows come while later images are still to come: the last is a pipe that nobody has written to yet.
#[test]
#[cfg(target_os = "linux")]
fn answers_come_one_by_one() {
    let program = Program::new();
    program.write("bag.png", &bag());
    let next = |lines: &mut dyn Iterator<Item = std::io::Result<String>>| lines.next().unwrap().unwrap();
    for form in [None, Some("--json-lines")] {
        let args: Vec<&str> = ["classify", "bag.png", "-", "bag.png"].into_iter().chain(form).collect();
        let mut command = program.command(&args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        if form.is_none() {
            assert!(next(&mut lines).starts_with("image "));
        }
        assert!(next(&mut lines).contains("Bag"));
        child.stdin.take().unwrap().write_all(&bag()).unwrap();
        assert_eq!(lines.map(Result::unwrap).filter(|line| line.contains("Bag")).count(), 2);
        assert!(child.wait().unwrap().success());
    }
}

/// A signal ends it, and what was printed before stays. Ctrl-C's would do, but tests that run in the background ignore it.
#[test]
#[cfg(unix)]
fn an_interrupted_run_leaves_its_answers() {
    use std::os::unix::process::ExitStatusExt;
    let program = Program::new();
    program.write("bag.png", &bag());
    program.write("old.safetensors", b"old");
    let before = fs::read_dir(program.path("")).unwrap().count();
    let mut command = program.command(&["classify", "bag.png", "-", "--dump-input", "old.safetensors", "--json-lines"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let _open = child.stdin.take(); // which `wait` would close, and the image end
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    out.read_line(&mut first).unwrap();
    assert_eq!(parse(&first)["top"][0]["label"], "Bag");
    let ended = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(ended.unwrap().success());
    assert_eq!(child.wait().unwrap().signal(), Some(15), "as a program that a signal ends");
    assert_eq!(fs::read(program.path("old.safetensors")).unwrap(), b"old");
    assert_eq!(fs::read_dir(program.path("")).unwrap().count(), before, "no unfinished file is left");
}

/// `nohup shuffle-vit ...`
#[test]
#[cfg(target_os = "linux")]
fn a_signal_that_is_ignored_stays_ignored() {
    let program = Program::new();
    program.write("bag.png", &bag());
    let script = "trap '' HUP INT; exec \"$0\" classify bag.png - --dump-input in.safetensors --json-lines";
    let mut shell = std::process::Command::new("sh");
    let command = shell.current_dir(program.path("")).args(["-c", script, env!("CARGO_BIN_EXE_shuffle-vit")]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    // The first answer comes after the handler is set.
    out.read_line(&mut String::new()).unwrap();
    for signal in ["-HUP", "-INT"] {
        let sent = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }
    child.stdin.take().unwrap().write_all(&bag()).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(tensor(&program.path("in.safetensors"), "image").len(), 2 * 784);
}

#[test]
fn json_lines_are_the_documents_entries() {
    let program = Program::new();
    program.write("broken.png", b"\x89PNG\r\n\x1a\nand no more");
    let images = [sample("bag.png"), "broken.png".into(), sample("coat.png")];
    let run = |form: &str| {
        let done = program.run(&["classify", &images[0], &images[1], &images[2], form]);
        assert_eq!((done.code, done.stderr.lines().count()), (1, 1), "{}", done.stderr);
        done.stdout
    };
    let lines: Vec<_> = run("--json-lines").lines().map(parse).collect();
    let document = parse(&run("--json"));
    assert_eq!(lines.len(), 2);
    for (line, entry) in lines.iter().zip(document.as_array().unwrap()) {
        assert_eq!((&line["image"], &line["top"], keys(line)), (&entry["image"], &entry["top"], keys(entry)));
    }
    program.failure(2, &["classify", &images[0], "--json", "--json-lines"]);
}

/// `shuffle-vit classify ... | head -1`: it does not go on for nobody, and what failed before still counts.
#[test]
#[cfg(target_os = "linux")]
fn nobody_reading_ends_it() {
    let program = Program::new();
    program.write("broken.png", b"\x89PNG\r\n\x1a\nand no more");
    for (first, code) in [(sample("coat.png"), 0), ("broken.png".into(), 1)] {
        // Standard input stays open: whoever reads it waits for ever.
        let mut command = program.command(&["classify", &first, &sample("bag.png"), "-"]);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let (stdin, status) = (child.stdin.take(), child.wait().unwrap());
        drop(stdin);
        assert_eq!(status.code(), Some(code), "{first}");
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!(stderr.lines().count(), code as usize, "{stderr}");
    }
}

/// A file that is asked for is written whether or not anybody reads the answers.
#[test]
fn nobody_reading_loses_no_file() {
    let program = Program::new();
    let mut command =
        program.command(&["classify", &sample("bag.png"), &sample("coat.png"), "--dump-input", "in.safetensors"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
    assert_eq!(tensor(&program.path("in.safetensors"), "image").len(), 2 * 784);
}

#[test]
#[cfg(unix)]
fn standard_input_is_an_image() {
    let program = Program::new();
    let with_input = |args: &[&str], bytes: &[u8]| {
        let mut command = program.command(args);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A program that refuses its arguments reads nothing.
        let _ = child.stdin.take().unwrap().write_all(bytes);
        done(child.wait_with_output().unwrap())
    };
    let answered = with_input(&["classify", "-", "--json"], &bag());
    let answers = parse(&answered.stdout);
    assert_eq!((&answers[0]["image"], &answers[0]["top"][0]["label"]), (&json!("-"), &json!("Bag")));
    let empty = with_input(&["classify", "-"], b"");
    assert_eq!(empty.code, 1);
    assert!(empty.stderr.contains("is empty"), "{}", empty.stderr);
    let twice = with_input(&["classify", "-", "-"], &bag());
    assert_eq!((twice.code, twice.stdout.as_str()), (2, ""));
    assert!(twice.stderr.contains("occurs twice"), "{}", twice.stderr);
}

#[test]
#[cfg(unix)]
fn a_folder_is_its_images_in_order() {
    let program = Program::new();
    for name in ["b.PNG", "a.png", "10.jpg", "no extension", "deep/c.png", ".hidden.png"] {
        program.write(&format!("photos/{name}"), &bag());
    }
    for junk in ["Thumbs.db", "list.txt", "clip.mov"] {
        program.write(&format!("photos/{junk}"), b"junk");
    }
    program.fifo("photos/pipe.jpg");
    std::os::unix::fs::symlink(".", program.path("photos/deep/loop")).unwrap();
    let images = |args: &[&str]| {
        let (stdout, stderr) = program.success(&[args, &["--json"]].concat());
        let answers = parse(&stdout);
        let names = answers.as_array().unwrap().iter().map(|answer| answer["image"].as_str().unwrap().to_string());
        (names.collect::<Vec<_>>(), stderr)
    };
    let (names, stderr) = images(&["classify", "photos"]);
    assert_eq!(names, ["photos/10.jpg", "photos/a.png", "photos/b.PNG", "photos/no extension"]);
    assert_eq!(
        stderr,
        "note: skipped 5 entries: 1 .db, 1 .mov, 1 .txt, 1 hidden, 1 pipe or device\n\
         note: 1 folder inside was not looked into; -r does\n"
    );
    let (names, stderr) = images(&["classify", "-r", "photos", "photos/a.png"]);
    assert_eq!(names[3..], ["photos/deep/c.png", "photos/no extension", "photos/a.png"]);
    assert_eq!(stderr.lines().count(), 1, "{stderr}");

    fs::create_dir(program.path("hollow")).unwrap();
    let done = program.run(&["classify", "hollow", "photos/a.png"]);
    assert_eq!((done.code, done.stdout.lines().count()), (1, 2));
    assert!(done.stderr.starts_with("error: hollow: holds no images"), "{}", done.stderr);
}

/// Columns are as wide as the longest name that will come, and names cannot drive the terminal, wherever they are shown.
#[test]
#[cfg(unix)]
fn names_are_aligned_and_escaped() {
    let program = Program::new();
    let evil = "\x1b]0;owned\x07\n.png";
    let escaped = "\\u{1b}]0;owned\\u{7}\\n.png";
    program.write(evil, &bag());
    program.write("z.png", &bag());
    let done = program.run(&["classify", "z.png", evil, "\x1b[2J.png"]);
    assert_eq!(done.code, 1);
    let places: Vec<_> = done.stdout.lines().map(|line| line.find("Bag").or(line.find("class")).unwrap()).collect();
    assert_eq!(places, [escaped.len() + 2; 3], "{}", done.stdout);
    assert!(done.stdout.contains(escaped));
    assert!(done.stderr.contains("\\u{1b}[2J.png: "), "{}", done.stderr);

    program.small_model("small.safetensors");
    program.input("in", 1);
    let printed = [
        program.run(&["run", "--model", "small.safetensors", "--input", "in", "--output", evil]),
        program.run(&["export-random", "--arch", "deit_tiny", "--set", "depth=1", evil]),
        program.run(&["pack", "small.safetensors", evil]),
        program.run(&["inspect", evil]),
        program.run(&["pack", evil, evil]),
        program.run(&["eval", "\x1b[2J"]),
        program.run(&["classify", "--labels", evil, "z.png"]),
    ];
    for done in printed.iter().chain([&done]) {
        let text = format!("{}{}", done.stdout, done.stderr);
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        assert!(text.contains("\\u{1b}"), "{text:?}");
    }
    let usage = program.failure(2, &["inspect", "x", "\x1b[2J\x07"]);
    assert!(!usage.contains(|c: char| c.is_control() && c != '\n'), "{usage:?}");
}

/// Hundreds of images are written as they come; what failed is left out.
#[test]
#[cfg(target_os = "linux")]
fn dumping_takes_no_memory_for_images_that_are_done() {
    let program = Program::new();
    let set =
        ["--set", "depth=1", "--set", "image_size=512", "--set", "dim=3", "--set", "heads=1", "--set", "mlp_ratio=1"];
    program.stdout(&[&["export-random", "--arch", "deit_tiny", "wide.safetensors"], &set[..]].concat());
    program.write("bag.png", &bag());
    program.write("broken.png", b"\x89PNG\r\n\x1a\nand no more");
    // 3 MiB each.
    let images = [&["bag.png"; 60][..], &["broken.png"], &["bag.png"; 60]].concat();
    let args = [&["classify", "--model", "wide.safetensors", "--dump-input", "in.safetensors"], &images[..]].concat();
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -v 300000; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_shuffle-vit")]);
    let done = done(command.args(&args).args(["--threads", "1"]).current_dir(program.path("")).output().unwrap());
    assert_eq!((done.code, done.stderr.lines().count()), (1, 1), "{}", done.stderr);
    let file = weights::TensorFile::from_file(program.path("in.safetensors")).unwrap();
    assert_eq!(file.info("image").unwrap().shape, [120, 3, 512, 512]);
}
