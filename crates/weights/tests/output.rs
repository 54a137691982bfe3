//! What writing a file does to what is there: it is replaced whole or not at all, and only a regular file is replaced.
#![cfg(unix)]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use tempfile::TempDir;
use vit::{Config, VitConfig};
use weights::{
    Description, Error, LoadedModel, Output, Random, RowWriter, TensorFile, is_same_file, save, save_packed,
    write_tensors,
};

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn description() -> Description {
    let config = VitConfig { dim: 4, depth: 1, heads: 2, image_size: 8, patch_size: 4, ..Default::default() };
    Description::new(Config::new(config).unwrap())
}

type Writer = fn(&Path) -> Result<u64, Error>;

/// Everything that the library writes.
const WRITERS: [Writer; 4] = [
    |path| save(path, &description(), &mut Random::new(1)),
    |path| save_packed(path, &LoadedModel::from_tensors(description(), &mut Random::new(1))?),
    |path| write_tensors(path, &[("x", &[2], &[1.0, 2.0])]),
    |path| {
        let mut rows = RowWriter::new(Output::create(path)?, "x", &[2])?;
        rows.push(&[1.0, 2.0])?;
        rows.finish()
    },
];

/// What a writer puts into a new file of that folder.
fn written(writer: Writer, folder: &Path) -> Vec<u8> {
    let path = folder.join("expected");
    let len = writer(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes.len() as u64, len);
    fs::remove_file(path).unwrap();
    bytes
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn a_file_keeps_its_permissions_and_a_new_one_has_the_usual() {
    let folder = folder();
    let usual = {
        let path = folder.path().join("usual");
        File::create(&path).unwrap();
        let mode = mode(&path);
        fs::remove_file(path).unwrap();
        mode
    };
    for writer in WRITERS {
        let (expected, path) = (written(writer, folder.path()), folder.path().join("x"));
        writer(&path).unwrap();
        assert_eq!(mode(&path), usual);
        for kept in [0o600, 0o640, 0o755, 0o666] {
            fs::write(&path, "old").unwrap();
            set_mode(&path, kept);
            writer(&path).unwrap();
            assert_eq!((mode(&path), fs::read(&path).unwrap() == expected), (kept, true));
        }
        fs::remove_file(path).unwrap();
    }
    assert_eq!(names(folder.path()), [""; 0]);
}

/// Only root can give a file away.
#[test]
fn root_leaves_a_file_to_its_owner() {
    let folder = folder();
    let path = folder.path().join("x");
    fs::write(&path, "old").unwrap();
    if std::os::unix::fs::chown(&path, Some(65534), Some(65534)).is_err() {
        return eprintln!("not root: no file can be given away");
    }
    set_mode(&path, 0o640);
    write_tensors(&path, &[("x", &[1], &[1.0])]).unwrap();
    let found = fs::metadata(&path).unwrap();
    assert_eq!((found.uid(), found.gid(), mode(&path)), (65534, 65534, 0o640));
}

#[test]
fn a_place_that_is_taken_meanwhile_is_an_error_without_a_trace() {
    let folder = folder();
    let path = folder.path().join("x");
    let mut output = Output::create(&path).unwrap();
    output.write_all(b"new").unwrap();
    fs::create_dir(&path).unwrap();
    let error = output.finish().unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: cannot write: ", path.display())), "{error}");
    assert_eq!(names(folder.path()), ["x"]);
    // A file is replaced, as one that was there before.
    fs::remove_dir(&path).unwrap();
    let mut output = Output::create(&path).unwrap();
    output.write_all(b"new").unwrap();
    fs::write(&path, "other").unwrap();
    assert_eq!(output.finish(), Ok(3));
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
}

#[test]
fn a_name_in_between_that_is_taken_is_left_alone() {
    let folder = folder();
    let taken: Vec<_> = (0..500).map(|i| format!(".shuffle-vit-{}-{i}.part", std::process::id())).collect();
    taken.iter().for_each(|name| fs::write(folder.path().join(name), name).unwrap());
    let path = folder.path().join("x");
    fs::write(&path, "old").unwrap();
    write_tensors(&path, &[("x", &[1], &[1.0])]).unwrap();
    assert!(taken.iter().all(|name| fs::read_to_string(folder.path().join(name)).unwrap() == *name));
    assert_eq!((names(folder.path()).len(), fs::read(&path).unwrap() == b"old"), (501, false));
}

#[test]
fn who_has_the_old_file_open_keeps_it_and_so_do_its_other_names() {
    let folder = folder();
    let [path, other] = ["x", "y"].map(|name| folder.path().join(name));
    fs::write(&path, "old").unwrap();
    fs::hard_link(&path, &other).unwrap();
    let mut open = File::open(&path).unwrap();
    write_tensors(&path, &[("x", &[1], &[1.0])]).unwrap();
    let mut text = String::new();
    open.read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), fs::read_to_string(other).unwrap().as_str()), ("old", "old"));
    assert_eq!(*TensorFile::from_file(path).unwrap().tensor("x").unwrap(), [1.0]);
}

