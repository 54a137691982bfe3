//! Reading the metadata entry `config`: every key checked by itself, then the whole; all problems in one report.

mod family;
mod images;
mod swin;
mod values;
mod vit;

use ::vit::Config;

pub(crate) use self::family::problem_of;
pub(crate) use self::images::{IMAGE_KEYS, Said};
use crate::json::for_each_entry;
use crate::keys::Value as _;
use crate::text::{nearest, printable};
use crate::{Problem, ProblemKind, Report};
use family::{Family, SHARED_KEYS};
use serde_json::value::RawValue;
use values::Value;

/// Keys without a default; and the family's own for the number of blocks.
const REQUIRED: [&str; 3] = ["arch", "dim", "heads"];
/// The key that says whether factors of LayerScale are among the tensors. It is about the file, not about the model.
const LAYER_SCALE: &str = "layer_scale";
/// Unknown keys that are told one by one.
const SHOWN: usize = 20;

type New = fn() -> Box<dyn Family>;

/// The families, each with its word of `arch`.
const FAMILIES: [(&str, New); 2] = [(family::PLAIN, vit::new), (family::SWIN, swin::new)];

/// An empty configuration of the family that `arch` names; where it names none, of the one that the other keys suit.
fn named_in(text: &str) -> Box<dyn Family> {
    let families = FAMILIES.map(|(arch, new)| (arch, new().depth_key(), new));
    let (mut named, mut suiting) = (None, None);
    // What cannot be read is told when the keys are.
    let _ = for_each_entry(text, &mut |key, value| {
        let word: Option<String> = if key == "arch" { serde_json::from_str(value.get()).ok() } else { None };
        for (arch, depth_key, new) in families {
            if word.as_deref() == Some(arch) {
                named = Some(new);
            }
            if depth_key == key {
                suiting = Some(new);
            }
        }
    });
    named.or(suiting).unwrap_or(FAMILIES[0].1)()
}

/// What the entry says; unless reading it reported problems, its configuration is valid.
pub(crate) struct Entry {
    model: Box<dyn Family>,
    said: Said,
    layer_scale: bool,
    seen: Vec<&'static str>,
    unknown: Vec<String>,
    unknown_count: usize,
}

/// Keys of the description's family, all that may be set in it: the family itself is not among them.
pub(crate) fn settable_keys(text: &str) -> Vec<&'static str> {
    Entry::new(named_in(text)).keys().filter(|key| *key != "arch" && *key != LAYER_SCALE).collect()
}

/// A key as what it is here, if it is about the model and not about images.
pub(crate) fn model_key(key: &str) -> Option<&'static str> {
    let plain = vit::new();
    let swin = swin::new();
    let keys = SHARED_KEYS.iter().chain(plain.keys()).chain(swin.keys());
    keys.copied().find(|known| *known == key)
}

/// Whether a description that does not have the key takes its value from the others.
pub(crate) fn follows(key: &str) -> bool {
    key != "name" && IMAGE_KEYS.contains(&key)
}

/// Reads the entry, key by key.
pub(crate) fn read(text: &str, report: &mut Report) -> Entry {
    let mut entry = Entry::new(named_in(text));
    let read = for_each_entry(text, &mut |key, text| entry.set_key(Value { key: &key, text, report }));
    match read {
        Ok(()) => entry.check_whole(report),
        Err(error) => report.push(Problem::new(ProblemKind::Config, "config", "a JSON object", error)),
    }
    entry
}

/// What one of [`IMAGE_KEYS`] is set to: JSON, or a string where JSON cannot read it.
pub(crate) fn set_said(said: &mut Said, key: &str, value: &str, report: &mut Report) {
    let text = json_or_string(value);
    said.set(Value { key, text: &text, report });
}

/// A setting's value as JSON.
pub(crate) fn json_or_string(value: &str) -> Box<RawValue> {
    let json = serde_json::from_str::<Box<RawValue>>(value);
    json.or_else(|_| serde_json::value::to_raw_value(value)).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

impl Entry {
    fn new(model: Box<dyn Family>) -> Self {
        Entry {
            model,
            said: Said::default(),
            layer_scale: false,
            seen: Vec::new(),
            unknown: Vec::new(),
            unknown_count: 0,
        }
    }

    /// Every key that has a meaning.
    fn keys(&self) -> impl Iterator<Item = &'static str> {
        SHARED_KEYS.into_iter().chain(self.model.keys().iter().copied()).chain(self.scale_key()).chain(IMAGE_KEYS)
    }

    fn set_key(&mut self, mut value: Value) {
        let Some(key) = self.keys().find(|known| *known == value.key) else { return self.set_unknown(value.key) };
        if self.seen.contains(&key) {
            value.report.push(value.problem("a key that occurs once"));
        } else {
            self.seen.push(key);
        }
        match key {
            LAYER_SCALE => self.layer_scale = value.switch().unwrap_or(false),
            _ if IMAGE_KEYS.contains(&key) => self.said.set(value),
            _ => self.model.set(value),
        }
    }

    /// Swin has no LayerScale.
    fn scale_key(&self) -> Option<&'static str> {
        (self.model.depth_key() == "depth").then_some(LAYER_SCALE)
    }

    /// Whether the file is said to have the factors of LayerScale, which are multiplied into other tensors.
    pub(crate) fn layer_scale(&self) -> bool {
        self.layer_scale
    }

    fn set_unknown(&mut self, key: &str) {
        self.unknown_count += 1;
        if self.unknown.len() < SHOWN {
            self.unknown.push(key.into());
        }
    }

    /// Required keys, then what one key demands of another.
    fn check_whole(&self, report: &mut Report) {
        let required = REQUIRED.into_iter().chain([self.model.depth_key()]);
        for key in required.filter(|key| !self.seen.contains(key)) {
            let problem = Problem::new(ProblemKind::Config, key, "a value: the key is required", "none");
            report.push(problem.near(nearest(key, self.unknown.iter().map(String::as_str))));
        }
        self.model.check(report);
        self.said.check(&self.model.family(), report);
    }

    /// The configuration, of which nothing has been built yet.
    ///
    /// # Panics
    /// If reading has reported problems.
    pub(crate) fn config(&self) -> Config {
        Config::new(self.model.family()).expect("an impossible configuration has been reported")
    }

    /// The configuration, what is said about images, and what to warn about.
    pub(crate) fn finish(self) -> (Config, Said, Vec<String>) {
        let warnings = self.warnings();
        (self.config(), self.said, warnings)
    }

    fn warnings(&self) -> Vec<String> {
        let near = |key: &str| nearest(key, self.keys()).map_or(String::new(), |near| format!("; nearest: `{near}`"));
        let warning = |key: &String| format!("config: key `{}` is unknown and ignored{}", printable(key), near(key));
        let mut warnings: Vec<String> = self.unknown.iter().map(warning).collect();
        if self.unknown_count > SHOWN {
            warnings.push(format!("config: {} more unknown keys are ignored", self.unknown_count - SHOWN));
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Description;

    #[test]
    fn every_built_in_model_is_described_and_read_back() {
        for name in Config::names() {
            let config = Config::named(name).unwrap();
            let text = Description::new(config).to_json();
            let mut report = Report::new(name);
            let entry = read(&text, &mut report);
            assert_eq!((entry.config(), report.total()), (config, 0), "{text}");
            let (_, said, warnings) = entry.finish();
            let description = said.clone().describe(config);
            assert_eq!((said.assumed(&description), warnings), (None, vec![]), "{name}");
            assert_eq!(description, Description::new(config), "{name}");
        }
        assert_eq!(Config::names().len(), 22);
    }
}
