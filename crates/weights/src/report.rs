//! Everything wrong with a file, in one message: each problem says what was expected and what was found.

use std::fmt;

use crate::text::printable;

/// Problems written out in full; the rest are counted.
const SHOWN: usize = 20;

/// What is wrong with one tensor or one key of the configuration.
///
/// ```
/// use weights::{Error, ProblemKind, TensorFile};
///
/// let empty = [2, 0, 0, 0, 0, 0, 0, 0, b'{', b'}'];
/// let Err(Error::Invalid(report)) = TensorFile::from_bytes(&empty)?.tensor("image").map(drop) else { panic!() };
/// assert_eq!(report.problems()[0].kind, ProblemKind::Missing);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProblemKind {
    /// The model needs a tensor that the file lacks.
    Missing,
    /// The file has a tensor that the model has no place for.
    Extra,
    /// The shape is another than the configuration gives.
    Shape,
    /// The values are not F32, F16, BF16 or F64.
    Type,
    /// Some values are NaN or infinite.
    NotFinite,
    /// The file's header contradicts itself or the length of the file.
    Header,
    /// A file of a checkpoint that is in several cannot be read.
    Shard,
    /// A key of the configuration has no meaning or no possible value.
    Config,
}

const KINDS: [ProblemKind; 8] = [
    ProblemKind::Shard,
    ProblemKind::Header,
    ProblemKind::Config,
    ProblemKind::Missing,
    ProblemKind::Extra,
    ProblemKind::Shape,
    ProblemKind::Type,
    ProblemKind::NotFinite,
];

impl ProblemKind {
    /// What [`Problem`] says after the tensor's name, and [`Report`] after a count.
    fn words(self) -> &'static str {
        match self {
            ProblemKind::Missing => "missing",
            ProblemKind::Extra => "extra",
            ProblemKind::Shape => "misshapen",
            ProblemKind::Type => "wrongly typed",
            ProblemKind::NotFinite => "not finite",
            ProblemKind::Header => "wrongly declared",
            ProblemKind::Shard => "not to be read",
            ProblemKind::Config => "wrongly set",
        }
    }

    /// What to do about problems of this kind.
    fn advice(self) -> &'static str {
        match self {
            ProblemKind::Header => "the file is truncated, damaged or hostile: fetch or export it again",
            ProblemKind::Shard => "fetch all files of the checkpoint again",
            ProblemKind::Config => "correct the metadata entry `config` and export the file again",
            ProblemKind::NotFinite => "the training diverged or the file is damaged: export an earlier checkpoint",
            _ => "see that `config` (or --arch) describes this checkpoint, or export it again",
        }
    }
}

/// One problem of a file; displays as a line.
///
/// ```
/// # fn example(report: weights::Report) {
/// for problem in report.problems() {
///     println!("{}: {} instead of {}", problem.name, problem.found, problem.expected);
/// }
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// What is wrong.
    pub kind: ProblemKind,
    /// The tensor, or the key of the configuration.
    pub name: String,
    /// What would have been right.
    pub expected: String,
    /// What the file has.
    pub found: String,
    /// The known name or value most like the wrong one.
    pub nearest: Option<String>,
}

impl Problem {
    pub(crate) fn new(kind: ProblemKind, name: &str, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Problem { kind, name: name.into(), expected: expected.into(), found: found.into(), nearest: None }
    }

    pub(crate) fn near(mut self, nearest: Option<&str>) -> Self {
        self.nearest = nearest.map(String::from);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let what = match self.kind {
            ProblemKind::Config => "config key",
            ProblemKind::Shard => "file",
            _ => "tensor",
        };
        write!(f, "{what} `{}` is {}: ", printable(&self.name), self.kind.words())?;
        write!(f, "expected {}, found {}", self.expected, self.found)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; nearest: `{}`", printable(nearest)),
            None => Ok(()),
        }
    }
}

/// All problems of a file: the first 20 written out, the rest counted.
///
/// ```
/// let empty = [2, 0, 0, 0, 0, 0, 0, 0, b'{', b'}'];
/// let file = weights::TensorFile::from_bytes(&empty).unwrap();
/// let error = weights::Loader::new().arch("deit_tiny").checkpoint(file).unwrap_err();
/// let weights::Error::Invalid(report) = error else { panic!("{error}") };
/// assert_eq!((report.total(), report.problems().len()), (152, 20));
/// assert_eq!(report.problems()[0].name, "cls_token");
/// assert!(report.to_string().contains("and 132 more: 132 missing"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    file: String,
    problems: Vec<Problem>,
    hidden: [usize; KINDS.len()],
    advice: Option<String>,
}

impl Report {
    pub(crate) fn new(file: &str) -> Self {
        Report { file: file.into(), problems: Vec::new(), hidden: [0; KINDS.len()], advice: None }
    }

    /// A report that ends in this advice, whatever the problems are.
    pub(crate) fn advising(mut self, advice: String) -> Self {
        self.advice = Some(advice);
        self
    }

    /// The file that the problems were found in.
    ///
    /// ```
    /// # fn example(report: weights::Report) {
    /// eprintln!("something is wrong with {}", report.file());
    /// # }
    /// ```
    pub fn file(&self) -> &str {
        &self.file
    }

    /// How many problems were found.
    ///
    /// ```
    /// # fn example(report: weights::Report) {
    /// let hidden = report.total() - report.problems().len();
    /// # }
    /// ```
    pub fn total(&self) -> usize {
        self.problems.len() + self.hidden.iter().sum::<usize>()
    }

    /// The first 20 problems.
    ///
    /// ```
    /// # fn example(report: weights::Report) {
    /// let names: Vec<&str> = report.problems().iter().map(|problem| &*problem.name).collect();
    /// # }
    /// ```
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    pub(crate) fn problems_mut(&mut self) -> &mut [Problem] {
        &mut self.problems
    }

    /// Keeps what is written out and counts the rest, so that a report never grows with the file.
    pub(crate) fn push(&mut self, problem: Problem) {
        if self.problems.len() < SHOWN {
            return self.problems.push(problem);
        }
        let kinds = KINDS.iter().zip(&mut self.hidden);
        kinds.filter(|(kind, _)| **kind == problem.kind).for_each(|(_, count)| *count += 1);
    }

    fn has(&self, kind: ProblemKind) -> bool {
        let hidden = KINDS.iter().zip(&self.hidden).any(|(k, &count)| *k == kind && count > 0);
        hidden || self.problems.iter().any(|problem| problem.kind == kind)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let total = self.total();
        writeln!(f, "{}: {total} problem{}", printable(&self.file), if total == 1 { "" } else { "s" })?;
        for problem in &self.problems {
            writeln!(f, "  {problem}")?;
        }
        let counts = KINDS.iter().zip(&self.hidden).filter(|(_, count)| **count > 0);
        let counts: Vec<String> = counts.map(|(kind, count)| format!("{count} {}", kind.words())).collect();
        if !counts.is_empty() {
            writeln!(f, "  and {} more: {}", total - self.problems.len(), counts.join(", "))?;
        }
        let first = KINDS.into_iter().find(|kind| self.has(*kind));
        f.write_str(self.advice.as_deref().or(first.map(ProblemKind::advice)).unwrap_or_default())
    }
}