#[test]
fn links_are_followed_whether_they_lead_to_a_file_or_not() {
    let folder = folder();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let [target, link, chain] = [inner.join("target"), folder.path().join("link"), folder.path().join("chain")];
    symlink("inner/target", &link).unwrap();
    symlink(&link, &chain).unwrap();
    for writer in WRITERS {
        let expected = written(writer, folder.path());
        for old in [None, Some("old")] {
            if let Some(old) = old {
                fs::write(&target, old).unwrap();
                set_mode(&target, 0o600);
            }
            writer(&chain).unwrap();
            assert!(fs::read(&target).unwrap() == expected);
            assert!(old.is_none() || mode(&target) == 0o600);
            assert!([&link, &chain].iter().all(|link| fs::symlink_metadata(link).unwrap().is_symlink()));
        }
        fs::remove_file(&target).unwrap();
    }
    assert_eq!(names(folder.path()), ["chain", "inner", "link"]);
}

/// A device to write to. Root could replace the machine's own, as a program that is wrong would do: root gets a private
/// one, or none where that is not allowed.
fn device(folder: &Path, name: &str, minor: &str) -> Option<PathBuf> {
    let private = folder.join(name);
    if fs::metadata(folder).unwrap().uid() != 0 {
        return Some(Path::new("/dev").join(name));
    }
    let made = Command::new("mknod").arg(&private).args(["c", "1", minor]).status();
    let usable = made.is_ok_and(|made| made.success()) && File::options().write(true).open(&private).is_ok();
    if !usable {
        eprintln!("no private device can be made here, and {name} is not tested");
    }
    usable.then_some(private)
}

#[test]
fn devices_are_written_through() {
    let folder = folder();
    let [null, full] = [("null", "3"), ("full", "7")].map(|(name, minor)| device(folder.path(), name, minor));
    for writer in WRITERS {
        if let Some(null) = &null {
            let before = fs::metadata(null).unwrap();
            assert!(writer(null).unwrap() > 0);
            let after = fs::symlink_metadata(null).unwrap();
            assert!(after.file_type().is_char_device());
            assert_eq!((before.ino(), before.mode(), before.rdev()), (after.ino(), after.mode(), after.rdev()));
            assert!(!is_same_file(null, null));
        }
        if let Some(full) = full.as_ref().filter(|_| cfg!(target_os = "linux")) {
            let error = writer(full).unwrap_err().to_string();
            let words = format!("{}: cannot write: No space left on device", full.display());
            assert!(error.starts_with(&words), "{error}");
        }
    }
}

#[test]
fn a_pipe_gets_everything_or_nothing() {
    let folder = folder();
    let path = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let read = |path: PathBuf| std::thread::spawn(move || fs::read(path).unwrap());
    for writer in WRITERS {
        let expected = written(writer, folder.path());
        let reader = read(path.clone());
        writer(&path).unwrap();
        assert!(reader.join().unwrap() == expected);
        assert!(fs::symlink_metadata(&path).unwrap().file_type().is_fifo());
    }
    let reader = read(path.clone());
    let mut output = Output::create(&path).unwrap();
    output.write_all(b"half of").unwrap();
    drop(output);
    assert_eq!(reader.join().unwrap(), b"");
    // Nor is a pipe read, which would wait for ever.
    assert!(TensorFile::from_file(&path).unwrap_err().to_string().contains("not a regular file"));
}

