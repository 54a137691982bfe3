//! Running the built program on small models and images.
#![allow(dead_code)] // each test binary uses its part

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use vit::{Config, Level, Rescale, VitConfig};
use weights::{Description, Random, TensorFile};

/// What the program did.
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// The program, in a folder of its own.
pub struct Program {
    folder: TempDir,
}

impl Program {
    pub fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Makes a pipe with a name.
    #[cfg(unix)]
    pub fn fifo(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shuffle-vit"));
        command.current_dir(self.folder.path()).args(args);
        command
    }

    pub fn run(&self, args: &[&str]) -> Done {
        done(self.command(args).output().unwrap())
    }

    /// Standard output of a run that succeeds and has nothing to say on standard error.
    pub fn stdout(&self, args: &[&str]) -> String {
        let (stdout, stderr) = self.success(args);
        assert_eq!(stderr, "", "{args:?}");
        stdout
    }

    /// Standard output and error of a run that succeeds.
    pub fn success(&self, args: &[&str]) -> (String, String) {
        let done = self.run(args);
        assert_eq!(done.code, 0, "{args:?}: {}", done.stderr);
        (done.stdout, done.stderr)
    }

    /// The JSON document that is all of standard output.
    pub fn json(&self, args: &[&str]) -> Value {
        parse(&self.stdout(&[args, &["--json"]].concat()))
    }

    /// The message of a run that fails with this code and prints nothing on standard output.
    pub fn failure(&self, code: i32, args: &[&str]) -> String {
        let done = self.run(args);
        assert_eq!((done.code, done.stdout.as_str()), (code, ""), "{args:?}: {}", done.stderr);
        assert!(!done.stderr.contains("panicked") && !done.stderr.contains("RUST_BACKTRACE"), "{}", done.stderr);
        done.stderr
    }

    /// Writes a small shuffled model with random weights.
    pub fn small_model(&self, name: &str) -> PathBuf {
        self.model(name, &small())
    }

    pub fn model(&self, name: &str, description: &Description) -> PathBuf {
        let path = self.path(name);
        weights::save(&path, description, &mut Random::new(3)).unwrap();
        path
    }

    /// Writes `batch` painted images as `run` reads them, for [`small`].
    pub fn input(&self, name: &str, batch: usize) -> PathBuf {
        let values: Vec<f32> = (0..batch * 3 * 64).map(|i| (i % 251) as f32 / 125.0 - 1.0).collect();
        let path = self.path(name);
        weights::write_tensors(&path, &[("image", &[batch, 3, 8, 8], &values)]).unwrap();
        path
    }
}

pub fn done(output: Output) -> Done {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap_or(-1);
    Done { code, stdout: text(output.stdout), stderr: text(output.stderr) }
}

pub fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The keys of a JSON object, in order of the alphabet.
pub fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// A model of two blocks and five classes, of which three have names.
pub fn small() -> Description {
    let config = VitConfig {
        image_size: 8,
        patch_size: 4,
        num_classes: 5,
        dim: 8,
        depth: 2,
        heads: 2,
        shuffle: true,
        rescale: Rescale::Learned,
        ..VitConfig::default()
    };
    let mut description = Description::new(Config::new(config).unwrap());
    description.labels = ["cat", "dog/wolf", "Ümläut"].map(|label| Some(label.into())).into();
    description.labels.resize(5, None);
    description
}

/// The configuration of [`small`], changed.
pub fn small_with(change: impl FnOnce(VitConfig) -> VitConfig) -> Config {
    let small = small().config;
    let vit::Family::Vit(config) = small.family() else { panic!("it is a plain model") };
    Config::new(change(*config)).unwrap()
}

pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

pub fn sample(name: &str) -> String {
    text(&repository().join("samples").join(name))
}

pub fn text(path: &Path) -> String {
    path.to_str().unwrap().into()
}

/// The bits of a tensor of a file.
pub fn bits(path: &Path, name: &str) -> Vec<u32> {
    tensor(path, name).iter().map(|x| x.to_bits()).collect()
}

pub fn tensor(path: &Path, name: &str) -> Vec<f32> {
    TensorFile::from_file(path).unwrap().tensor(name).unwrap().into_owned()
}

/// The levels of this CPU; it must have those that `KERNELS_REQUIRE` lists.
pub fn levels() -> Vec<Level> {
    let levels: Vec<Level> = Level::available().collect();
    for required in std::env::var("KERNELS_REQUIRE").iter().flat_map(|list| list.split(',')).filter(|l| !l.is_empty()) {
        assert!(levels.iter().any(|level| level.name() == required.trim()), "this CPU lacks {required}");
    }
    println!("levels of this CPU: {levels:?}");
    levels
}

/// A grey image file.
pub fn grey_png(width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let image = image::GrayImage::from_raw(width, height, pixels.to_vec()).unwrap();
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// An IDX file of unsigned bytes.
pub fn idx_file(shape: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, shape.len() as u8];
    shape.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
    bytes.extend(values);
    bytes
}
