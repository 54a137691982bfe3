//! Files that commands write: what is there already, what is no regular file, what is also read.

mod common;

use std::fs;
use std::path::Path;

use common::*;

/// A program's folder with a model, inputs for it, a packed file and a picture.
fn workshop() -> Program {
    let program = Program::new();
    program.small_model("small.safetensors");
    program.input("in.safetensors", 2);
    program.write("bag.png", &fs::read(sample("bag.png")).unwrap());
    program.write("folder/coat.png", &fs::read(sample("coat.png")).unwrap());
    program.write("labels.txt", b"a\nb\nc\nd\ne\n");
    program.write("config.json", b"{}");
    program
}

/// The commands that write, all but the name of what they write.
const WRITING: [&[&str]; 4] = [
    &["run", "--model", "small.safetensors", "--input", "in.safetensors", "--output"],
    &["pack", "small.safetensors"],
    &["export-random", "--arch", "deit_tiny", "--set", "depth=1", "--set", "image_size=16"],
    &["classify", "bag.png", "--dump-input"],
];

/// Everything in a folder, by name.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (text(&path), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

/// Fails unless each output is refused as wrong usage, and everything stays as it is.
fn refused(program: &Program, args: &[&str], outputs: &[&str]) {
    let before = contents(&program.path(""));
    for output in outputs {
        let error = program.failure(2, &[args, &[output]].concat());
        assert!(error.starts_with(&format!("error: {output}: is read by this command")), "{error}");
        assert!(error.contains("name another file"), "{error}");
        assert_eq!(contents(&program.path("")), before, "{args:?} {output}");
    }
}

#[test]
fn an_input_is_never_written() {
    let program = workshop();
    let run = ["run", "--model", "small.safetensors", "--input", "in.safetensors", "--output"];
    refused(&program, &run, &["small.safetensors", "./in.safetensors", "folder/../small.safetensors", "config.json"]);
    refused(&program, &["pack", "small.safetensors"], &["small.safetensors", ".//small.safetensors"]);
    refused(&program, &["pack", "--labels", "labels.txt", "small.safetensors"], &["labels.txt"]);
    let classify = ["classify", "bag.png", "folder", "--model", "small.safetensors", "--labels", "labels.txt"];
    let outputs = ["bag.png", "folder/coat.png", "small.safetensors", "labels.txt", "config.json"];
    refused(&program, &[&classify[..], &["--dump-input"]].concat(), &outputs);
    // Nothing is read before: neither the model nor the image is there.
    refused(&program, &["classify", "nowhere.png", "--dump-input"], &["nowhere.png"]);
    refused(&program, &["pack", "nowhere"], &["./nowhere"]);
}

/// A file that is open as standard input or output is one of the files that are read or written.
#[test]
#[cfg(target_os = "linux")]
fn an_input_that_is_open_is_never_written() {
    let program = workshop();
    let before = contents(&program.path(""));
    let opened = |name: &str| fs::OpenOptions::new().read(true).append(true).open(program.path(name)).unwrap();
    let refused = |command: &mut std::process::Command| {
        let done = done(command.stderr(std::process::Stdio::piped()).output().unwrap());
        assert_eq!(done.code, 2, "{}", done.stderr);
        assert!(done.stderr.contains("is read by this command under the name"), "{}", done.stderr);
        assert_eq!(contents(&program.path("")), before);
    };
    let mut classify = program.command(&["classify", "-", "--dump-input", "bag.png"]);
    refused(classify.stdin(opened("bag.png")));
    let run = ["run", "--model", "small.safetensors", "--input", "in.safetensors", "--output", "/dev/stdout"];
    refused(program.command(&run).stdout(opened("in.safetensors")));
}

