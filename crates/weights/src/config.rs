//! Reading the metadata entry `config`: every key checked by itself, then the whole; all problems in one report.

mod values;

use vit::{Config, ConfigError, MAX_DEPTH, MAX_SIZE, Pool, Rescale, VitConfig};

use crate::description::{Description, pool_name, rescale_name};
use crate::json::for_each_entry;
use crate::text::{nearest, printable};
use crate::{Interpolation, Preparation, Problem, ProblemKind, Report};
use values::Value;

/// Every key that has a meaning.
#[rustfmt::skip]
const KEYS: [&str; 24] = [
    "arch", "name", "image_size", "patch_size", "in_channels", "num_classes", "dim", "depth", "heads", "mlp_ratio",
    "qkv_bias", "layer_norm_eps", "tokens", "distilled", "pool", "norm_after_pool", "shuffle", "rescale", "labels",
    "resize", "crop_pct", "interpolation", "mean", "std",
];
const REQUIRED: [&str; 4] = ["arch", "dim", "depth", "heads"];
/// Words of the format that name what a later version computes.
const LATER: [(&str, &str, &str); 3] =
    [("arch", "swin", "vit"), ("tokens", "t2t_performer", "patch"), ("tokens", "t2t_transformer", "patch")];
/// Unknown keys that are told one by one.
const SHOWN: usize = 20;

/// What the entry says; unless reading it reported problems, its configuration is valid.
#[derive(Default)]
pub(crate) struct Entry {
    vit: VitConfig,
    name: Option<String>,
    labels: Option<Vec<Option<String>>>,
    resize: Option<usize>,
    crop_pct: Option<f64>,
    interpolation: Interpolation,
    mean: Option<Vec<f32>>,
    std: Option<Vec<f32>>,
    seen: [bool; KEYS.len()],
    unknown: Vec<String>,
    unknown_count: usize,
}

/// Reads the entry, key by key.
pub(crate) fn read(text: &str, report: &mut Report) -> Entry {
    let mut entry = Entry::default();
    let mut later = None;
    let read = for_each_entry(text, &mut |key, text| {
        let value = Value { key: &key, text, report };
        later = later.take().or_else(|| of_a_later_version(&value));
        entry.set_key(value);
    });
    if let Err(error) = read {
        report.push(Problem::new(ProblemKind::Config, "config", "a JSON object", error));
    } else if let Some(problem) = later {
        // Another family has other keys; what they look like to this one is of no interest.
        *report = Report::new(report.file());
        report.push(problem);
    } else {
        entry.check_whole(report);
    }
    entry
}

fn of_a_later_version(value: &Value) -> Option<Problem> {
    let word: String = serde_json::from_str(value.text.get()).ok()?;
    let (.., only) = LATER.iter().find(|(key, later, _)| *key == value.key && *later == word)?;
    Some(value.problem(format!("\"{only}\", all that this version supports")))
}

