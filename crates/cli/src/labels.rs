//! Files with the names of a model's classes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;

use crate::text::shown;

/// Most bytes that are read: a thousand classes take some 30 KB.
const MAX_BYTES: u64 = 16 << 20;

/// Most classes that numbers in a file may make room for.
const MAX_CLASSES: usize = 1 << 20;

/// The labels in a file, as a JSON list of strings and nulls.
///
/// The file is a text with a line for each class, in order; or JSON: a list of names, or an object from class numbers to
/// names (transformers' `id2label`) or to lists that end with the name (Keras' `imagenet_class_index.json`).
pub(crate) fn read(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    let file = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    file.with_context(|| format!("{}: cannot be read; check the path and its permissions", shown(path)))?;
    let labels = if bytes.len() as u64 > MAX_BYTES {
        Err(anyhow!("is longer than {} MiB", MAX_BYTES >> 20))
    } else {
        String::from_utf8(bytes).context("is not UTF-8 text").and_then(|text| parse(&text))
    };
    let labels = labels.with_context(|| {
        format!("{}: is no file of labels, expected a name a line, or a JSON list of names", shown(path))
    })?;
    Ok(Value::from(labels).to_string())
}

fn parse(text: &str) -> Result<Vec<Value>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let labels = match text.trim_start().chars().next() {
        Some('[') => serde_json::from_str::<Vec<Value>>(text)?,
        Some('{') => by_number(serde_json::from_str(text)?)?,
        _ => lines(text),
    };
    ensure!(!labels.is_empty(), "there is no name in it");
    let odd = labels.iter().position(|label| !label.is_string() && !label.is_null());
    ensure!(odd.is_none(), "the entry of class {} is no name", odd.unwrap_or(0));
    Ok(labels)
}

/// A line that is empty is a class without a name, unless nothing follows it.
fn lines(text: &str) -> Vec<Value> {
    let name = |line: &str| if line.trim().is_empty() { Value::Null } else { line.trim().into() };
    text.trim_end().lines().map(name).collect()
}

fn by_number(entries: BTreeMap<String, Value>) -> Result<Vec<Value>> {
    let mut labels = Vec::new();
    for (key, value) in entries {
        let class = key.parse().ok().filter(|class| *class < MAX_CLASSES);
        let class: usize = class.with_context(|| format!("the key {key:?} is no class number"))?;
        if labels.len() <= class {
            labels.resize(class + 1, Value::Null);
        }
        labels[class] = match value {
            Value::Array(names) => names.last().cloned().unwrap_or_default(),
            name => name,
        };
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, String> {
        parse(text).map(|labels| Value::from(labels).to_string()).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn labels_are_read_as_people_have_them() {
        let two = Ok(r#"["cat","dog, hound"]"#.to_string());
        for text in [
            "cat\ndog, hound\n",
            "\u{feff}cat\r\n dog, hound\r\n\r\n",
            r#"["cat", "dog, hound"]"#,
            r#" {"1": "dog, hound", "0": "cat"}"#,
            r#"{"0": ["n01", "cat"], "1": ["n02", "dog, hound"]}"#,
        ] {
            assert_eq!(parsed(text), two, "{text}");
        }
        assert_eq!(parsed("a\n\nb"), Ok(r#"["a",null,"b"]"#.into()));
        assert_eq!(parsed(r#"{"2": "b", "10": "c"}"#).unwrap().matches("null").count(), 9);
    }

    #[test]
    fn what_holds_no_labels_is_refused() {
        for (text, found) in [
            ("", "no name"),
            (" \n\n", "no name"),
            ("[]", "no name"),
            ("[\"a\", 1]", "class 1 is no name"),
            ("[\"a\"", "EOF"),
            (r#"{"a": "b"}"#, "\"a\" is no class number"),
            (r#"{"99999999999": "b"}"#, "no class number"),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.contains(found), "{text}: {error}");
        }
    }
}
