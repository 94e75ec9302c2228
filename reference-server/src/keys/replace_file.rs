//! Replacing a file with secrets: locked, atomic, with the same mode and owner.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Write},
    path::{Path, PathBuf},
};

use super::RotateError;

/// A file that no other process replaces by this type at the same time. The lock ends when it is dropped.
pub(super) struct LockedFile {
    file: File,
    path: PathBuf,
}

impl LockedFile {
    pub(super) fn open(path: &Path) -> Result<Self, RotateError> {
        let failed = |error| RotateError::io("read", path, error);
        if fs::symlink_metadata(path).map_err(failed)?.is_symlink() {
            return Err(RotateError::Symlink(path.to_owned()));
        }
        let file = File::open(path).map_err(failed)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => RotateError::Locked(path.to_owned()),
            TryLockError::Error(error) => RotateError::io("lock", path, error),
        })?;
        // Another process may have replaced the file before the lock. The lock is then one of the old file.
        let current = fs::metadata(path).map_err(failed)?;
        if !is_same_file(&file.metadata().map_err(failed)?, &current) {
            return Err(RotateError::Locked(path.to_owned()));
        }
        Ok(Self {
            file,
            path: path.to_owned(),
        })
    }

    pub(super) fn read(&mut self) -> Result<String, RotateError> {
        let mut text = String::new();
        let read = self.file.read_to_string(&mut text);
        read.map_err(|error| RotateError::io("read", &self.path, error))?;
        Ok(text)
    }

    /// Writes a new file in the same folder and renames it. A reader sees the old content or the new one.
    pub(super) fn replace(&self, content: &str) -> Result<(), RotateError> {
        let path = &self.path;
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let new = folder.join(format!(".{name}.new"));
        // A call that was interrupted may have left it. The lock excludes a call that is running.
        let _ = fs::remove_file(&new);
        let written = self.write_new(&new, content);
        let replaced = written
            .and_then(|()| fs::rename(&new, path).map_err(|error| RotateError::io("replace", path, error)));
        if replaced.is_err() {
            let _ = fs::remove_file(&new);
        }
        replaced?;
        // The rename is durable after this. Some file systems cannot do it.
        if let Ok(folder) = File::open(folder) {
            let _ = folder.sync_all();
        }
        Ok(())
    }

    fn write_new(&self, new: &Path, content: &str) -> Result<(), RotateError> {
        let failed = |error| RotateError::io("write the new file", new, error);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        private(&mut options);
        let mut file = options.open(new).map_err(failed)?;
        let old = self.file.metadata().map_err(failed)?;
        keep_owner(&file, &old).map_err(failed)?;
        file.write_all(content.as_bytes()).map_err(failed)?;
        file.set_permissions(old.permissions()).map_err(failed)?;
        file.sync_all().map_err(failed)
    }
}

#[cfg(unix)]
fn is_same_file(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Without inode numbers, the lock alone decides.
#[cfg(not(unix))]
fn is_same_file(_: &fs::Metadata, _: &fs::Metadata) -> bool {
    true
}

/// Only the owner can read the new file, also before its mode is set.
#[cfg(unix)]
fn private(options: &mut OpenOptions) {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
}

#[cfg(not(unix))]
fn private(_: &mut OpenOptions) {}

/// Root keeps the file readable for the user of the server.
#[cfg(unix)]
fn keep_owner(file: &File, old: &fs::Metadata) -> std::io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let new = file.metadata()?;
    if (new.uid(), new.gid()) == (old.uid(), old.gid()) {
        return Ok(());
    }
    std::os::unix::fs::fchown(file, Some(old.uid()), Some(old.gid()))
}

#[cfg(not(unix))]
fn keep_owner(_: &File, _: &fs::Metadata) -> std::io::Result<()> {
    Ok(())
}
