//! A file's tensors held against those that a model's configuration asks for.

use vit::{Config, TensorName};

use crate::convert::{FLOAT_NAMES, FLOATS, all_finite, describe_non_finite};
use crate::names::Names;
use crate::text::nearest;
use crate::{Error, Problem, ProblemKind, Report, TensorFile, TensorInfo};

/// Every tensor there with its shape and type, and no other; else an error that reports the values' problems as well.
pub(crate) fn check(file: &TensorFile, names: &Names, config: &Config) -> Result<(), Error> {
    let mut report = Report::new(file.label());
    let mut claimed = vec![false; file.tensors().len()];
    config.visit_tensors(&mut |name, shape| match position(file, names, name) {
        None => report.push(missing(names, name, shape)),
        Some(at) => {
            claimed[at] = true;
            check_tensor(&file.tensors()[at], shape, &mut report);
        }
    });
    let unclaimed = || file.tensors().iter().zip(&claimed).filter(|(_, claimed)| !**claimed).map(|(tensor, _)| tensor);
    let extra = || unclaimed().filter(|tensor| !names.is_buffer(&tensor.name));
    extra().for_each(|tensor| {
        report.push(Problem::new(ProblemKind::Extra, &tensor.name, "no such tensor", tensor.describe()))
    });
    if report.total() > 0 {
        suggest(&mut report, &extra().map(|tensor| tensor.name.as_str()).collect::<Vec<_>>());
        check_values(file, names, config, &mut report)?;
    }
    report.into_result()
}

fn position(file: &TensorFile, names: &Names, name: TensorName) -> Option<usize> {
    let name = names.of(name);
    file.tensors().binary_search_by(|tensor| tensor.name.cmp(&name)).ok()
}

fn missing(names: &Names, name: TensorName, shape: &[usize]) -> Problem {
    let expected = format!("{FLOAT_NAMES} {shape:?}");
    Problem::new(ProblemKind::Missing, &names.of(name), expected, "no such tensor")
}

fn check_tensor(tensor: &TensorInfo, shape: &[usize], report: &mut Report) {
    if !FLOATS.contains(&tensor.dtype) {
        report.push(Problem::new(ProblemKind::Type, &tensor.name, FLOAT_NAMES, tensor.dtype.to_string()));
    }
    if !fits(tensor, shape) {
        let found = format!("{:?}", tensor.shape);
        report.push(Problem::new(ProblemKind::Shape, &tensor.name, format!("{shape:?}"), found));
    }
}

/// Whether the tensor has that shape; a rescaling scalar may have no dimension.
fn fits(tensor: &TensorInfo, shape: &[usize]) -> bool {
    let scalar = tensor.name.ends_with(".alpha") || tensor.name.ends_with(".beta");
    tensor.shape == shape || scalar && shape == [1] && tensor.shape.is_empty()
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
pub(crate) fn check_values(
    file: &TensorFile,
    names: &Names,
    config: &Config,
    report: &mut Report,
) -> Result<(), Error> {
    let mut buffer = Vec::new();
    let mut outcome = Ok(());
    config.visit_tensors(&mut |name, _| {
        let tensor = position(file, names, name).map(|at| &file.tensors()[at]);
        let Some(tensor) = tensor.filter(|tensor| outcome.is_ok() && FLOATS.contains(&tensor.dtype)) else { return };
        match file.values(tensor, &mut buffer) {
            Ok(values) => not_finite(&tensor.name, values).into_iter().for_each(|problem| report.push(problem)),
            Err(error) => outcome = Err(error),
        }
    });
    outcome
}

/// The problem of a tensor with NaN or infinite values.
pub(crate) fn not_finite(name: &str, values: &[f32]) -> Option<Problem> {
    let found = || describe_non_finite(values);
    (!all_finite(values)).then(|| Problem::new(ProblemKind::NotFinite, name, "finite values", found()))
}
