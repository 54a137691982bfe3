//! A JSON object read key by key, without building it: memory does not grow with what a file claims, duplicates are
//! seen, and each value keeps the text it was written as.

use std::fmt;

use serde::Deserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::text::{printable, sentence};

/// Calls `entry` with every key and the text of its value, in the order of the file.
pub(crate) fn for_each_entry(text: &str, entry: &mut dyn FnMut(String, &RawValue)) -> Result<(), String> {
    let mut json = serde_json::Deserializer::from_str(text);
    json.deserialize_map(Entries(entry)).and_then(|()| json.end()).map_err(sentence)
}

struct Entries<'f>(&'f mut dyn FnMut(String, &RawValue));

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let in_key = |error| A::Error::custom(format!("in `{}`: {error}", printable(&key)));
            let value: &RawValue = map.next_value().map_err(in_key)?;
            (self.0)(key, value);
        }
        Ok(())
    }
}

/// A list of at most `MAX` elements.
pub(crate) struct Short<T, const MAX: usize>(pub Vec<T>);

impl<'de, T: serde::Deserialize<'de>, const MAX: usize> serde::Deserialize<'de> for Short<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_seq(ShortVisitor(std::marker::PhantomData))
    }
}

struct ShortVisitor<T, const MAX: usize>(std::marker::PhantomData<T>);

impl<'de, T: serde::Deserialize<'de>, const MAX: usize> Visitor<'de> for ShortVisitor<T, MAX> {
    type Value = Short<T, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "a list of at most {MAX}")
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = seq.next_element()? {
            if list.len() == MAX {
                return Err(A::Error::custom(format!("a list longer than {MAX}")));
            }
            list.push(element);
        }
        Ok(Short(list))
    }
}
