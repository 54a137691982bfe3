//! A JSON object of another library's, and its values as what they should be.

use serde_json::{Map, Value};

use crate::text::{printable, sentence};
use crate::{Error, Problem, ProblemKind, Report};

/// An object and where it is from.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    label: String,
    /// The keys under which this object is, each with a dot behind it.
    path: String,
    map: Map<String, Value>,
}

impl Object {
    pub(crate) fn parse(label: &str, text: &str) -> Result<Self, Error> {
        match serde_json::from_str(text) {
            Ok(map) => Ok(Object { label: label.into(), path: String::new(), map }),
            Err(error) => {
                let problem = Problem::new(ProblemKind::Config, "(whole)", "a JSON object", sentence(error));
                Err(Error::one(label, problem))
            }
        }
    }

    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// What messages call a key.
    pub(crate) fn name_of(&self, key: &str) -> String {
        format!("{}{key}", self.path)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key)
    }

    /// Whether the key is there and says something.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| !value.is_null())
    }

    /// Takes over the keys that are not here or say nothing.
    pub(crate) fn fill(&mut self, defaults: &Object) {
        for (key, value) in &defaults.map {
            if !self.has(key) {
                self.map.insert(key.clone(), value.clone());
            }
        }
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.map.keys().map(String::as_str)
    }

    /// An object under a key; an empty one if there is none.
    pub(crate) fn object(&self, key: &str) -> Result<Object, Error> {
        let map = self.read(key, "an object", |value| value.as_object().cloned())?.unwrap_or_default();
        Ok(Object { label: self.label.clone(), path: format!("{}{key}.", self.path), map })
    }

    pub(crate) fn switch(&self, key: &str) -> Result<Option<bool>, Error> {
        self.read(key, "true or false", Value::as_bool)
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<f64>, Error> {
        self.read(key, "a number", Value::as_f64)
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>, Error> {
        self.read(key, "a string", |value| value.as_str())
    }

    pub(crate) fn whole(&self, key: &str) -> Result<Option<usize>, Error> {
        self.read(key, "a whole number", whole)
    }

    /// A side: one number, or two that are equal.
    pub(crate) fn square(&self, key: &str) -> Result<Option<usize>, Error> {
        self.read(key, "a whole number, or two that are equal", |value| match value.as_array().map(Vec::as_slice) {
            Some([height, width]) if height == width => whole(height),
            Some(_) => None,
            None => whole(value),
        })
    }

    /// Class names: a list, or an object whose keys are the classes' numbers.
    pub(crate) fn labels(&self, key: &str, classes: usize) -> Result<Option<Vec<Option<String>>>, Error> {
        let expected = "a list of names, or an object of numbers and names";
        self.read(key, expected, |value| {
            let name = |value: &Value| match value {
                Value::Null => Some(None),
                other => Some(Some(other.as_str()?.to_string())),
            };
            if let Some(list) = value.as_array() {
                return list.iter().map(name).collect();
            }
            // A class that is not among them has no name.
            let map = value.as_object()?;
            let mut labels = vec![None; classes.min(vit::MAX_SIZE)];
            for (number, label) in map {
                let place = labels.get_mut(number.trim().parse::<usize>().ok()?)?;
                *place = name(label)?;
            }
            Some(labels)
        })
    }

    /// The value of a key that is not null, as `read` makes of it; an error if it makes nothing.
    fn read<'v, T>(
        &'v self,
        key: &str,
        expected: &str,
        read: impl Fn(&'v Value) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(value) = self.get(key).filter(|value| !value.is_null()) else { return Ok(None) };
        match read(value) {
            Some(value) => Ok(Some(value)),
            None => Err(self.wrong(key, expected)),
        }
    }

    /// The error about a key's value.
    pub(crate) fn wrong(&self, key: &str, expected: &str) -> Error {
        let found = self.get(key).map_or("none".into(), |value| printable(&value.to_string()));
        let advice = format!("correct {}, or move it away and name the model with --arch", printable(&self.label));
        let mut report = Report::new(&self.label).advising(advice);
        report.push(Problem::new(ProblemKind::Config, &self.name_of(key), expected, found));
        Error::Invalid(Box::new(report))
    }
}

fn whole(value: &Value) -> Option<usize> {
    usize::try_from(value.as_u64()?).ok()
}
