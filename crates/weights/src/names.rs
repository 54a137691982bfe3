//! How a checkpoint's tensors are called: which of the file's tensors is which of the model's, whatever wrappers and other
//! libraries call them.

mod glob;
mod prefix;
mod scheme;

use vit::TensorName;

use crate::text::{alternatives, printable};
use crate::{Error, TensorInfo};
use prefix::Found;
use scheme::Scheme;
pub(crate) use scheme::{Part, is_buffer, is_unused};

/// A tensor of the file and what it is in the model.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// Our name.
    pub name: String,
    /// Which part of it.
    pub part: Part,
    /// Its place in the list of the file's tensors.
    pub tensor: usize,
}

/// How a file calls a model's tensors.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    scheme: Scheme,
    prefix: String,
    /// Sorted by our name and the part.
    entries: Vec<Entry>,
    /// Tensors that are not the model's.
    foreign: Vec<usize>,
    /// The rows of the scheme's table that some tensor is named by.
    used: u64,
    /// Whether a distillation token stands for a register, having no head.
    second_token: bool,
    notes: Vec<String>,
}

impl Names {
    /// Names of a file's tensors: under the prefix that the options give, or the one under which a model is, those left out
    /// that the patterns match.
    pub(crate) fn new(
        file: &str,
        tensors: &[&TensorInfo],
        prefix: Option<&str>,
        ignored: &[String],
    ) -> Result<Self, Error> {
        let mut notes = Vec::new();
        let is_ignored = |name: &str| ignored.iter().any(|pattern| glob::matches(pattern, name));
        for pattern in ignored.iter().filter(|pattern| !tensors.iter().any(|t| glob::matches(pattern, &t.name))) {
            notes.push(format!("no tensor is ignored: none matches {}", printable(pattern)));
        }
        let kept = || tensors.iter().enumerate().filter(|(_, tensor)| !is_ignored(&tensor.name));
        let models = prefix::models(kept().map(|(_, tensor)| tensor.name.as_str()));
        let (model, others) = choose(file, &models, prefix)?;
        let of_another = |name: &str| others.iter().any(|other| is_of(name, other, &model, tensors));
        let mut names = Names {
            scheme: scheme_of(&model, tensors),
            prefix: model.prefix.into(),
            entries: Vec::new(),
            foreign: Vec::new(),
            used: 0,
            second_token: false,
            notes,
        };
        let mut left_out = 0;
        for (at, tensor) in kept() {
            if of_another(&tensor.name) {
                left_out += 1;
                continue;
            }
            match names.scheme.translate(&names.prefix, &tensor.name) {
                Some(found) => {
                    names.used |= found.row.map_or(0, |row| 1 << row);
                    names.entries.push(Entry { name: found.name, part: found.part, tensor: at });
                }
                None => names.foreign.push(at),
            }
        }
        if left_out > 0 {
            let others: Vec<String> = others.iter().map(|other| quoted(other)).collect();
            let others = alternatives(others.iter().map(String::as_str));
            names.notes.push(format!("{left_out} tensors are left out, which are under {others}"));
        }
        names.settle();
        names.note_unused(tensors);
        Ok(names)
    }

    /// Says which tensors play no part.
    fn note_unused(&mut self, tensors: &[&TensorInfo]) {
        let unused = self.entries.iter().filter(|entry| is_unused(&entry.name)).map(|entry| entry.tensor);
        let unused: Vec<String> = unused.map(|at| printable(&tensors[at].name)).take(SHOWN).collect();
        if !unused.is_empty() {
            self.notes.push(format!("left out, having no part in what is computed here: {}", unused.join(", ")));
        }
    }

    /// Brings the tensors in order: of two that are the same to the model, the second is foreign.
    fn settle(&mut self) {
        self.entries.sort_by(|a, b| (&a.name, a.part, a.tensor).cmp(&(&b.name, b.part, b.tensor)));
        let (entries, foreign) = (std::mem::take(&mut self.entries), &mut self.foreign);
        for entry in entries {
            match self.entries.last() {
                Some(last) if (&last.name, last.part) == (&entry.name, entry.part) => foreign.push(entry.tensor),
                _ => self.entries.push(entry),
            }
        }
        foreign.sort_unstable();
        self.make_register_of_a_single_heads_second_token();
    }

    /// transformers' DeiT keeps the distillation token where there is no head for it: a token like a register.
    fn make_register_of_a_single_heads_second_token(&mut self) {
        if self.scheme != Scheme::Transformers || self.has("head_dist.weight") || self.has("reg_token") {
            return;
        }
        if let Some(token) = self.entries.iter_mut().find(|entry| entry.name == "dist_token") {
            token.name = "reg_token".into();
            self.second_token = true;
            self.entries.sort_by(|a, b| (&a.name, a.part).cmp(&(&b.name, b.part)));
        }
    }

