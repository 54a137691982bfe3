//! Labelled images: a folder of class folders, or an IDX pair.

mod folder;
mod matching;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use images::Pixels;
use weights::{Description, Preparation};

use self::folder::Folder;
use crate::idx::{self, IdxImages};
use crate::text::shown;
use crate::walk::{self, Kind, Skipped};

/// Images, each with its class.
pub(crate) struct Dataset {
    source: Source,
    classes: Vec<usize>,
    /// Names of the classes, from the model or else the folders.
    pub labels: Vec<Option<String>>,
    /// Files in the folders that are no images.
    pub skipped: Skipped,
    /// Folders that cannot be read.
    pub failures: Vec<anyhow::Error>,
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
        let empty = data.len() == 0 && data.failures.is_empty();
        ensure!(!empty, "{}: holds no images; expected PNG, JPEG or WebP files in its class folders", shown(path));
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
            Source::Files(paths) => shown(&paths[i]),
            Source::Idx(path, _) => format!("{}: image {i}", shown(path)),
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
                shown(path),
                count - 1
            );
        }
        let (skipped, failures) = (Skipped::default(), Vec::new());
        Ok(Self {
            source: Source::Idx(path.into(), images),
            classes,
            labels: labels_of(description),
            skipped,
            failures,
        })
    }

    fn from_folder(path: &Path, description: &Description) -> Result<Self> {
        let (mut folders, mut skipped, mut failures) = (Vec::new(), Skipped::default(), Vec::new());
        for entry in walk::entries(path)? {
            match walk::kind(&entry) {
                Kind::Folder => {
                    let found = walk::images(&entry, true, &mut skipped);
                    failures.extend(found.failures);
                    let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    folders.push(Folder { name, images: found.images });
                }
                Kind::Image => skipped.add("image outside the class folders"),
                Kind::Other(what) => skipped.add(what),
            }
        }
        ensure!(
            !folders.is_empty(),
            "{}: has no class folders, expected one for each class; of an IDX pair, name the images file",
            shown(path)
        );
        let classes_of_folders = matching::classes(path, &folders, description)?;
        let (mut files, mut classes, mut labels) = (Vec::new(), Vec::new(), labels_of(description));
        for (folder, class) in folders.into_iter().zip(classes_of_folders) {
            let Some(class) = class else {
                skipped.add("folder without images");
                continue;
            };
            classes.extend(folder.images.iter().map(|_| class));
            files.extend(folder.images);
            labels[class].get_or_insert(folder.name);
        }
        Ok(Self { source: Source::Files(files), classes, labels, skipped, failures })
    }
}

fn labels_of(description: &Description) -> Vec<Option<String>> {
    (0..description.config.num_classes()).map(|class| description.label(class).map(String::from)).collect()
}