impl Entry {
    fn set_key(&mut self, value: Value) {
        let Some(index) = KEYS.iter().position(|known| *known == value.key) else { return self.set_unknown(value.key) };
        if std::mem::replace(&mut self.seen[index], true) {
            value.report.push(value.problem("a key that occurs once"));
        }
        match value.key {
            "name" | "labels" | "resize" | "crop_pct" | "interpolation" | "mean" | "std" => self.set_image_key(value),
            _ => self.set_model_key(value),
        }
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

    fn set_model_key(&mut self, mut value: Value) {
        let vit = &mut self.vit;
        match value.key {
            "arch" => set(&mut (), value.word([("vit", ())])),
            "tokens" => set(&mut (), value.word([("patch", ())])),
            "image_size" => set(&mut vit.image_size, value.size(MAX_SIZE)),
            "patch_size" => set(&mut vit.patch_size, value.size(MAX_SIZE)),
            "in_channels" => set(&mut vit.in_channels, value.size(MAX_SIZE)),
            "num_classes" => set(&mut vit.num_classes, value.size(MAX_SIZE)),
            "dim" => set(&mut vit.dim, value.size(MAX_SIZE)),
            "depth" => set(&mut vit.depth, value.size(MAX_DEPTH)),
            "heads" => set(&mut vit.heads, value.size(MAX_SIZE)),
            "mlp_ratio" => set(&mut vit.mlp_ratio, value.positive()),
            "layer_norm_eps" => set(&mut vit.layer_norm_eps, value.positive()),
            "qkv_bias" => set(&mut vit.qkv_bias, value.switch()),
            "distilled" => set(&mut vit.distilled, value.switch()),
            "norm_after_pool" => set(&mut vit.norm_after_pool, value.switch()),
            "shuffle" => set(&mut vit.shuffle, value.switch()),
            "pool" => set(&mut vit.pool, value.word([Pool::Cls, Pool::Avg].map(|pool| (pool_name(pool), pool)))),
            _ => {
                let words = [Rescale::None, Rescale::Half, Rescale::Learned].map(|r| (rescale_name(r), r));
                set(&mut vit.rescale, value.word(words));
            }
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
        let seen: Vec<&str> = KEYS.iter().zip(self.seen).filter(|(_, seen)| *seen).map(|(key, _)| *key).collect();
        for key in REQUIRED.into_iter().filter(|key| !seen.contains(key)) {
            let problem = Problem::new(ProblemKind::Config, key, "a value: the key is required", "none");
            report.push(problem.near(nearest(key, self.unknown.iter().map(String::as_str))));
        }
        check_possible(self.vit, report);
        self.check_lists(report);
    }

    fn check_lists(&self, report: &mut Report) {
        let (classes, channels) = (self.vit.num_classes, self.vit.in_channels);
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
        let of_part = || Preparation::resize_for(self.vit.image_size, self.crop_pct.unwrap_or(Preparation::CROP_PCT));
        self.resize.unwrap_or_else(of_part)
    }

    /// The configuration, of which nothing has been built yet.
    pub(crate) fn config(&self) -> Config {
        Config::Vit(self.vit)
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
        let near = |key: &str| nearest(key, KEYS).map_or(String::new(), |near| format!("; nearest: `{near}`"));
        let warning = |key: &String| format!("config: key `{}` is unknown and ignored{}", printable(key), near(key));
        let mut warnings: Vec<String> = self.unknown.iter().map(warning).collect();
        if self.unknown_count > SHOWN {
            warnings.push(format!("config: {} more unknown keys are ignored", self.unknown_count - SHOWN));
        }
        warnings
    }
}

/// Reports every impossibility: each is made possible in turn, to find the next.
fn check_possible(mut vit: VitConfig, report: &mut Report) {
    // What is missing has been reported; any value that goes with the others will do.
    vit.depth = vit.depth.max(1);
    vit.heads = vit.heads.max(1);
    if vit.dim == 0 {
        (vit.dim, vit.mlp_ratio) = (vit.heads, 1.0);
    }
    while let Err(error) = Config::Vit(vit).validate() {
        let possible = make_possible(&mut vit, &error);
        if possible || report.total() == 0 {
            report.push(problem_of(&error));
        }
        if !possible {
            break;
        }
    }
}

/// Takes the impossible part out; false if no single key is to blame.
fn make_possible(vit: &mut VitConfig, error: &ConfigError) -> bool {
    match *error {
        ConfigError::NotDivisible { divisor_key: "heads", .. } => vit.heads = 1,
        ConfigError::NotDivisible { divisor_key: "patch_size", .. } => vit.patch_size = vit.image_size,
        ConfigError::NotPositive { key: "mlp_ratio", .. } | ConfigError::OutOfRange { key: "dim * mlp_ratio", .. } => {
            vit.mlp_ratio = 1.0;
        }
        ConfigError::NotPositive { key: "layer_norm_eps", .. } => vit.layer_norm_eps = 1e-6,
        ConfigError::Conflict { .. } => (vit.norm_after_pool, vit.distilled) = (false, false),
        _ => return false,
    }
    true
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

/// What [`Config::validate`] found, in a report's terms.
pub(crate) fn problem_of(error: &ConfigError) -> Problem {
    let new = |key: &str, expected: String, found: String| Problem::new(ProblemKind::Config, key, expected, found);
    match *error {
        ConfigError::OutOfRange { key, value, max } => new(key, format!("1 to {max}"), value.to_string()),
        ConfigError::NotPositive { key, value, max } => {
            new(key, format!("a finite number above 0 and at most {max}"), value.to_string())
        }
        ConfigError::NotDivisible { key, value, divisor_key, divisor } => {
            new(divisor_key, format!("a divisor of {key} {value}"), divisor.to_string())
        }
        ConfigError::Conflict { first, second, why } => {
            new(first.split(' ').next().unwrap_or(first), why.into(), format!("{first} with {second}"))
        }
        ref other => new("config", "a possible configuration".into(), other.to_string()),
    }
}
