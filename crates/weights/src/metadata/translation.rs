//! A description in our keys, made of another library's.

use super::object::Object;
use crate::config::{self, Said};
use crate::text::printable;
use crate::told::Told;
use crate::{Error, Report};

/// A description in our keys, made of another's.
pub(super) struct Translation<'o> {
    pub source: &'o Object,
    pub entries: Vec<(&'static str, serde_json::Value)>,
    /// Our keys and theirs, for messages.
    pub keys: Vec<(&'static str, String)>,
    pub warnings: Vec<String>,
}

impl<'o> Translation<'o> {
    pub(super) fn new(source: &'o Object) -> Self {
        Translation { source, entries: Vec::new(), keys: Vec::new(), warnings: Vec::new() }
    }

    /// Sets a key of ours, once more if it is set already.
    pub(super) fn set(&mut self, ours: &'static str, value: impl Into<serde_json::Value>) {
        self.entries.retain(|(key, _)| *key != ours);
        self.entries.push((ours, value.into()));
    }

    /// Takes over what `theirs` is set to, if it is.
    pub(super) fn copy(&mut self, from: &Object, theirs: &str, ours: &'static str) -> bool {
        let value = from.get(theirs).filter(|value| !value.is_null());
        if let Some(value) = value {
            self.set(ours, value.clone());
            self.keys.push((ours, from.name_of(theirs)));
        }
        value.is_some()
    }

    /// As [`Self::copy`], of one number or two equal ones.
    pub(super) fn copy_square(&mut self, from: &Object, theirs: &str, ours: &'static str) -> Result<bool, Error> {
        let side = from.square(theirs)?;
        if let Some(side) = side {
            self.set(ours, side);
            self.keys.push((ours, from.name_of(theirs)));
        }
        Ok(side.is_some())
    }

    /// The description, checked as any other.
    pub(super) fn finish(self, mut said: Said) -> Result<Told, Error> {
        let mut report = Report::new(self.source.label());
        let json: Vec<String> =
            self.entries.iter().map(|(key, value)| format!("{}:{value}", serde_json::Value::from(*key))).collect();
        let entry = config::read(&format!("{{{}}}", json.join(",")), &mut report);
        for problem in report.problems_mut() {
            if let Some((_, theirs)) = self.keys.iter().find(|(ours, _)| *ours == problem.name) {
                problem.name.clone_from(theirs);
            }
        }
        let report = report.advising(format!(
            "correct {}, or move it away and name the model with --arch",
            printable(self.source.label())
        ));
        report.into_result()?;
        let layer_scale = entry.layer_scale();
        let (config, from_entry, mut warnings) = entry.finish();
        said = said.or(from_entry);
        warnings.extend(self.warnings);
        let image_size = Some(config.image_size());
        Ok(Told { config, said, layer_scale, warnings, assumed: Vec::new(), image_size })
    }
}
