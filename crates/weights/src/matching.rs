//! A file's tensors held against those that a model's configuration asks for.

use std::collections::BTreeMap;

use vit::{Config, TensorName};

use crate::contents::{Contents, gamma_of};
use crate::infer;
use crate::names::{Entry, is_buffer, is_unused};
use crate::safetensors::convert::{FLOAT_NAMES, FLOATS};
use crate::text::{nearest, printable};
use crate::{Error, Problem, ProblemKind, Report, TensorInfo};

/// Extra tensors whose patterns the advice lists.
const PATTERNS: usize = 4;

/// Every tensor there with its shape and type, and no other; else an error that reports the values' problems as well.
/// `otherwise` says what to do if the file is of another model.
pub(crate) fn check(
    contents: &Contents,
    config: &Config,
    layer_scale: bool,
    otherwise: impl FnOnce() -> Option<String>,
) -> Result<(), Error> {
    let mut matching = Matching {
        contents,
        report: Report::new(contents.label()),
        claimed: vec![false; contents.shards.tensors().len()],
    };
    let scaled = layer_scale || infer::has_layer_scale(contents);
    config.visit_tensors(&mut |name, shape| matching.check(name, shape, scaled));
    let Matching { mut report, claimed, .. } = matching;
    let extra = extra(contents, &claimed);
    for tensor in &extra {
        report.push(Problem::new(ProblemKind::Extra, &tensor.name, "no such tensor", tensor.describe()));
    }
    if report.total() == 0 {
        return Ok(());
    }
    suggest(&mut report, &extra.iter().map(|tensor| tensor.name.as_str()).collect::<Vec<_>>());
    if let Some(advice) = if report.total() == extra.len() { ignoring(&extra) } else { otherwise() } {
        report = report.advising(advice);
    }
    check_values(contents, config, &mut report)?;
    report.into_result()
}

struct Matching<'c, 'a> {
    contents: &'c Contents<'a>,
    report: Report,
    /// Which of the file's tensors have a place in the model.
    claimed: Vec<bool>,
}

impl Matching<'_, '_> {
    fn check(&mut self, name: TensorName, shape: &[usize], scaled: bool) {
        let name = name.to_string();
        self.check_whole(&name, shape);
        let gamma = gamma_of(&name).filter(|_| scaled && name.ends_with(".weight"));
        if let Some(gamma) = gamma {
            self.check_whole(&gamma, &shape[..1]);
        }
    }

    /// A tensor, whole or each of its parts.
    fn check_whole(&mut self, name: &str, shape: &[usize]) {
        let contents = self.contents;
        if let (Some(positions), "pos_embed", [one, _, channels]) = (contents.positions, name, shape) {
            return self.check_parts(name, &[*one, positions.rows(), *channels]);
        }
        self.check_parts(name, shape);
    }

    fn check_parts(&mut self, name: &str, shape: &[usize]) {
        let contents = self.contents;
        let entries = contents.names.find(name);
        let theirs = contents.names.of(name);
        let parts = theirs.len();
        if parts == 1 {
            return match entries {
                [] => self.missing(&theirs[0], shape),
                [entry, ..] => self.check_one(entry, shape),
            };
        }
        let mut shape = shape.to_vec();
        shape[0] /= parts;
        for (part, theirs) in (1..).zip(&theirs) {
            match entries.iter().find(|entry| entry.part == part) {
                None => self.missing(theirs, &shape),
                Some(entry) => self.check_one(entry, &shape),
            }
        }
    }

    fn missing(&mut self, name: &str, shape: &[usize]) {
        let expected = format!("{FLOAT_NAMES} {shape:?}");
        self.report.push(Problem::new(ProblemKind::Missing, name, expected, "no such tensor"));
    }

    fn check_one(&mut self, entry: &Entry, shape: &[usize]) {
        self.claimed[entry.tensor] = true;
        let tensor = self.contents.shards.info(entry.tensor);
        if !FLOATS.contains(&tensor.dtype) {
            self.report.push(Problem::new(ProblemKind::Type, &tensor.name, FLOAT_NAMES, tensor.dtype.to_string()));
        }
        if !fits(tensor, shape) {
            let found = format!("{:?}", tensor.shape);
            self.report.push(Problem::new(ProblemKind::Shape, &tensor.name, format!("{shape:?}"), found));
        }
    }
}

/// Whether the tensor has that shape; a rescaling scalar may have no dimension.
fn fits(tensor: &TensorInfo, shape: &[usize]) -> bool {
    let scalar = tensor.name.ends_with(".alpha") || tensor.name.ends_with(".beta");
    tensor.shape == shape || scalar && shape == [1] && tensor.shape.is_empty()
}

/// The tensors that the model has no place for, by name.
fn extra<'c>(contents: &'c Contents, claimed: &[bool]) -> Vec<&'c TensorInfo> {
    let names = &contents.names;
    let unclaimed = names
        .entries()
        .iter()
        .filter(|entry| !claimed[entry.tensor] && !is_buffer(&entry.name) && !is_unused(&entry.name));
    let mut extra: Vec<usize> = unclaimed.map(|entry| entry.tensor).chain(names.foreign().iter().copied()).collect();
    extra.sort_unstable();
    extra.into_iter().map(|tensor| contents.shards.info(tensor)).collect()
}

/// How to leave tensors out, for those who know that they are not needed.
fn ignoring(extra: &[&TensorInfo]) -> Option<String> {
    let first = |tensor: &TensorInfo| tensor.name.split_once('.').map(|(first, _)| first.to_string());
    let mut alike: BTreeMap<Option<String>, usize> = BTreeMap::new();
    extra.iter().for_each(|tensor| *alike.entry(first(tensor)).or_default() += 1);
    let mut patterns: Vec<String> = Vec::new();
    for tensor in extra {
        let pattern = match first(tensor) {
            Some(first) if alike.get(&Some(first.clone())).is_some_and(|count| *count > 1) => format!("{first}.*"),
            _ => tensor.name.clone(),
        };
        if patterns.len() <= PATTERNS && !patterns.contains(&pattern) {
            patterns.push(pattern);
        }
    }
    let more = if patterns.len() > PATTERNS { " and so on" } else { "" };
    let flags: Vec<String> = patterns.iter().take(PATTERNS).map(|p| format!("--ignore '{}'", printable(p))).collect();
    Some(format!("the model's own tensors are all there; to load it without the others: {}{more}", flags.join(" ")))
}

/// Names the tensor nearest to each missing or extra one that is written out: a missing one among the extra, and back.
fn suggest(report: &mut Report, extra: &[&str]) {
    let missing = report.problems().iter().filter(|problem| problem.kind == ProblemKind::Missing);
    let missing: Vec<String> = missing.map(|problem| problem.name.clone()).collect();
    for problem in report.problems_mut() {
        let near = match problem.kind {
            ProblemKind::Missing => nearest(&problem.name, extra.iter().copied()),
            ProblemKind::Extra => nearest(&problem.name, missing.iter().map(String::as_str)),
            _ => None,
        };
        problem.nearest = near.map(String::from);
    }
}

/// Reports values that are not finite, in the model's order.
pub(crate) fn check_values(contents: &Contents, config: &Config, report: &mut Report) -> Result<(), Error> {
    let mut buffer = Vec::new();
    let mut outcome = Ok(());
    contents.visit_used(config, &mut |entry| {
        if outcome.is_ok() {
            match contents.not_finite(entry.tensor, &mut buffer) {
                Ok(problem) => problem.into_iter().for_each(|problem| report.push(problem)),
                Err(error) => outcome = Err(error),
            }
        }
    });
    outcome
}
