//! Which class a folder holds the images of, by its name.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use weights::Description;

use super::folder::Folder;
use crate::diagnostics::warn;
use crate::text::{printable, shown};

/// Labels that a message lists.
const LISTED: usize = 10;

/// The class of each folder, or none for a folder without images whose name is no label.
///
/// By the model's labels; if no folder is called like one, by number if all names are numbers, else in order.
pub(super) fn classes(path: &Path, folders: &[Folder], description: &Description) -> Result<Vec<Option<usize>>> {
    if let Some(classes) = by_label(folders, &description.labels).with_context(|| shown(path))? {
        return Ok(classes);
    }
    let (found, count) = (folders.len(), description.config.num_classes());
    ensure!(
        found <= count,
        "{}: has {found} class folders, but the model has {count} classes; remove some, or name the right model",
        shown(path)
    );
    let reason = match description.labels.is_empty() {
        true => "the model has no labels".into(),
        false => format!("no folder is called like one of the model's labels ({})", list(&description.labels)),
    };
    let sure = found == count && description.labels.is_empty();
    let classes = match numbers(folders).with_context(|| shown(path))? {
        Some(numbers) if numbers.iter().all(|number| *number < count) => {
            if !sure {
                warn(format_args!("{reason}, so the {found} folders are taken for the classes of their numbers"));
            }
            numbers
        }
        Some(numbers) => {
            let order = |number: &usize| numbers.iter().filter(|other| *other < number).count();
            warn(format_args!(
                "{reason}, and not all folders have numbers of classes (0 to {}), so {}",
                count - 1,
                taken_in_order(found, count, "numbered")
            ));
            numbers.iter().map(order).collect()
        }
        None => {
            if !sure || order_depends(folders) {
                warn(format_args!("{reason}, so {}", taken_in_order(found, count, "sorted")));
            }
            (0..found).collect()
        }
    };
    Ok(classes.into_iter().map(Some).collect())
}

fn taken_in_order(found: usize, count: usize, how: &str) -> String {
    let end = if how == "sorted" { ", sorted as text: a10 before a2" } else { "" };
    format!("the {found} {how} folders are taken for classes 0 to {} of {count}{end}", found - 1)
}

/// The classes by the model's labels; none if no folder is called like one.
fn by_label(folders: &[Folder], labels: &[Option<String>]) -> Result<Option<Vec<Option<usize>>>> {
    let found: Vec<Vec<usize>> = folders.iter().map(|folder| called(&folder.name, labels)).collect();
    if found.iter().all(Vec::is_empty) {
        return Ok(None);
    }
    let mut classes: Vec<Option<usize>> = Vec::new();
    for (folder, found) in folders.iter().zip(&found) {
        let name = printable(&folder.name);
        classes.push(match found[..] {
            [class] => {
                if let Some(other) = classes.iter().position(|other| *other == Some(class)) {
                    let other = printable(&folders[other].name);
                    bail!("two folders, {other} and {name}, are called like the label of class {class}; rename one");
                }
                Some(class)
            }
            [] if folder.images.is_empty() => None,
            [] => {
                bail!("folder {name} is called like none of the model's labels ({}); rename or remove it", list(labels))
            }
            _ => bail!("folder {name} is called like the labels of classes {found:?}; call it exactly like one"),
        });
    }
    Ok(Some(classes))
}

/// Classes with exactly this label, or else those whose label differs in case and punctuation only: a label such as
/// `T-shirt/top` cannot be a folder's name.
fn called(folder: &str, labels: &[Option<String>]) -> Vec<usize> {
    let with = |form: fn(&str) -> String| -> Vec<usize> {
        let wanted = form(folder);
        let labels = labels.iter().enumerate().filter_map(|(class, label)| Some((class, label.as_deref()?)));
        labels.filter(|(_, label)| !wanted.is_empty() && form(label) == wanted).map(|(class, _)| class).collect()
    };
    let exact = with(composed);
    if exact.is_empty() { with(essence) } else { exact }
}

/// Each letter composed with its marks; macOS stores names of files decomposed.
fn composed(text: &str) -> String {
    text.nfc().collect()
}

/// A name without case and punctuation. Marks stay, for a letter without its mark is another letter.
fn essence(text: &str) -> String {
    let letters = text.nfc().filter(|&c| c.is_alphanumeric() || is_combining_mark(c));
    letters.flat_map(char::to_lowercase).nfc().collect()
}

/// The numbers that all folders are called by, if they are; two with the same number are an error.
fn numbers(folders: &[Folder]) -> Result<Option<Vec<usize>>> {
    let number = |folder: &Folder| {
        let digits = folder.name.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| folder.name.parse().ok()).flatten()
    };
    let Some(numbers) = folders.iter().map(number).collect::<Option<Vec<usize>>>() else { return Ok(None) };
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        bail!("two folders are called {} but for zeros in front; rename one", twice[0]);
    }
    Ok(Some(numbers))
}