#[test]
#[cfg(unix)]
fn an_input_by_another_name_is_never_written() {
    let program = workshop();
    let link = |name: &str, to: &str| std::os::unix::fs::symlink(to, program.path(name)).unwrap();
    link("link", "small.safetensors");
    link("link-to-link", "link");
    link("same-folder", ".");
    fs::hard_link(program.path("small.safetensors"), program.path("hard")).unwrap();
    let names = ["link", "link-to-link", "hard", "same-folder/hard"];
    refused(&program, &["run", "--model", "small.safetensors", "--input", "in.safetensors", "--output"], &names);
    refused(&program, &["pack", "small.safetensors"], &names);
    refused(&program, &["pack", "link"], &["small.safetensors", "hard"]);
    let error = program.failure(2, &["pack", "small.safetensors", "hard"]);
    assert!(error.contains("under the name small.safetensors"), "{error}");
}

/// What is there keeps its mode, a link is followed, and other names keep what they had.
#[test]
#[cfg(unix)]
fn files_keep_their_place_and_mode() {
    use std::os::unix::fs::PermissionsExt;
    let program = workshop();
    for command in WRITING {
        program.write("target", b"old");
        fs::set_permissions(program.path("target"), fs::Permissions::from_mode(0o600)).unwrap();
        let _ = fs::remove_file(program.path("link"));
        std::os::unix::fs::symlink("target", program.path("link")).unwrap();
        program.stdout(&[command, &["link"]].concat());
        assert!(fs::symlink_metadata(program.path("link")).unwrap().is_symlink(), "{command:?}");
        assert_eq!(fs::metadata(program.path("target")).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(weights::TensorFile::from_file(program.path("target")).is_ok(), "{command:?}");
    }
}

/// Into a pipe by name and into standard output, where then nothing else is.
#[test]
#[cfg(target_os = "linux")]
fn pipes_are_written_through() {
    let program = workshop();
    let fifo = program.fifo("pipe");
    for command in WRITING {
        program.stdout(&[command, &["out.safetensors"]].concat());
        let expected = fs::read(program.path("out.safetensors")).unwrap();
        let pipe = fifo.clone();
        let reader = std::thread::spawn(move || fs::read(pipe).unwrap());
        assert!(!program.stdout(&[command, &["pipe"]].concat()).is_empty(), "{command:?} sums up");
        assert!(reader.join().unwrap() == expected, "{command:?}");
        assert!(!fs::symlink_metadata(&fifo).unwrap().is_file(), "{command:?}");
        let output = program.command(&[command, &["/dev/stdout"]].concat()).output().unwrap();
        assert!(output.status.success() && output.stdout == expected, "{command:?}");
        assert!(!output.stderr.is_empty(), "{command:?} sums up on standard error");
    }

    let run = WRITING[0];
    program.stdout(&[run, &["out.safetensors"]].concat());
    let expected = fs::read(program.path("out.safetensors")).unwrap();
    for (args, summary) in [
        ([run, &["/dev/stdout"]].concat(), "/dev/stdout: logits of 2"),
        ([run, &["/dev/stdout", "--json"]].concat(), "{\"output\":\"/dev/stdout\""),
    ] {
        let output = program.command(&args).output().unwrap();
        assert!(output.status.success() && output.stdout == expected, "{args:?}");
        assert!(String::from_utf8(output.stderr).unwrap().starts_with(summary), "{args:?}");
    }
}

/// Where a command fails, what was there before is there still.
#[test]
fn a_failure_changes_nothing() {
    let program = workshop();
    program.write("out", b"old");
    program.write("broken.png", b"\x89PNG\r\n\x1a\nand no more");
    program.failure(1, &["run", "--model", "missing", "--input", "in.safetensors", "--output", "out"]);
    program.failure(1, &["pack", "in.safetensors", "out"]);
    program.failure(1, &["classify", "broken.png", "--dump-input", "out"]);
    assert_eq!(fs::read(program.path("out")).unwrap(), b"old");
    let error = program.failure(1, &["pack", "small.safetensors", "nowhere/out"]);
    assert!(
        error.starts_with("error: nowhere/out: ") && error.contains("the folder nowhere does not exist"),
        "{error}"
    );
}

/// What stands for standard input elsewhere is no output, and no file of that name appears.
#[test]
fn a_dash_is_no_output() {
    let program = Program::new();
    let message = program.failure(2, &["export-random", "--arch", "deit_tiny", "-"]);
    assert!(message.contains("name /dev/stdout for standard output, or ./-"), "{message}");
    assert!(!program.path("-").exists());
}
