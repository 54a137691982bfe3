//! A checkpoint as the Hugging Face hub has it: a folder with the weights, in one file or several, and what describes them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use crate::error::display;
use crate::json::for_each_entry;
use crate::shards::Shards;
use crate::text::{alternatives, printable};
use crate::{Error, Problem, ProblemKind, Report, TensorFile};

/// The names that the hub has for weights, for the list of their parts, and for their descriptions.
const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const CONFIG: &str = "config.json";
const PREPROCESSOR: &str = "preprocessor_config.json";

/// More than any description has, in bytes.
const MAX_TEXT: u64 = 64 << 20;
/// More files than any checkpoint is cut into.
const MAX_SHARDS: usize = 1024;

/// A text file that was read.
#[derive(Debug)]
pub(crate) struct Text {
    pub label: String,
    pub text: String,
}

/// The descriptions that are beside a file.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    pub config: Option<Text>,
    pub preprocessor: Option<Text>,
}

/// Opens a file, or a folder's weights, with the descriptions beside it.
pub(crate) fn open(path: &Path) -> Result<(Shards<'static>, Beside), Error> {
    let is_index = path.to_string_lossy().ends_with(".safetensors.index.json");
    let (folder, shards) = if path.is_dir() {
        (path.to_path_buf(), open_folder(path)?)
    } else if is_index {
        (parent(path), shards(&parent(path), path)?)
    } else {
        (parent(path), Shards::single(TensorFile::from_file(path)?))
    };
    // A file that describes itself needs nothing beside it.
    if shards.metadata("config").is_some() {
        return Ok((shards, Beside::default()));
    }
    let config = read_beside(&folder.join(CONFIG))?;
    let preprocessor = if config.is_some() { read_beside(&folder.join(PREPROCESSOR))? } else { None };
    Ok((shards, Beside { config, preprocessor }))
}

fn parent(path: &Path) -> PathBuf {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).into()
}

fn open_folder(folder: &Path) -> Result<Shards<'static>, Error> {
    if folder.join(WEIGHTS).is_file() {
        return TensorFile::from_file(folder.join(WEIGHTS)).map(Shards::single);
    }
    if folder.join(INDEX).is_file() {
        return shards(folder, &folder.join(INDEX));
    }
    Err(no_weights(folder))
}

/// The error about a folder without weights, with what it has instead.
fn no_weights(folder: &Path) -> Error {
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    let ending = |ends: &[&str]| -> Vec<String> {
        let found = names.iter().filter(|name| ends.iter().any(|end| name.ends_with(end)));
        found.take(4).map(|name| display(&folder.join(name))).collect()
    };
    let (safetensors, others) = (ending(&[".safetensors"]), ending(&[".bin", ".pth", ".pt", ".ckpt", ".npz", ".h5"]));
    let advice = match (&safetensors[..], &others[..]) {
        ([], []) => "name a folder as the Hugging Face hub has it, or a .safetensors file".into(),
        ([], others) => format!(
            "{} is of another format: convert it with `python -m shuffle_vit export --arch NAME --checkpoint FILE OUT` (tools/README.md)",
            alternatives(others.iter().map(String::as_str))
        ),
        (files, _) => format!("name one of its files: {}", alternatives(files.iter().map(String::as_str))),
    };
    Error::NoWeights { folder: display(folder), advice }
}

/// The files that an index lists.
fn shards(folder: &Path, index: &Path) -> Result<Shards<'static>, Error> {
    let label = display(index);
    let text = read_text(index)?;
    let mut report = Report::new(&label).advising("fetch all files of the checkpoint again, beside their index".into());
    let names = shard_names(&text, &mut report);
    let mut files = Vec::new();
    for name in &names {
        match TensorFile::from_file(folder.join(name)) {
            Ok(file) => files.push(file),
            Err(Error::Io { source, .. }) => {
                report.push(Problem::new(
                    ProblemKind::Shard,
                    name,
                    "a file of that name in the folder",
                    source.to_string(),
                ));
            }
            Err(error) => return Err(error),
        }
    }
    report.into_result()?;
    Shards::several(display(folder), files)
}

/// The different files in the index's `weight_map`.
fn shard_names(text: &str, report: &mut Report) -> Vec<String> {
    #[derive(Deserialize)]
    struct Index<'a> {
        #[serde(borrow)]
        weight_map: &'a serde_json::value::RawValue,
    }
    let mut names = BTreeSet::new();
    let mut wrong = |name: &str, expected: &str, found: String| {
        report.push(Problem::new(ProblemKind::Config, name, expected, found));
    };
    match serde_json::from_str::<Index>(text) {
        Err(error) => wrong("weight_map", "an object of tensors and files", crate::text::sentence(error)),
        Ok(index) => {
            let read = for_each_entry(
                index.weight_map.get(),
                &mut |tensor, file| match serde_json::from_str::<String>(file.get()) {
                    Ok(file) if is_inside(&file) => {
                        if names.len() <= MAX_SHARDS {
                            names.insert(file);
                        }
                    }
                    _ => wrong(&tensor, "the name of a .safetensors file in the index's folder", printable(file.get())),
                },
            );
            if let Err(error) = read {
                wrong("weight_map", "an object of tensors and files", error);
            } else if names.is_empty() || names.len() > MAX_SHARDS {
                wrong("weight_map", &format!("1 to {MAX_SHARDS} files"), names.len().to_string());
            }
        }
    }
    names.into_iter().take(MAX_SHARDS).collect()
}

/// Whether a path leads to nowhere but the folder or what is in it.
fn is_inside(file: &str) -> bool {
    let parts = || Path::new(file).components();
    !file.is_empty()
        && !file.contains('\\')
        && parts().all(|part| matches!(part, Component::Normal(_)))
        && file.ends_with(".safetensors")
}

/// The text of a file, if there is one of that name.
fn read_beside(path: &Path) -> Result<Option<Text>, Error> {
    if !path.is_file() {
        return Ok(None);
    }
    read_text(path).map(|text| Some(Text { label: display(path), text }))
}

fn read_text(path: &Path) -> Result<String, Error> {
    let fail =
        |error: io::Error| Error::io(&display(path), "read", error, "see that it is a text file that can be read");
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_TEXT + 1).read_to_string(&mut text));
    let len = read.map_err(fail)?;
    if len as u64 > MAX_TEXT {
        return Err(fail(io::Error::new(io::ErrorKind::InvalidData, format!("it has more than {MAX_TEXT} bytes"))));
    }
    Ok(text)
}
