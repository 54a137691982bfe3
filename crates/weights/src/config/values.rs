//! Reading one value of the entry: what it must be, or a problem that says so.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use vit::{MAX_STAGES, Stages};

use crate::json::Short;
use crate::keys;
use crate::text::{alternatives, nearest, printable};
use crate::{Problem, ProblemKind, Report};

/// A key and the text of its value, and where problems go.
pub(super) struct Value<'a> {
    pub key: &'a str,
    pub text: &'a RawValue,
    pub report: &'a mut Report,
}

impl Value<'_> {
    pub fn problem(&self, expected: impl Into<String>) -> Problem {
        Problem::new(ProblemKind::Config, self.key, expected, printable(self.text.get()))
    }

    /// A value that JSON reads as a `T` and that passes the test.
    fn check<T: DeserializeOwned>(&mut self, expected: &str, good: impl Fn(&T) -> bool) -> Option<T> {
        let value = serde_json::from_str(self.text.get()).ok().filter(good);
        if value.is_none() {
            self.report.push(self.problem(expected));
        }
        value
    }

    pub fn take<T: DeserializeOwned>(&mut self, expected: &str) -> Option<T> {
        self.check(expected, |_| true)
    }

    pub fn finite_list(&mut self) -> Option<Vec<f32>> {
        self.check("a list of finite numbers", |list: &Vec<f32>| list.iter().all(|x| x.is_finite()))
    }

    pub fn positive_list(&mut self) -> Option<Vec<f32>> {
        let good = |list: &Vec<f32>| list.iter().all(|x| x.is_finite() && *x > 0.0);
        self.check("a list of finite numbers above 0", good)
    }
}

impl keys::Value for Value<'_> {
    fn key(&self) -> &str {
        self.key
    }

    fn size(&mut self, max: usize) -> Option<usize> {
        self.check(&format!("a whole number from 1 to {max}"), |size| (1..=max).contains(size))
    }

    fn count(&mut self, max: usize) -> Option<usize> {
        self.check(&format!("a whole number from 0 to {max}"), |count| (0..=max).contains(count))
    }

    fn stages_or_one(&mut self, max: usize) -> Option<Stages> {
        if self.text.get().starts_with('[') { self.stages(max) } else { self.size(max).map(Stages::single) }
    }

    fn stages(&mut self, max: usize) -> Option<Stages> {
        let good = |list: &Short<usize, MAX_STAGES>| {
            !list.0.is_empty() && list.0.iter().all(|number| (1..=max).contains(number))
        };
        let expected = format!("a list of 1 to {MAX_STAGES} whole numbers from 1 to {max}");
        self.check(&expected, good).and_then(|list| Stages::new(&list.0))
    }

    fn positive(&mut self) -> Option<f64> {
        self.check("a finite number above 0", |x: &f64| x.is_finite() && *x > 0.0)
    }

    fn switch(&mut self) -> Option<bool> {
        self.take("true or false")
    }

    fn word<T: Copy, const N: usize>(&mut self, words: [(&str, T); N]) -> Option<T> {
        let names = words.map(|(word, _)| word);
        let expected = alternatives(names);
        let word: String = self.take(&expected)?;
        let found = words.iter().find(|(known, _)| *known == word);
        if found.is_none() {
            self.report.push(self.problem(expected).near(nearest(&word, names)));
        }
        found.map(|(_, meaning)| *meaning)
    }
}