#[test]
fn what_cannot_be_written_is_said_with_the_users_path() {
    let folder = folder();
    let root = folder.path();
    fs::write(root.join("file"), "old").unwrap();
    symlink("loop", root.join("loop")).unwrap();
    symlink("nowhere/x", root.join("dangling")).unwrap();
    for (name, words) in [
        (".", "is a folder, expected the name of a file"),
        ("missing/x", "missing does not exist; create it"),
        ("new/", "names a folder, expected the name of a file"),
        ("file/x", "Not a directory"),
        ("loop", "its links lead to one another"),
        ("dangling", "nowhere does not exist; create it"),
        (&"n".repeat(300), "File name too long"),
    ] {
        let path = root.join(name);
        for writer in WRITERS {
            let error = writer(&path).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{}: cannot ", path.display())) || name.len() > 255, "{error}");
            assert!(error.contains(words), "{error}");
        }
        assert!(!is_same_file(&path, &root.join("file")));
    }
    let error = Output::create("").unwrap_err().to_string();
    assert!(error.contains("names a folder"), "{error}");
    assert_eq!(names(root), ["dangling", "file", "loop"]);
    assert_eq!(fs::read_to_string(root.join("file")).unwrap(), "old");
}

#[test]
fn nothing_changes_before_the_end() {
    let folder = folder();
    let path = folder.path().join("x");
    fs::write(&path, "old").unwrap();
    let mut output = Output::create(&path).unwrap();
    output.write_all(&[0; 1 << 20]).unwrap();
    assert!(!output.is_stdout());
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    drop(output);
    let wrong: [(&str, &[usize], &[f32]); 1] = [("x", &[2], &[1.0])];
    write_tensors(&path, &wrong).unwrap_err();
    assert_eq!((fs::read_to_string(&path).unwrap().as_str(), names(folder.path())), ("old", vec!["x".into()]));
}

