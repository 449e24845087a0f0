//! A file in a folder that others may write to, too.
//!
//! Purpose: whatever lies there, opening it neither waits nor follows a link,
//! and only a regular file of this user's own is used: another user's could be
//! anything that its checksums fit. Neighbour: the parent.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use nix::unistd::geteuid;

use super::LOCK;

/// Time between two looks at a lock that is held: at first, and at most.
const PAUSE: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(8);

/// Why a file is not used.
#[derive(Debug)]
pub(super) enum Unusable {
    Missing,
    /// It, or the folder that it would be in, is another user's.
    Foreign(PathBuf),
    /// Somebody has held this lock all the time.
    Held(PathBuf),
    Broken(io::Error),
}

/// Opens a file to be read.
pub(super) fn open(path: &Path) -> Result<(File, Metadata), Unusable> {
    open_as(path, OpenOptions::new().read(true), geteuid().as_raw())
}

/// Holds a key's lock until it is dropped. Whoever holds it now is waited for
/// so long: it may have been stopped.
pub(super) fn lock(path: &Path, patience: Duration) -> Result<File, Unusable> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(Unusable::Broken)?;
    }
    let path = path.with_extension(LOCK);
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).mode(0o600);
    let (file, _) = open_as(&path, options, geteuid().as_raw())?;
    let deadline = Instant::now() + patience;
    let mut pause = PAUSE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(Unusable::Broken(error)),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(Unusable::Held(path));
            }
            // No event says that a lock is free within a time.
            Err(TryLockError::WouldBlock) => thread::sleep(pause),
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// The same for a user of that number.
fn open_as(
    path: &Path,
    options: &mut OpenOptions,
    user: u32,
) -> Result<(File, Metadata), Unusable> {
    let opened = options.custom_flags(O_NOFOLLOW | O_NONBLOCK).open(path);
    let file = opened.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Unusable::Missing,
        ErrorKind::PermissionDenied => whose(path, user).unwrap_or(Unusable::Broken(error)),
        _ => Unusable::Broken(error),
    })?;
    let about = file.metadata().map_err(Unusable::Broken)?;
    if !about.is_file() {
        let why = io::Error::other("it is no regular file");
        return Err(Unusable::Broken(why));
    }
    match about.uid() == user {
        true => Ok((file, about)),
        false => Err(Unusable::Foreign(path.into())),
    }
}

/// What of another user's forbids to open that.
fn whose(path: &Path, user: u32) -> Option<Unusable> {
    let mut places = [Some(path), path.parent()].into_iter().flatten();
    let foreign = places.find(|place| {
        let about = fs::symlink_metadata(place);
        about.is_ok_and(|about| about.uid() != user)
    });
    foreign.map(|place| Unusable::Foreign(place.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_of_ones_own_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"snapshot").unwrap();
        let user = geteuid().as_raw();
        let opened = |path: &Path, user| open_as(path, OpenOptions::new().read(true), user);
        assert_eq!(opened(&path, user).unwrap().1.len(), 8);
        let other = opened(&path, user + 1).unwrap_err();
        assert!(matches!(other, Unusable::Foreign(at) if at == path));
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(opened(&link, user), Err(Unusable::Broken(_))));
        assert!(matches!(
            opened(folder.path(), user),
            Err(Unusable::Broken(_))
        ));
        let none = folder.path().join("none");
        assert!(matches!(opened(&none, user), Err(Unusable::Missing)));
    }

    #[test]
    fn a_lock_that_is_held_is_waited_for_and_no_longer_than_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.snapshot");
        let held = lock(&path, Duration::ZERO).unwrap();
        let again = lock(&path, Duration::from_millis(3)).unwrap_err();
        assert!(matches!(again, Unusable::Held(at) if at == path.with_extension(LOCK)));
        thread::scope(|scope| {
            let waits = scope.spawn(|| lock(&path, Duration::from_secs(60)));
            drop(held);
            assert!(waits.join().unwrap().is_ok());
        });
    }
}
