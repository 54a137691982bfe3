//! `classify` on what people have: folders, standard input, many images, names that nobody should print.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use common::*;
use serde_json::json;

fn bag() -> Vec<u8> {
    fs::read(sample("bag.png")).unwrap()
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

/// Ctrl-C ends it, and what was printed before stays.
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
    let interrupt = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupt.unwrap().success());
    assert_eq!(child.wait().unwrap().signal(), Some(2), "as a program that a signal ends");
    assert_eq!(fs::read(program.path("old.safetensors")).unwrap(), b"old");
    assert_eq!(fs::read_dir(program.path("")).unwrap().count(), before, "no unfinished file is left");
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
