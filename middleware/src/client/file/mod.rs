//! A session in a file.

mod access;
mod lock;
mod read;
#[cfg(all(test, unix))]
mod tests;
mod write;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use tower::BoxError;

use super::storage::{SavedSession, SessionStorage};

/// Stores a session in a JSON file, which several processes of one machine may share.
///
/// First write the server's response to `POST /v1/sessions` to it. Only the owner can read a new file. An existing file keeps
/// its mode and its group, and its owner if the process may set it.
///
/// # How it writes
///
/// 1. A writer holds a lock (`flock`) on a file beside it, `session.json.lock`. So the directory must be writable, and its file
///    system must support locks.
/// 2. The new content goes into `session.json.new` and is synced. Then that file replaces `session.json`.
/// 3. A file that is itself a mount point, as in some containers, cannot be replaced. It is locked and overwritten, then
///    synced. After a crash in between, the content is read from `session.json.new`. Mount the directory and not only the file,
///    so that both files outlive the container.
#[derive(Debug, Clone)]
pub struct FileStorage {
    path: Arc<Path>,
}

impl FileStorage {
    /// Stores the session at this path.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into().into(),
        }
    }

    /// Stores a session and replaces any other one. An open [`ClientSession`](super::ClientSession) uses it after
    /// [`reload`](super::ClientSession::reload).
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn save(&self, session: &SavedSession) -> Result<(), BoxError> {
        let session = session.clone();
        self.blocking(move |path| {
            let _lock = lock::acquire(path)?;
            write::write(path, session, None)
        })
        .await
        .map(drop)
    }

    /// Runs file operations on a thread for blocking work. A symbolic link stays as it is: the operations use its target.
    async fn blocking<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Path) -> Result<T, BoxError> + Send + 'static,
    ) -> Result<T, BoxError> {
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || {
            let target = fs::canonicalize(&path).unwrap_or_else(|_| path.to_path_buf());
            operation(&target)
        })
        .await?
    }
}

impl SessionStorage for FileStorage {
    async fn load(&self) -> Result<SavedSession, BoxError> {
        self.blocking(read::read).await
    }

    async fn replace(&self, expected: &SavedSession, next: &SavedSession) -> Result<SavedSession, BoxError> {
        let (expected, next) = (expected.clone(), next.clone());
        self.blocking(move |path| {
            let _lock = lock::acquire(path)?;
            write::finish_interrupted(path)?;
            let saved = read::read(path)?;
            if saved != expected {
                return Ok(saved);
            }
            write::write(path, next, Some(&expected))
        })
        .await
    }

    /// Takes the lock and writes the file `.new`, then removes it.
    async fn check(&self) -> Result<(), BoxError> {
        self.blocking(|path| {
            let _lock = lock::acquire(path)?;
            write::finish_interrupted(path)?;
            write::check(path, &read::read(path)?)
        })
        .await
    }
}
