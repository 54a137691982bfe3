//! What whoever loads a model says about it, beside what its file says.

use vit::Config;

use crate::config::{self, IMAGE_KEYS, Said};
use crate::text::{alternatives, nearest, printable};
use crate::{Description, Error, Problem, ProblemKind, Report};

/// The options of a [`Loader`](crate::Loader).
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// The model's name, for a file that does not describe itself.
    pub arch: Option<String>,
    /// Heads of a plain model, for a file that does not describe itself.
    pub heads: Option<usize>,
    /// Whether positions are resampled, for images of that size or of the one that the description names.
    pub positions: Option<Option<usize>>,
    /// Under which prefix the model's tensors are, if several are in the file.
    pub prefix: Option<String>,
    /// Patterns of tensors that are left out.
    pub ignored: Vec<String>,
    /// Keys of the description about images and classes, with their values.
    pub settings: Vec<(String, String)>,
}

/// A description with what was warned about and assumed on the way.
#[derive(Debug)]
pub(crate) struct Described {
    pub description: Description,
    pub warnings: Vec<String>,
    pub assumed: Vec<String>,
}

impl Options {
    /// Takes a setting; the last one of a key counts.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        self.settings.retain(|(set, _)| set != key);
        self.settings.push((key.into(), value.into()));
    }

    /// The description of a model of that configuration: what the settings say wins over what the file says, and a
    /// warning tells where they differ.
    pub(crate) fn describe(&self, config: Config, file: Said, mut warnings: Vec<String>) -> Result<Described, Error> {
        let settings = self.said(&config)?;
        let differ = |key: &&str| self.settings.iter().any(|(set, _)| set == key);
        for key in settings.contradictions(&file).into_iter().filter(differ) {
            warnings.push(format!("{key} is set, and wins over what the file says"));
        }
        let said = settings.or(file);
        let description = said.clone().describe(config);
        let assumed = said.assumed(&description).into_iter().collect();
        Ok(Described { description, warnings, assumed })
    }

    /// The first option that is about a checkpoint's tensors, by the program's flag.
    pub(crate) fn about_tensors(&self) -> Option<&'static str> {
        let given = [
            ("--prefix", self.prefix.is_some()),
            ("--ignore", !self.ignored.is_empty()),
            ("--heads", self.heads.is_some()),
            ("--resize-positions", self.positions.is_some()),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag)
    }

    /// The warning about a model's name that a file makes needless by describing itself.
    pub(crate) fn ignored_arch(&self) -> Option<String> {
        let name = self.arch.as_deref().map(printable)?;
        Some(format!("arch {name} is ignored: the file describes itself"))
    }

    fn said(&self, config: &Config) -> Result<Said, Error> {
        let advice = format!("what can be set: {}", alternatives(IMAGE_KEYS));
        let mut report = Report::new("settings").advising(advice);
        let mut said = Said::default();
        for (key, value) in &self.settings {
            if IMAGE_KEYS.contains(&&**key) {
                config::set_said(&mut said, key, value, &mut report);
            } else {
                let problem = Problem::new(ProblemKind::Config, key, "a key that can be set", printable(value));
                report.push(problem.near(nearest(key, IMAGE_KEYS)));
            }
        }
        said.check(config.family(), &mut report);
        if report.total() == 0 { Ok(said) } else { Err(Error::Setting(Box::new(report))) }
    }
}
