//! Writing a session file: by replacing it, or in place if it cannot be replaced.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::Path,
};

use tower::BoxError;

use super::{
    access::{cannot_create, copy_access, create},
    lock,
    read::{beside, parse, read, read_file},
};
use crate::client::storage::SavedSession;

/// Writes a session, and returns the one that is stored afterwards. The caller holds the lock.
///
/// `expected` is the session that the file must contain. It is compared again if another writer may hold a different lock.
pub(super) fn write(
    path: &Path,
    next: SavedSession,
    expected: Option<&SavedSession>,
) -> Result<SavedSession, BoxError> {
    let new = beside(path, "new");
    prepare(path, &next)?;
    match fs::rename(&new, path) {
        Ok(()) => {
            sync_directory(path).map_err(|error| named(path, &error))?;
            Ok(next)
        }
        Err(error) if is_mount_point(&error) => overwrite(path, next, expected),
        Err(error) => Err(named(path, &error)),
    }
}

/// Checks that a session could be written, without a change of the file. The caller holds the lock.
pub(super) fn check(path: &Path, session: &SavedSession) -> Result<(), BoxError> {
    let new = beside(path, "new");
    prepare(path, session)?;
    remove(&new)?;
    // A hard link shows whether a rename would cross a mount point. Some file systems have no hard links: they count as no mount point.
    let mounted = fs::hard_link(path, &new).is_err_and(|error| is_mount_point(&error));
    remove(&new)?;
    if mounted {
        open_in_place(path)?;
        tracing::info!(path = %path.display(), "the session's file is mounted by itself and will be overwritten in place");
    }
    #[cfg(unix)]
    if let Ok(metadata) = fs::metadata(path)
        && std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o007 != 0
    {
        tracing::warn!(path = %path.display(), "every user of this machine can access the session's file");
    }
    Ok(())
}

/// Completes a write in place that a crash has interrupted. The caller holds the lock.
pub(super) fn finish_interrupted(path: &Path) -> Result<(), BoxError> {
    let content = read_file(path)?;
    if parse(path, &content).is_ok() {
        return Ok(());
    }
    let recovered = read(path)?;
    overwrite(path, recovered, None).map(drop)
}

/// Writes the file `.new`, with the access rights of the session's file, and syncs it.
fn prepare(path: &Path, next: &SavedSession) -> Result<(), BoxError> {
    let new = beside(path, "new");
    remove(&new)?;
    let mut file = create(&new).map_err(|error| cannot_create(&new, &error))?;
    let written = file.write_all(&serde_json::to_vec(next)?);
    written
        .and_then(|()| match fs::metadata(path) {
            Ok(metadata) => copy_access(&file, &metadata),
            Err(_) => Ok(()),
        })
        .and_then(|()| file.sync_all())
        .map_err(|error| named(&new, &error))
}

/// Overwrites the file in place. The file `.new` has the same content: it is read after a crash, since a part of a JSON object is
/// not a session.
pub(super) fn overwrite(
    path: &Path,
    next: SavedSession,
    expected: Option<&SavedSession>,
) -> Result<SavedSession, BoxError> {
    let new = beside(path, "new");
    let mut file = open_in_place(path)?;
    // Another container has another lock file beside the same session file.
    lock::wait_for(&file, path)?;
    let mut content = Vec::new();
    file.read_to_end(&mut content)
        .map_err(|error| named(path, &error))?;
    if let (Some(expected), Ok(saved)) = (expected, parse(path, &content))
        && saved != *expected
    {
        remove(&new)?;
        return Ok(saved);
    }
    let next_content = serde_json::to_vec(&next)?;
    sync_directory(&new)
        .and_then(|()| file.set_len(0))
        .and_then(|()| io::Seek::rewind(&mut file))
        .and_then(|()| file.write_all(&next_content))
        .and_then(|()| file.sync_all())
        .map_err(|error| named(path, &error))?;
    remove(&new)?;
    Ok(next)
}

fn open_in_place(path: &Path) -> Result<File, BoxError> {
    let opened = OpenOptions::new().read(true).write(true).open(path);
    opened.map_err(|error| {
        let path = path.display();
        format!("{path}: {error}; the file is mounted by itself: mount its directory instead, writable")
            .into()
    })
}

/// True for the errors of a rename to a file that is mounted by itself.
fn is_mount_point(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ResourceBusy | io::ErrorKind::CrossesDevices
    )
}

/// Removes a file, which need not exist.
fn remove(path: &Path) -> Result<(), BoxError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cannot_create(path, &error)),
        _ => Ok(()),
    }
}

fn named(path: &Path, error: &io::Error) -> BoxError {
    format!("{}: {error}", path.display()).into()
}

/// Makes a rename or a new file survive a crash of the machine.
#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}
