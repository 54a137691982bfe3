//! A file under construction, which nobody sees until it is complete and takes its name.
//!
//! On Linux it has no name before that (`O_TMPFILE`), so that a process that is killed leaves nothing behind. Elsewhere,
//! and on file systems that cannot do so, it has a name of its own, ending in `.part`, and is removed when it is dropped;
//! [`remove_unfinished`] is for programs that end without dropping anything.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tempfile::NamedTempFile;

/// The temporary files that have a name.
static NAMED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removes the temporary files of every [`Output`](super::Output) that is being written.
///
/// A program calls it from its handler of SIGINT or SIGTERM, just before it exits. On Linux it is needed only where the
/// file system has no unnamed files, such as NFS or FAT: elsewhere nothing is left even by SIGKILL.
///
/// ```
/// weights::remove_unfinished(); // and then std::process::exit(130)
/// ```
pub fn remove_unfinished() {
    let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
    named.drain(..).for_each(|path| drop(fs::remove_file(path)));
}

#[derive(Debug)]
pub(super) enum Temporary {
    #[cfg(target_os = "linux")]
    Unnamed(File),
    Named(Named),
}

/// A file that [`remove_unfinished`] knows of.
#[derive(Debug)]
pub(super) struct Named(Option<NamedTempFile>);

impl Temporary {
    /// A new file in the folder of `target`, with the permissions and, if that is allowed, the owner of the file that it
    /// will replace; else with those that the user's umask gives.
    pub(super) fn beside(target: &Path, replaced: Option<&Metadata>) -> io::Result<Self> {
        let folder = super::place::folder(target);
        let temporary = Self::create(folder, mode(replaced))?;
        if let Some(replaced) = replaced {
            keep_access(temporary.file(), replaced)?;
        }
        Ok(temporary)
    }

    #[cfg(target_os = "linux")]
    fn create(folder: &Path, mode: u32) -> io::Result<Self> {
        Ok(match unnamed::create(folder, mode) {
            Some(file) => Temporary::Unnamed(file),
            None => Temporary::Named(Named::create(folder, mode)?),
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn create(folder: &Path, mode: u32) -> io::Result<Self> {
        Named::create(folder, mode).map(Temporary::Named)
    }

    pub(super) fn file(&self) -> &File {
        match self {
            #[cfg(target_os = "linux")]
            Temporary::Unnamed(file) => file,
            Temporary::Named(named) => named.0.as_ref().expect("it is there until it is dropped").as_file(),
        }
    }

    /// Gives the file its name, in place of whatever regular file has it.
    pub(super) fn rename_to(self, target: &Path) -> io::Result<()> {
        // Errors that a file system finds when it writes, such as a full quota, are found before the old file is gone.
        self.file().sync_all()?;
        match self {
            #[cfg(target_os = "linux")]
            Temporary::Unnamed(file) => unnamed::link(&file, target),
            Temporary::Named(named) => named.persist(target),
        }
    }
}

impl Named {
    fn create(folder: &Path, mode: u32) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".shuffle-vit-").suffix(".part");
        #[cfg(unix)]
        builder.permissions(<fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(mode));
        #[cfg(not(unix))]
        let _ = mode;
        // Locked from before the file exists until it is known.
        let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
        let file = builder.tempfile_in(folder)?;
        named.push(file.path().to_path_buf());
        Ok(Named(Some(file)))
    }

    fn persist(mut self, target: &Path) -> io::Result<()> {
        let file = self.0.take().expect("it is there until it is dropped");
        let path = file.path().to_path_buf();
        // Locked while the name changes, so that it is not removed in between.
        let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
        named.retain(|name| *name != path);
        file.persist(target).map(drop).map_err(|error| error.error)
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        if let Some(file) = self.0.take() {
            let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
            named.retain(|name| name != file.path());
            drop(file);
        }
    }
}

/// Permissions to create the file with, of which the umask takes away: never more than it will have at the end.
#[cfg(unix)]
fn mode(replaced: Option<&Metadata>) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    replaced.map_or(0o666, |replaced| replaced.permissions().mode() & 0o777)
}

#[cfg(not(unix))]
fn mode(_: Option<&Metadata>) -> u32 {
    0
}

