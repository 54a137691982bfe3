//! The pictures that a command is given: files, folders of them, standard input.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use weights::Preparation;

use crate::diagnostics;
use crate::outcome::Usage;
use crate::text::{count, shown};
use crate::walk::{self, Skipped};

/// What stands for standard input.
const STDIN: &str = "-";

/// Its name as a file, on systems that have one.
const STDIN_FILE: &str = "/dev/stdin";

/// One picture.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Picture {
    File(PathBuf),
    Stdin,
}

impl Picture {
    /// As the command line names it.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.to_string_lossy().into_owned(),
            Self::Stdin => STDIN.into(),
        }
    }

    /// The file that is read.
    pub fn source(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Stdin => Path::new(STDIN_FILE),
        }
    }

    /// Writes the picture to `out` as the model takes it.
    pub fn load(&self, preparation: &Preparation, out: &mut [f32]) -> Result<()> {
        match self {
            Self::File(path) => images::load(path, preparation, out)?,
            Self::Stdin => {
                let pixels = images::read("standard input", std::io::stdin().lock())?;
                images::prepare(&pixels, preparation, out)?;
            }
        }
        Ok(())
    }
}

/// Pictures, and the number of folders that failed or have none.
#[derive(Debug)]
pub(crate) struct Pictures {
    pub list: Vec<Picture>,
    pub failed: usize,
}

impl Pictures {
    /// Finds the pictures, and reports folders that cannot be used.
    pub fn find(paths: &[PathBuf], recursive: bool) -> Result<Self> {
        if paths.iter().filter(|path| *path == Path::new(STDIN)).count() > 1 {
            return Err(
                Usage("- occurs twice, but standard input has one image; a file of that name is ./-".into()).into()
            );
        }
        let mut pictures = Self { list: Vec::new(), failed: 0 };
        let (mut skipped, mut folders) = (Skipped::default(), 0);
        for path in paths {
            if path == Path::new(STDIN) {
                pictures.list.push(Picture::Stdin);
            } else if path.is_dir() {
                folders += pictures.find_in(path, recursive, &mut skipped);
            } else {
                pictures.list.push(Picture::File(path.clone()));
            }
        }
        if skipped.total() > 0 {
            diagnostics::note(format_args!("skipped {skipped}"));
        }
        if folders > 0 {
            let folders = count(folders, "folder inside was", "folders inside were");
            diagnostics::note(format_args!("{folders} not looked into; -r does"));
        }
        Ok(pictures)
    }

    /// Takes a folder's images; how many folders inside were not looked into.
    fn find_in(&mut self, folder: &Path, recursive: bool, skipped: &mut Skipped) -> usize {
        let found = walk::images(folder, recursive, skipped);
        let empty = found.images.is_empty() && found.failures.is_empty();
        let empty = empty.then(|| anyhow!("{}: holds no images, expected PNG, JPEG or WebP files", shown(folder)));
        for error in found.failures.iter().chain(&empty) {
            diagnostics::error(error);
            self.failed += 1;
        }
        self.list.extend(found.images.into_iter().map(Picture::File));
        found.folders
    }
}