/// Whether sorting as text gives another order than sorting by the numbers in the names, as people and timm do.
fn order_depends(folders: &[Folder]) -> bool {
    let natural = |name: &str| -> Vec<(String, u64)> {
        let mut parts = vec![(String::new(), 0u64)];
        for c in name.chars() {
            let last = parts.len() - 1;
            match c.to_digit(10) {
                Some(digit) => parts[last].1 = parts[last].1.saturating_mul(10).saturating_add(digit.into()),
                None if parts[last].1 > 0 => parts.push((c.to_string(), 0)),
                None => parts[last].0.push(c),
            }
        }
        parts
    };
    !folders.is_sorted_by_key(|folder| natural(&folder.name))
}

fn list(labels: &[Option<String>]) -> String {
    let more = if labels.len() > LISTED { ", ..." } else { "" };
    let listed: Vec<String> = labels.iter().flatten().take(LISTED).map(|label| printable(label)).collect();
    format!("{}{more}", listed.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(names: &[&str]) -> Vec<Folder> {
        names.iter().map(|name| Folder { name: name.to_string(), images: vec!["x.png".into()] }).collect()
    }

    fn matched(names: &[&str], labels: &[&str]) -> Result<Option<Vec<Option<usize>>>, String> {
        let labels: Vec<_> = labels.iter().map(|name| Some(name.to_string())).collect();
        by_label(&folders(names), &labels).map_err(|error| error.to_string())
    }

    fn some(classes: &[usize]) -> Result<Option<Vec<Option<usize>>>, String> {
        Ok(Some(classes.iter().copied().map(Some).collect()))
    }

    #[test]
    fn folders_are_matched_by_what_they_are_called() {
        assert_eq!(matched(&["bag", "T-shirt_top"], &["T-shirt/top", "Bag"]), some(&[1, 0]));
        assert_eq!(matched(&["0", "1"], &["Coat", "Bag"]), Ok(None));
        assert_eq!(matched(&["0", "1"], &[]), Ok(None));
        assert_eq!(matched(&["---", "1"], &["+", "Bag"]), Ok(None));
        // The exact name wins over those that are merely alike.
        assert_eq!(matched(&["Bag"], &["bag", "Bag"]), some(&[1]));
    }

    /// Composed and decomposed, on either side, exactly and but for case.
    #[test]
    fn marks_count_however_they_are_written() {
        let labels = ["Cafe", "Caf\u{e9}", "x\u{304}", "x"];
        assert_eq!(matched(&["Cafe\u{301}", "Cafe", "x", "x\u{304}"], &labels), some(&[1, 0, 3, 2]));
        assert_eq!(matched(&["CAFE\u{301}", "CAFE", "X\u{304}!", "X!"], &labels), some(&[1, 0, 2, 3]));
        assert_eq!(matched(&["Caf\u{e9}"], &["Cafe\u{301}", "Cafe"]), some(&[0]));
        assert_eq!(matched(&["Cafe"], &["Caf\u{e9}"]), Ok(None));
        assert!(
            matched(&["Cafe", "Bag"], &["Caf\u{e9}", "Bag"]).unwrap_err().contains("folder Cafe is called like none")
        );
    }

    #[test]
    fn folders_that_fit_no_label_or_several_are_named() {
        let error = matched(&["bag", "hat"], &["Bag", "Coat"]).unwrap_err();
        assert!(error.contains("folder hat") && error.contains("Bag, Coat"), "{error}");
        assert!(matched(&["BAG"], &["bag", "Bag"]).unwrap_err().contains("[0, 1]"));
        assert!(matched(&["BAG", "bag"], &["Bag"]).unwrap_err().contains("two folders, BAG and bag,"));
        let mut with_junk = folders(&["bag", "cache"]);
        with_junk[1].images.clear();
        assert_eq!(by_label(&with_junk, &[Some("Bag".into())]).unwrap(), Some(vec![Some(0), None]));
    }

    #[test]
    fn numbers_are_read_whole() {
        assert_eq!(numbers(&folders(&["0", "10", "007"])).unwrap(), Some(vec![0, 10, 7]));
        assert_eq!(numbers(&folders(&["0", "1a"])).unwrap(), None);
        assert_eq!(numbers(&folders(&["99999999999999999999"])).unwrap(), None);
        assert!(numbers(&folders(&["1", "2", "01"])).unwrap_err().to_string().contains("two folders are called 1"));
    }

    #[test]
    fn a_sorted_order_that_is_not_the_counted_one_is_noticed() {
        assert!(order_depends(&folders(&["class1", "class10", "class2"])));
        assert!(!order_depends(&folders(&["class01", "class02", "class10"])));
        assert!(!order_depends(&folders(&["a", "b", "b1", "b2"])));
    }
}