    /// The file's tensors that make up what we call `name`: one, or its parts in their order; none if it has none.
    pub(crate) fn find(&self, name: &str) -> &[Entry] {
        let start = self.entries.partition_point(|entry| entry.name.as_str() < name);
        let len = self.entries[start..].iter().take_while(|entry| entry.name == name).count();
        &self.entries[start..][..len]
    }

    /// Whether the file has that tensor, or a part of it.
    pub(crate) fn has(&self, name: &str) -> bool {
        !self.find(name).is_empty()
    }

    /// Every tensor of the model, in our names' order.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Tensors that are not the model's, by their place in the list.
    pub(crate) fn foreign(&self) -> &[usize] {
        &self.foreign
    }

    /// What the file calls, or would call, a tensor: one name, or one for each part.
    pub(crate) fn of(&self, name: &str) -> Vec<String> {
        let theirs = if self.second_token && name == "reg_token" { "dist_token" } else { name };
        self.scheme.names_of(&self.prefix, theirs, |row| self.used & (1 << row) != 0)
    }

    /// What the file calls a tensor that never comes in parts.
    pub(crate) fn one(&self, name: TensorName) -> String {
        self.of(&name.to_string()).swap_remove(0)
    }

    /// What messages call the way in which tensors are named.
    /// What messages call the way in which tensors are named.
    pub(crate) fn title(&self) -> &'static str {
        self.scheme.title()
    }

    /// Whether the names are those of the library transformers.
    pub(crate) fn are_transformers(&self) -> bool {
        self.scheme == Scheme::Transformers
    }

    /// What was left out on the way, a line each.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// The model that is asked for, or the only one; and the prefixes of the others, whose tensors are of no interest.
fn choose<'n>(file: &str, models: &[Found<'n>], prefix: Option<&str>) -> Result<(Found<'n>, Vec<&'n str>), Error> {
    let Some(first) = models.first() else {
        return match prefix {
            Some(prefix) if !prefix.is_empty() => Err(no_such_prefix(file, prefix, models)),
            _ => Ok((Found { scheme: Scheme::Public, prefix: "", count: 0 }, Vec::new())),
        };
    };
    let Some(prefix) = prefix else {
        // A few tensors that happen to be called like a model's are not another one.
        let several: Vec<Found> = models.iter().filter(|model| 2 * model.count >= first.count).copied().collect();
        return match several[..] {
            [only] => Ok((only, Vec::new())),
            _ => Err(several_models(file, &several)),
        };
    };
    let dotted = format!("{prefix}.");
    let asked = |found: &&Found| [found.prefix, found.outermost()].iter().any(|own| *own == prefix || *own == dotted);
    let Some(model) = models.iter().find(asked) else { return Err(no_such_prefix(file, prefix, models)) };
    let others = models.iter().filter(|other| other.prefix != model.prefix);
    Ok((*model, others.map(Found::outermost).collect()))
}

/// Whether a tensor is of the model under the prefix `other`, and so of no interest. Where that prefix says nothing, being
/// the beginning of the chosen model's, it is if the chosen model has one of the same name.
fn is_of(name: &str, other: &str, model: &Found, tensors: &[&TensorInfo]) -> bool {
    let Some(rest) = name.strip_prefix(other) else { return false };
    if !model.outermost().starts_with(other) {
        return true;
    }
    let twin = format!("{}{rest}", model.outermost());
    !name.starts_with(model.outermost()) && tensors.binary_search_by(|tensor| tensor.name.cmp(&twin)).is_ok()
}

/// timm's Swin is told by where its patches are merged, or by its head.
fn scheme_of(model: &Found, tensors: &[&TensorInfo]) -> Scheme {
    let has = |start: &str| {
        tensors.iter().any(|tensor| tensor.name.strip_prefix(model.prefix).is_some_and(|name| name.starts_with(start)))
    };
    let timm = has("layers.1.downsample.") || has("layers.0.") && has("head.fc.");
    match model.scheme {
        Scheme::Public if timm && !has("layers.0.downsample.") => Scheme::TimmSwin,
        scheme => scheme,
    }
}

/// Prefixes that a message lists; a hostile file has more.
const SHOWN: usize = 8;

fn several_models(file: &str, models: &[Found]) -> Error {
    let found = list(models);
    let example = models.last().map_or("", Found::outermost);
    Error::SeveralModels { file: file.into(), found, example: printable(example) }
}

fn no_such_prefix(file: &str, prefix: &str, models: &[Found]) -> Error {
    let found = match models {
        [] => "no model at all".into(),
        [only] if only.outermost().is_empty() => "names without a prefix".into(),
        models => list(models),
    };
    Error::NoSuchPrefix { file: file.into(), prefix: printable(prefix), found }
}

fn list(models: &[Found]) -> String {
    let mut names: Vec<String> = models.iter().take(SHOWN).map(|found| quoted(found.outermost())).collect();
    if models.len() > SHOWN {
        names.push(format!("{} others", models.len() - SHOWN));
    }
    alternatives(names.iter().map(String::as_str)).replace(" or ", " and ")
}

fn quoted(prefix: &str) -> String {
    format!("`{}`", printable(prefix))
}
