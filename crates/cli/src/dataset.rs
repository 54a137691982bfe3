//! Labelled images: a folder of class folders, or an IDX pair.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use weights::{Description, Preparation};

use crate::diagnostics::warn;
use crate::idx::{self, IdxImages};
use images::Pixels;

/// Labels that a message lists.
const LISTED: usize = 10;

/// Images, each with its class.
pub(crate) struct Dataset {
    source: Source,
    classes: Vec<usize>,
    /// What the classes are called, as far as the model or the folders say.
    pub labels: Vec<Option<String>>,
}

enum Source {
    Files(Vec<PathBuf>),
    Idx(PathBuf, IdxImages),
}

impl Dataset {
    /// Finds the images and their classes; pixels of a folder are read later, image by image.
    pub fn open(path: &Path, description: &Description) -> Result<Self> {
        let data =
            if path.is_dir() { Self::from_folder(path, description) } else { Self::from_idx(path, description) }?;
        ensure!(data.len() > 0, "{}: holds no images; expected PNG or JPEG files in its class folders", path.display());
        Ok(data)
    }

    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// The class of image `i`.
    pub fn class(&self, i: usize) -> usize {
        self.classes[i]
    }

    /// Image `i`, prepared for the model.
    pub fn load(&self, i: usize, preparation: &Preparation, out: &mut [f32]) -> Result<()> {
        match &self.source {
            Source::Files(paths) => images::load(&paths[i], preparation, out)?,
            Source::Idx(_, idx) => {
                let pixels = Pixels::new(idx.columns, idx.rows, 1, idx.image(i));
                pixels.and_then(|pixels| images::prepare(&pixels, preparation, out)).with_context(|| self.name(i))?;
            }
        }
        Ok(())
    }

    /// What messages call image `i`.
    pub fn name(&self, i: usize) -> String {
        match &self.source {
            Source::Files(paths) => paths[i].display().to_string(),
            Source::Idx(path, _) => format!("{}: image {i}", path.display()),
        }
    }

    fn from_idx(path: &Path, description: &Description) -> Result<Self> {
        let (images, labels) = idx::read_pair(path)?;
        let count = description.config.num_classes();
        let classes: Vec<usize> = labels.into_iter().map(usize::from).collect();
        if let Some((i, class)) = classes.iter().enumerate().find(|(_, class)| **class >= count) {
            bail!(
                "{}: image {i} has the label {class}, but the model has {count} classes (0 to {}); \
                 name the model that belongs to this set with --model",
                path.display(),
                count - 1
            );
        }
        let labels = (0..count).map(|class| description.label(class).map(String::from)).collect();
        Ok(Self { source: Source::Idx(path.into(), images), classes, labels })
    }

    fn from_folder(path: &Path, description: &Description) -> Result<Self> {
        let folders: Vec<PathBuf> = entries(path)?.into_iter().filter(|entry| entry.is_dir()).collect();
        ensure!(
            !folders.is_empty(),
            "{}: has no class folders, expected one for each class; of an IDX pair, name the images file",
            path.display()
        );
        let names: Vec<String> = folders.iter().map(|folder| file_name(folder)).collect();
        let matched = match_labels(&names, &description.labels).with_context(|| path.display().to_string())?;
        let order = match matched {
            Some(order) => order,
            None => in_order(path, &names, description)?,
        };
        let (mut files, mut classes) = (Vec::new(), Vec::new());
        let mut labels: Vec<_> =
            (0..description.config.num_classes()).map(|class| description.label(class).map(String::from)).collect();
        for ((folder, name), class) in folders.iter().zip(names).zip(order) {
            let images = entries(folder)?;
            classes.extend(images.iter().map(|_| class));
            files.extend(images);
            labels[class].get_or_insert(name);
        }
        Ok(Self { source: Source::Files(files), classes, labels })
    }
}

