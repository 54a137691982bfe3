//! The images of a folder, and what else is there.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::text::{count, printable, shown};

/// Ends of the names of files that are taken for images, whatever is in them: what is damaged shall be reported.
const EXTENSIONS: [&str; 6] = ["jpeg", "jpg", "jpe", "jfif", "png", "webp"];

/// What systems put into folders on their own.
const JUNK: [&str; 5] = ["__MACOSX", "@eaDir", "lost+found", "$RECYCLE.BIN", "System Volume Information"];

/// Kinds of skipped entries that a message lists.
const LISTED: usize = 8;

/// What is in a folder.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Sorted by name, folder by folder.
    pub images: Vec<PathBuf>,
    /// Folders inside that were not looked into.
    pub folders: usize,
    /// Folders that cannot be read.
    pub failures: Vec<anyhow::Error>,
}

/// What is in a folder and, if `recursive`, in the folders inside it.
pub(crate) fn images(folder: &Path, recursive: bool, skipped: &mut Skipped) -> Found {
    let mut found = Found::default();
    visit(folder, recursive, &mut found, skipped, &mut HashSet::new());
    found
}

/// A folder that links lead to a second time is not visited again, so that loops end.
fn visit(folder: &Path, recursive: bool, found: &mut Found, skipped: &mut Skipped, visited: &mut HashSet<PathBuf>) {
    if !fs::canonicalize(folder).map_or(true, |real| visited.insert(real)) {
        return;
    }
    let entries = match entries(folder) {
        Ok(entries) => entries,
        Err(error) => return found.failures.push(error),
    };
    for path in entries {
        match kind(&path) {
            Kind::Image => found.images.push(path),
            Kind::Folder if recursive => visit(&path, recursive, found, skipped, visited),
            Kind::Folder => found.folders += 1,
            Kind::Other(what) => skipped.add(what),
        }
    }
}

/// A folder's entries, sorted by name.
pub(crate) fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let read = || fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>();
    let mut paths =
        read().with_context(|| format!("{}: cannot be read; check the path and its permissions", shown(folder)))?;
    paths.sort();
    Ok(paths)
}

/// What an entry of a folder is.
pub(crate) enum Kind {
    Image,
    Folder,
    /// What a count of such entries calls it.
    Other(String),
}

/// Only regular files are opened: reading a pipe could wait for ever.
pub(crate) fn kind(path: &Path) -> Kind {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.starts_with('.') || JUNK.contains(&&*name) {
        return Kind::Other("hidden".into());
    }
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    let called_image = extension.as_deref().is_some_and(|extension| EXTENSIONS.contains(&extension));
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Kind::Folder,
        Ok(found) if !found.is_file() => Kind::Other("pipe or device".into()),
        // A link to nowhere that is called like an image is reported when it is opened.
        _ if called_image || begins_as_image(path).unwrap_or(false) => Kind::Image,
        _ => Kind::Other(extension.map_or("without extension".into(), |extension| format!(".{extension}"))),
    }
}

fn begins_as_image(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(12).read_to_end(&mut start)?;
    let webp = start.starts_with(b"RIFF") && start.ends_with(b"WEBP");
    Ok(webp || start.starts_with(b"\x89PNG\r\n\x1a\n") || start.starts_with(b"\xff\xd8\xff"))
}

/// How many entries were not used, by what they are.
#[derive(Debug, Default)]
pub(crate) struct Skipped {
    kinds: BTreeMap<String, usize>,
}

impl Skipped {
    pub fn add(&mut self, what: impl Into<String>) {
        *self.kinds.entry(what.into()).or_default() += 1;
    }

    pub fn total(&self) -> usize {
        self.kinds.values().sum()
    }
}

/// `3 entries: 2 .heic, 1 hidden`, the most frequent first.
impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mut kinds: Vec<_> = self.kinds.iter().collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let rest: usize = kinds.iter().skip(LISTED).map(|(_, count)| **count).sum();
        let listed = kinds.iter().take(LISTED).map(|(kind, count)| format!("{count} {}", printable(kind)));
        let listed: Vec<_> = listed.chain((rest > 0).then(|| format!("{rest} others"))).collect();
        let total = count(self.total(), "entry", "entries");
        write!(f, "{total}: {}", listed.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_entries_are_counted_by_kind() {
        let mut skipped = Skipped::default();
        skipped.add(".txt");
        assert_eq!(skipped.to_string(), "1 entry: 1 .txt");
        for kind in ["hidden", ".a", ".b", "\x1b", ".heic", ".heic", ".c", ".d", ".e"] {
            skipped.add(kind);
        }
        let expected = "10 entries: 2 .heic, 1 \\u{1b}, 1 .a, 1 .b, 1 .c, 1 .d, 1 .e, 1 .txt, 1 others";
        assert_eq!(skipped.to_string(), expected);
    }
}
