//! The lock that writers of a session file take.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::Path,
    time::Duration,
};

use tokio::time::Instant;
use tower::BoxError;

use super::{
    access::{cannot_create, copy_access, create},
    read::beside,
};

/// The longest time that another process may hold the lock.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// The pause between two attempts to take the lock.
const PAUSE: Duration = Duration::from_millis(5);

/// Takes the lock of a session file. It is released when the result is dropped, or when the process ends.
pub(super) fn acquire(path: &Path) -> Result<File, BoxError> {
    let lock = beside(path, "lock");
    let file = open(&lock, path).map_err(|error| cannot_create(&lock, &error))?;
    wait_for(&file, &lock)?;
    Ok(file)
}

/// Waits for the lock on an open file.
pub(super) fn wait_for(file: &File, path: &Path) -> Result<(), BoxError> {
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(cannot_lock(path, &error)),
            Err(TryLockError::WouldBlock) if started.elapsed() > MAX_WAIT => {
                return Err(format!("{}: another process holds the lock", path.display()).into());
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
        }
    }
}

/// Opens the lock file, or creates it with the access rights of the session's file.
fn open(lock: &Path, session: &Path) -> io::Result<File> {
    loop {
        // NFS gives an exclusive lock only on a file that is open for writing.
        match OpenOptions::new().write(true).open(lock) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return File::open(lock),
            opened => return opened,
        }
        match create(lock) {
            // Another process has created it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(file) => {
                if let Ok(session) = fs::metadata(session) {
                    copy_access(&file, &session)?;
                }
                return Ok(file);
            }
        }
    }
}

/// An error that names the file, and the remedy if the file system has no locks.
fn cannot_lock(path: &Path, error: &io::Error) -> BoxError {
    /// "No locks available", which has no [`io::ErrorKind`].
    const ENOLCK: i32 = if cfg!(target_os = "linux") { 37 } else { 77 };
    let path = path.display();
    if error.kind() == io::ErrorKind::Unsupported || error.raw_os_error() == Some(ENOLCK) {
        return format!(
            "{path}: {error}; this file system has no locks: store the session on a local file system, or mount this one with \
             locks"
        )
        .into();
    }
    format!("{path}: {error}").into()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_without_locks_is_reported_with_its_remedy() {
        // ENOLCK, EOPNOTSUPP and EIO.
        for (code, has_cure) in [(37, true), (95, true), (5, false)] {
            let error = cannot_lock(Path::new("/s.lock"), &io::Error::from_raw_os_error(code)).to_string();
            assert!(error.starts_with("/s.lock: "), "{error}");
            assert_eq!(
                error.contains("store the session on a local file system"),
                has_cure,
                "{error}"
            );
        }
    }
}