/// A folder's entries, sorted by name, but for hidden ones.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read =
        || fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<Vec<_>>>();
    let mut paths =
        read().with_context(|| format!("{}: cannot be read; check the path and its permissions", folder.display()))?;
    paths.retain(|path| !file_name(path).starts_with('.'));
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The class of each folder by the model's labels; none if no folder is called like one.
fn match_labels(folders: &[String], labels: &[Option<String>]) -> Result<Option<Vec<usize>>> {
    let found: Vec<Vec<usize>> = folders.iter().map(|folder| classes_called(folder, labels)).collect();
    if found.iter().all(Vec::is_empty) {
        return Ok(None);
    }
    let mut order = Vec::new();
    for (folder, classes) in folders.iter().zip(&found) {
        match classes[..] {
            [class] if order.contains(&class) => {
                bail!("two folders are called like the label of class {class}; rename one")
            }
            [class] => order.push(class),
            [] => bail!(
                "folder {folder} is called like none of the model's labels ({}); rename or remove it",
                list(labels)
            ),
            _ => bail!("folder {folder} is called like the labels of classes {classes:?}; call it exactly like one"),
        }
    }
    Ok(Some(order))
}

/// Classes with exactly this label; if there are none, those whose label differs in case and punctuation only. A label
/// such as `T-shirt/top` cannot be a folder's name as it is.
fn classes_called(folder: &str, labels: &[Option<String>]) -> Vec<usize> {
    let essence =
        |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    let with = |same: &dyn Fn(&str) -> bool| -> Vec<usize> {
        let labels = labels.iter().enumerate().filter_map(|(class, label)| Some((class, label.as_deref()?)));
        labels.filter(|(_, label)| same(label)).map(|(class, _)| class).collect()
    };
    let exact = with(&|label| label == folder);
    let wanted = essence(folder);
    if exact.is_empty() && !wanted.is_empty() { with(&|label| essence(label) == wanted) } else { exact }
}

/// The sorted folders as the classes in order, as PyTorch's `ImageFolder` takes them.
fn in_order(path: &Path, folders: &[String], description: &Description) -> Result<Vec<usize>> {
    let (found, count) = (folders.len(), description.config.num_classes());
    ensure!(
        found <= count,
        "{}: has {found} class folders, but the model has {count} classes; remove some, or name the right model",
        path.display()
    );
    let reason = match description.labels.is_empty() {
        true => "the model has no labels".into(),
        false => format!("no folder is called like one of the model's labels ({})", list(&description.labels)),
    };
    if found < count || !description.labels.is_empty() {
        warn(format_args!(
            "{reason}, so the {found} sorted folders are taken for classes 0 to {} of {count}",
            found - 1
        ));
    }
    Ok((0..found).collect())
}

fn list(labels: &[Option<String>]) -> String {
    let more = if labels.len() > LISTED { ", ..." } else { "" };
    let listed: Vec<&str> = labels.iter().flatten().take(LISTED).map(String::as_str).collect();
    format!("{}{more}", listed.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(names: &[&str]) -> Vec<Option<String>> {
        names.iter().map(|name| Some(name.to_string())).collect()
    }

    fn matched(folders: &[&str], names: &[&str]) -> Result<Option<Vec<usize>>, String> {
        let folders: Vec<String> = folders.iter().map(|name| name.to_string()).collect();
        match_labels(&folders, &labels(names)).map_err(|error| error.to_string())
    }

    #[test]
    fn folders_are_matched_by_what_they_are_called() {
        assert_eq!(matched(&["bag", "T-shirt_top"], &["T-shirt/top", "Bag"]), Ok(Some(vec![1, 0])));
        assert_eq!(matched(&["0", "1"], &["Coat", "Bag"]), Ok(None));
        assert_eq!(matched(&["0", "1"], &[]), Ok(None));
        assert_eq!(matched(&["---", "1"], &["+", "Bag"]), Ok(None));
        // The exact name wins over those that are merely alike.
        assert_eq!(matched(&["Bag"], &["bag", "Bag"]), Ok(Some(vec![1])));
    }

    #[test]
    fn folders_that_fit_no_label_or_several_are_named() {
        let error = matched(&["bag", "hat"], &["Bag", "Coat"]).unwrap_err();
        assert!(error.contains("folder hat") && error.contains("Bag, Coat"), "{error}");
        assert!(matched(&["BAG"], &["bag", "Bag"]).unwrap_err().contains("[0, 1]"));
        assert!(matched(&["BAG", "bag"], &["Bag"]).unwrap_err().contains("two folders"));
    }
}
