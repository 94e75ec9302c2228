//! New files: their creation and their access rights.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io,
    path::Path,
};

use tower::BoxError;

/// Creates a file that its owner alone can read. It must not exist.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Gives a new file the owner, group and mode of another one, if the process has the rights. If it cannot set the group, the
/// new file gets no rights for any group.
#[cfg(unix)]
pub(super) fn copy_access(file: &File, from: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};

    let own = file.metadata()?;
    let mut mode = from.mode() & 0o777;
    let same_owner = own.uid() == from.uid() || fchown(file, Some(from.uid()), None).is_ok();
    let same_group = own.gid() == from.gid() || fchown(file, None, Some(from.gid())).is_ok();
    if !same_group {
        tracing::warn!(
            "this process may not set the group of the session's file: the group loses its access"
        );
        mode &= 0o707;
    }
    if !same_owner {
        tracing::debug!("this process may not set the owner of the session's file");
    }
    file.set_permissions(fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
pub(super) fn copy_access(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

/// An error that names the file, and the remedy if the directory is not writable.
pub(super) fn cannot_create(path: &Path, error: &io::Error) -> BoxError {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => format!(
            "{path}: {error}; the directory of the session file must be writable; in a container, mount the directory, not only the file"
        ),
        _ => format!("{path}: {error}"),
    }
    .into()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_not_writable_is_reported_with_its_remedy() {
        // EROFS, EACCES and ENOSPC.
        for (code, has_remedy) in [(30, true), (13, true), (28, false)] {
            let error = cannot_create(Path::new("/s.lock"), &io::Error::from_raw_os_error(code)).to_string();
            assert!(error.starts_with("/s.lock: "), "{error}");
            assert_eq!(error.contains("mount the directory"), has_remedy, "{error}");
        }
    }
}
