//! Where in a file a model's tensors stand: the prefix that wrappers put in front of their names.

use std::collections::BTreeMap;

use super::scheme::Scheme;

/// Dots of a name behind which the model's own may begin; wrappers are nested less deeply.
const MAX_WRAPPERS: usize = 16;

/// A model in a file: what stands in front of its names, how it calls its tensors, and how many of them told so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found<'n> {
    pub scheme: Scheme,
    pub prefix: &'n str,
    pub count: usize,
}

impl<'n> Found<'n> {
    /// The prefix under which all of the model is, head included.
    pub(crate) fn outermost(&self) -> &'n str {
        self.scheme.head_prefix(self.prefix)
    }
}

/// The models that tensors of these names make, the one with most tensors first.
pub(crate) fn models<'n>(names: impl IntoIterator<Item = &'n str>) -> Vec<Found<'n>> {
    let mut counts: BTreeMap<(&str, bool), usize> = BTreeMap::new();
    for (prefix, scheme) in names.into_iter().filter_map(told_by) {
        *counts.entry((prefix, scheme == Scheme::Transformers)).or_default() += 1;
    }
    let mut found: Vec<Found> = counts
        .into_iter()
        .map(|((prefix, transformers), count)| Found {
            scheme: if transformers { Scheme::Transformers } else { Scheme::Public },
            prefix,
            count,
        })
        .collect();
    found.sort_by_key(|found| std::cmp::Reverse(found.count));
    found
}

/// The prefix in front of the first piece of a name by which a scheme is told.
fn told_by(name: &str) -> Option<(&str, Scheme)> {
    let dots = name.match_indices('.').map(|(at, _)| at + 1).take(MAX_WRAPPERS);
    std::iter::once(0).chain(dots).find_map(|at| Some((&name[..at], Scheme::telling(&name[at..])?)))
}