#[cfg(unix)]
fn keep_access(file: &File, replaced: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (replaced.uid(), replaced.gid()) {
        // Only root gives files away; for others the file becomes theirs, as any that they write anew.
        let _ = fchown(file, Some(replaced.uid()), Some(replaced.gid()));
    }
    file.set_permissions(fs::Permissions::from_mode(replaced.permissions().mode() & 0o777))
}

#[cfg(not(unix))]
fn keep_access(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Files without a name, and how they get one.
#[cfg(target_os = "linux")]
mod unnamed {
    use std::fs::{self, File};
    use std::io;
    use std::os::fd::AsRawFd;
    use std::path::{Path, PathBuf};
    use std::process;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open};

    /// A new file; none where the file system or the kernel cannot make one, or could not name it later.
    pub(super) fn create(folder: &Path, mode: u32) -> Option<File> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = File::from(open(folder, flags, Mode::from_raw_mode(mode)).ok()?);
        fs::symlink_metadata(name_of(&file)).is_ok().then_some(file)
    }

    /// What the system calls the file: the one way to name it that needs no privilege.
    fn name_of(file: &File) -> PathBuf {
        format!("/proc/self/fd/{}", file.as_raw_fd()).into()
    }

    pub(super) fn link(file: &File, target: &Path) -> io::Result<()> {
        let link = |to: &Path| linkat(CWD, name_of(file), CWD, to, AtFlags::SYMLINK_FOLLOW);
        match link(target) {
            Err(error) if error == rustix::io::Errno::EXIST => {}
            other => return Ok(other?),
        }
        // A link replaces nothing, a rename does. The name in between lasts for two system calls.
        let between = free_name(target, |name| Ok(link(name)?))?;
        fs::rename(&between, target).inspect_err(|_| drop(fs::remove_file(&between)))
    }

    /// The first name in the target's folder under which `make` finds nothing else.
    fn free_name(target: &Path, make: impl Fn(&Path) -> io::Result<()>) -> io::Result<PathBuf> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let name = format!(".shuffle-vit-{}-{}.part", process::id(), NEXT.fetch_add(1, Relaxed));
            let path = super::super::place::folder(target).join(name);
            match make(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => return other.map(|()| path),
            }
        }
    }
}

/// Where files have no name while they are written, nothing else tests the way that gives them one.
#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_has_no_name_where_that_is_possible() {
        use rustix::fs::{Mode, OFlags, open};
        let folder = tempfile::tempdir().unwrap();
        let possible = open(folder.path(), OFlags::TMPFILE | OFlags::WRONLY, Mode::RUSR).is_ok();
        let made = Temporary::create(folder.path(), 0o600).unwrap();
        assert_eq!(matches!(made, Temporary::Unnamed(_)), possible);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), usize::from(!possible));
    }

    /// Not for a moment is a private file's successor readable by others.
    #[cfg(unix)]
    #[test]
    fn a_file_is_made_with_no_more_permissions_than_it_will_have() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let old = folder.path().join("old");
        fs::write(&old, "").unwrap();
        fs::set_permissions(&old, fs::Permissions::from_mode(0o600)).unwrap();
        let mode = mode(Some(&fs::metadata(&old).unwrap()));
        let made = Temporary::create(folder.path(), mode).unwrap();
        assert_eq!(made.file().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_named_file_takes_its_place_or_goes_away() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        let names = || fs::read_dir(folder.path()).unwrap().count();
        let known = || NAMED.lock().unwrap().iter().filter(|path| path.starts_with(folder.path())).count();
        let create = || Temporary::Named(Named::create(folder.path(), 0o600).unwrap());
        let dropped = create();
        assert_eq!((names(), known()), (1, 1));
        drop(dropped);
        assert_eq!((names(), known()), (0, 0));
        fs::write(&target, "old").unwrap();
        let renamed = create();
        io::Write::write_all(&mut renamed.file(), b"new").unwrap();
        assert_eq!((names(), known(), fs::read(&target).unwrap()), (2, 1, b"old".to_vec()));
        renamed.rename_to(&target).unwrap();
        assert_eq!((names(), known(), fs::read(&target).unwrap()), (1, 0, b"new".to_vec()));
        let unfinished = create();
        remove_unfinished();
        assert_eq!((names(), known()), (1, 0));
        unfinished.rename_to(&target).unwrap_err();
        assert_eq!(fs::read(&target).unwrap(), b"new");
    }
}