#[test]
fn rows_come_one_by_one() {
    let folder = folder();
    let path = folder.path().join("x");
    let values: Vec<f32> = (0..1 << 17).map(|i| i as f32).collect();
    for rows in [0, 1, 9, 10, 1 << 12] {
        let mut writer = RowWriter::new(Output::create(&path).unwrap(), "\"image\"", &[4, 8]).unwrap();
        values.chunks(32).take(rows).for_each(|row| writer.push(row).unwrap());
        assert_eq!(writer.finish().unwrap(), fs::metadata(&path).unwrap().len());
        let bytes = fs::read(&path).unwrap();
        let (header, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(((header + 8) % 64, metadata.info("\"image\"").unwrap().shape.clone()), (0, vec![rows, 4, 8]));
        assert!(*TensorFile::from_file(&path).unwrap().tensor("\"image\"").unwrap() == values[..32 * rows]);
    }
    // However close to the end of a cache line the header comes.
    for len in 1..64 {
        let name = "x".repeat(len);
        let mut writer = RowWriter::new(Output::create(&path).unwrap(), &name, &[1]).unwrap();
        writer.push(&values[..1000]).unwrap();
        writer.finish().unwrap();
        assert!(*TensorFile::from_file(&path).unwrap().tensor(&name).unwrap() == values[..1000]);
    }
    for row in [&[0][..], &[usize::MAX, 2]] {
        RowWriter::new(Output::create(&path).unwrap(), "x", row).unwrap_err();
    }
    let mut writer = RowWriter::new(Output::create(&path).unwrap(), "x", &[2]).unwrap();
    let error = writer.push(&[1.0]).unwrap_err().to_string();
    assert!(error.contains("expected rows of 2 values, found 1 values"), "{error}");
}

#[test]
fn one_file_has_many_names() {
    let folder = folder();
    let root = folder.path();
    let [file, other] = ["file", "other"].map(|name| root.join(name));
    fs::write(&file, "x").unwrap();
    fs::write(&other, "x").unwrap();
    fs::hard_link(&file, root.join("hard")).unwrap();
    symlink("file", root.join("soft")).unwrap();
    fs::create_dir(root.join("folder")).unwrap();
    symlink("folder", root.join("way")).unwrap();
    symlink("../new", root.join("folder/dangling")).unwrap();
    let relative = root.join("folder/../file");
    for name in [&file, &root.join("hard"), &root.join("soft"), &root.join("way/../soft"), &relative] {
        assert!(is_same_file(name, &file) && is_same_file(&file, name), "{}", name.display());
        assert!(!is_same_file(name, &other));
    }
    let new = root.join("new");
    for name in ["new", "./new", "way/../new", "way/dangling"] {
        assert!(is_same_file(&root.join(name), &new), "{name}");
    }
    assert!(!is_same_file(&root.join("way/new"), &new));
    assert!(!is_same_file(&new, &root.join("newer")));
    assert!(!is_same_file(root, root));
}

/// This program again, as a process of its own that runs only [`child`].
fn again(program: &Path, action: &str, path: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .args(["child", "--exact", "--ignored", "--nocapture"])
        .env("OUTPUT_ACTION", action)
        .env("OUTPUT_PATH", path);
    command.stdin(Stdio::null()).stderr(Stdio::inherit());
    command
}

/// None in an emulator of another processor, whose programs the system cannot start.
fn this_program() -> Option<PathBuf> {
    let program = std::env::current_exe().unwrap();
    let starts =
        Command::new(&program).arg("--list").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    if !starts {
        eprintln!("not tested: this program cannot start itself here");
    }
    starts.then_some(program)
}

/// Not a test, but what other tests start as a process.
#[test]
#[ignore = "started by other tests, as a process of its own"]
fn child() {
    let action = std::env::var("OUTPUT_ACTION").unwrap();
    let path = PathBuf::from(std::env::var_os("OUTPUT_PATH").unwrap());
    match action.as_str() {
        "write" => {
            let output = Output::create(&path).unwrap();
            let is_stdout = output.is_stdout();
            output.write_tensors(&[("x", &[2], &[1.0, 2.0])]).unwrap();
            eprintln!("after");
            if is_stdout {
                println!("is standard output");
            }
        }
        "wait" => {
            let mut output = Output::create(&path).unwrap();
            output.write_all(&[0; 1 << 20]).unwrap();
            println!("writing");
            std::thread::sleep(std::time::Duration::from_secs(600));
        }
        "refuse" => println!("refused: {}", write_tensors(&path, &[("x", &[2048], &[1.0; 2048])]).unwrap_err()),
        action => panic!("{action}"),
    }
}

fn contains(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}

#[test]
fn standard_output_gets_the_file() {
    let Some(this_program) = this_program() else { return };
    let folder = folder();
    let expected = written(WRITERS[2], folder.path());
    // As `/dev/stdout` and `/dev/stderr` are, which root could replace.
    let [stdout, stderr] = ["1", "2"].map(|number| {
        let link = folder.path().join(number);
        symlink(Path::new("/dev/fd").join(number), &link).unwrap();
        link
    });
    for (path, is_stdout) in [(&stdout, true), (&stderr, false)] {
        let output = again(&this_program, "write", path).stderr(Stdio::piped()).output().unwrap();
        assert!(output.status.success());
        assert_eq!(contains(&output.stdout, &expected), is_stdout);
        assert_eq!(contains(&output.stderr, &expected), !is_stdout);
        assert_eq!(contains(&output.stdout, b"is standard output"), is_stdout);
        // Where it is a file, what is there already stays, and what follows comes after it.
        let log_path = folder.path().join("log");
        let mut log = File::create(&log_path).unwrap();
        log.write_all(b"before").unwrap();
        let mut child = again(&this_program, "write", path);
        if is_stdout {
            child.stdout(log)
        } else {
            child.stderr(log).stdout(Stdio::null())
        };
        assert!(child.status().unwrap().success());
        let log = fs::read(&log_path).unwrap();
        assert!(log.starts_with(b"before") && contains(&log, &expected) && log.len() >= expected.len() + 12);
        assert!(contains(&log, if is_stdout { b"is standard output" } else { b"after" }));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn any_open_file_can_be_written_to() {
    use std::os::fd::AsRawFd;
    let folder = folder();
    let expected = written(WRITERS[2], folder.path());
    let path = folder.path().join("x");
    fs::write(&path, "before").unwrap();
    let open = File::open(&path).unwrap();
    write_tensors(format!("/proc/self/fd/{}", open.as_raw_fd()), &[("x", &[2], &[1.0, 2.0])]).unwrap();
    assert!(fs::read(&path).unwrap() == [b"before", &expected[..]].concat());
}

/// Waits until the child is in the middle of its work.
fn wait_until_writing(child: &mut Child) {
    let mut stdout = child.stdout.take().unwrap();
    let mut text = Vec::new();
    while !contains(&text, b"writing") {
        let mut byte = [0];
        stdout.read_exact(&mut byte).unwrap();
        text.extend(byte);
    }
}

#[test]
fn a_process_that_is_killed_leaves_nothing_behind() {
    let Some(this_program) = this_program() else { return };
    let folder = folder();
    let path = folder.path().join("x");
    fs::write(&path, "old").unwrap();
    for signal in ["INT", "TERM", "KILL"] {
        let mut child = again(&this_program, "wait", &path).stdout(Stdio::piped()).spawn().unwrap();
        wait_until_writing(&mut child);
        let unnamed = names(folder.path()) == ["x"];
        let [signal_flag, process] = [format!("-{signal}"), child.id().to_string()];
        assert!(Command::new("kill").args([signal_flag, process]).status().unwrap().success());
        let status: ExitStatus = child.wait().unwrap();
        assert!(!status.success());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        if unnamed {
            assert_eq!(names(folder.path()), ["x"], "{signal}");
        } else {
            eprintln!("this file system has no unnamed files, so that {signal} leaves one with a name");
        }
    }
}

#[test]
fn a_full_disk_leaves_the_old_file() {
    let Some(this_program) = this_program() else { return };
    let folder = folder();
    let path = folder.path().join("x");
    fs::write(&path, "old").unwrap();
    // A limit of 512 or 1024 bytes on the size of files, and no signal when it is reached.
    let script = "trap '' XFSZ; ulimit -f 1; exec \"$0\" child --exact --ignored --nocapture";
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(&this_program).env("OUTPUT_ACTION", "refuse").env("OUTPUT_PATH", &path);
    let output = shell.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains(&format!("refused: {}: cannot write: File too large", path.display())), "{text}");
    assert_eq!((fs::read_to_string(&path).unwrap().as_str(), names(folder.path())), ("old", vec!["x".into()]));
}

/// Root may write to everything: as root, this runs as a user who may not.
#[test]
fn protected_files_and_folders_are_refused() {
    let Some(this_program) = this_program() else { return };
    let folder = folder();
    let program = folder.path().join("program");
    fs::copy(this_program, &program).unwrap();
    let [closed, open] = ["closed", "open"].map(|name| folder.path().join(name));
    fs::create_dir(&closed).unwrap();
    fs::create_dir(&open).unwrap();
    for (path, mode) in [(&program, 0o755), (&closed, 0o555), (&open, 0o777), (&folder.path().into(), 0o755)] {
        set_mode(path, mode);
    }
    let protected = open.join("protected");
    fs::write(&protected, "old").unwrap();
    set_mode(&protected, 0o444);
    for path in [protected, closed.join("new")] {
        let mut command = again(&program, "refuse", &path);
        if fs::metadata(folder.path()).unwrap().uid() == 0 {
            command.uid(65534).gid(65534);
        }
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(&format!("refused: {}: cannot create: Permission denied", path.display())), "{text}");
    }
    assert_eq!(names(&open), ["protected"]);
    assert_eq!(fs::read_to_string(open.join("protected")).unwrap(), "old");
    set_mode(&closed, 0o755);
}
