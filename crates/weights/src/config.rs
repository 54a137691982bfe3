//! Reading the metadata entry `config`: every key checked by itself, then the whole; all problems in one report.

mod family;
mod swin;
mod values;
mod vit;

use ::vit::Config;

pub(crate) use self::family::problem_of;
use crate::json::for_each_entry;
use crate::text::{nearest, printable};
use crate::{Description, Interpolation, Preparation, Problem, ProblemKind, Report};
use family::{Family, SHARED_KEYS};
use values::{Value, set};

/// Keys that say what the model and its classes are called and how images are prepared.
const IMAGE_KEYS: [&str; 7] = ["name", "labels", "resize", "crop_pct", "interpolation", "mean", "std"];
/// Keys without a default; and the family's own for the number of blocks.
const REQUIRED: [&str; 3] = ["arch", "dim", "heads"];
/// Unknown keys that are told one by one.
const SHOWN: usize = 20;

/// What the entry says; unless reading it reported problems, its configuration is valid.
pub(crate) struct Entry {
    model: Box<dyn Family>,
    name: Option<String>,
    labels: Option<Vec<Option<String>>>,
    resize: Option<usize>,
    crop_pct: Option<f64>,
    interpolation: Interpolation,
    mean: Option<Vec<f32>>,
    std: Option<Vec<f32>>,
    seen: Vec<&'static str>,
    unknown: Vec<String>,
    unknown_count: usize,
}

/// Keys of the description's family, all that may be set in it: the family itself is not among them.
pub(crate) fn settable_keys(text: &str) -> Vec<&'static str> {
    Entry::new(family::named_in(text)).keys().filter(|key| *key != "arch").collect()
}

/// Whether a description that does not have the key takes its value from the others.
pub(crate) fn follows(key: &str) -> bool {
    key != "name" && IMAGE_KEYS.contains(&key)
}

/// Reads the entry, key by key.
pub(crate) fn read(text: &str, report: &mut Report) -> Entry {
    let mut entry = Entry::new(family::named_in(text));
    let read = for_each_entry(text, &mut |key, text| entry.set_key(Value { key: &key, text, report }));
    match read {
        Ok(()) => entry.check_whole(report),
        Err(error) => report.push(Problem::new(ProblemKind::Config, "config", "a JSON object", error)),
    }
    entry
}

impl Entry {
    fn new(model: Box<dyn Family>) -> Self {
        Entry {
            model,
            name: None,
            labels: None,
            resize: None,
            crop_pct: None,
            interpolation: Interpolation::default(),
            mean: None,
            std: None,
            seen: Vec::new(),
            unknown: Vec::new(),
            unknown_count: 0,
        }
    }

    /// Every key that has a meaning.
    fn keys(&self) -> impl Iterator<Item = &'static str> {
        SHARED_KEYS.into_iter().chain(self.model.keys().iter().copied()).chain(IMAGE_KEYS)
    }

    fn set_key(&mut self, value: Value) {
        let Some(key) = self.keys().find(|known| *known == value.key) else { return self.set_unknown(value.key) };
        if self.seen.contains(&key) {
            value.report.push(value.problem("a key that occurs once"));
        } else {
            self.seen.push(key);
        }
        if IMAGE_KEYS.contains(&key) { self.set_image_key(value) } else { self.model.set(value) }
    }

    fn set_image_key(&mut self, mut value: Value) {
        match value.key {
            "name" => self.name = value.take("a string or null").flatten(),
            "labels" => self.labels = value.take("a list of strings and nulls"),
            "resize" => self.resize = value.size(Preparation::MAX_SIDE),
            "crop_pct" => self.crop_pct = value.positive(),
            "mean" => self.mean = value.finite_list(),
            "std" => self.std = value.positive_list(),
            _ => set(&mut self.interpolation, value.word(Interpolation::ALL.map(|filter| (filter.name(), filter)))),
        }
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
        self.check_lists(report);
    }

    fn check_lists(&self, report: &mut Report) {
        let (classes, channels) = (self.config().num_classes(), self.config().in_channels());
        let mut check = |key, len: Option<usize>, expected: usize, of| {
            let judged = report.problems().iter().all(|problem| problem.name != of);
            if let Some(len) = len.filter(|len| judged && *len != expected) {
                let expected = format!("{expected} values, as {of} says");
                report.push(Problem::new(ProblemKind::Config, key, expected, len.to_string()));
            }
        };
        check("labels", self.labels.as_ref().map(Vec::len), classes, "num_classes");
        check("mean", self.mean.as_ref().map(Vec::len), channels, "in_channels");
        check("std", self.std.as_ref().map(Vec::len), channels, "in_channels");
        if let Some(part) = self.crop_pct.filter(|_| !(1..=Preparation::MAX_SIDE).contains(&self.resize())) {
            let expected = format!("a part of the image that makes resize 1 to {}", Preparation::MAX_SIDE);
            report.push(Problem::new(ProblemKind::Config, "crop_pct", expected, part.to_string()));
        }
    }

    fn resize(&self) -> usize {
        let of_part =
            || Preparation::resize_for(self.config().image_size(), self.crop_pct.unwrap_or(Preparation::CROP_PCT));
        self.resize.unwrap_or_else(of_part)
    }

    /// The configuration, of which nothing has been built yet.
    pub(crate) fn config(&self) -> Config {
        self.model.config()
    }

    /// Builds what the entry describes, once the tensors have shown its sizes to be true; and what to warn about.
    pub(crate) fn finish(self) -> (Description, Vec<String>) {
        let (resize, warnings) = (self.resize(), self.warnings());
        let mut description = Description::new(self.config());
        description.name = self.name;
        description.labels = self.labels.unwrap_or_default();
        let preparation = &mut description.preparation;
        preparation.resize = resize;
        preparation.interpolation = self.interpolation;
        set(&mut preparation.mean, self.mean);
        set(&mut preparation.std, self.std);
        (description, warnings)
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

    #[test]
    fn every_built_in_model_is_described_and_read_back() {
        for name in Config::names() {
            let config = Config::named(name).unwrap();
            let text = Description::new(config).to_json();
            let mut report = Report::new(name);
            let entry = read(&text, &mut report);
            assert_eq!((entry.config(), report.total()), (config, 0), "{text}");
            assert_eq!(entry.finish(), (Description::new(config), vec![]), "{name}");
        }
        assert_eq!(Config::names().len(), 22);
    }
}
