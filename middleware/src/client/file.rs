//! A session in a file.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;
use tower::BoxError;

use super::{SavedSession, SessionStorage};

/// How long a process is waited for that writes.
const LONGEST_WRITE: Duration = Duration::from_secs(2);

/// Keeps a session in a JSON file, which several processes of one machine may share.
///
/// To begin with, put there what `POST /v1/sessions` answered. The file is replaced as a whole, readable by its owner alone, and
/// synced; writers take turns by a lock on a file beside it (`.lock`).
#[derive(Debug, Clone)]
pub struct FileStorage {
    path: Arc<Path>,
}

impl FileStorage {
    /// Keeps the session at this path.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into().into(),
        }
    }

    /// Puts a session there, whatever was there before: for whoever has opened one. A [`ClientSession`](super::ClientSession) that
    /// is open goes on with it after [`reload`](super::ClientSession::reload).
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn save(&self, session: &SavedSession) -> Result<(), BoxError> {
        let (path, session) = (self.path.clone(), session.clone());
        tokio::task::spawn_blocking(move || {
            let path = resolved(&path);
            let _lock = lock(&path)?;
            write(&path, &session)
        })
        .await?
    }
}

impl SessionStorage for FileStorage {
    async fn load(&self) -> Result<SavedSession, BoxError> {
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || read(&path)).await?
    }

    async fn replace(&self, expected: &SavedSession, next: &SavedSession) -> Result<SavedSession, BoxError> {
        let (path, expected, next) = (self.path.clone(), expected.clone(), next.clone());
        tokio::task::spawn_blocking(move || replace(&path, &expected, next)).await?
    }
}

/// An error names the file, never what is in it.
fn read(path: &Path) -> Result<SavedSession, BoxError> {
    let text = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_slice(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!(
            "{}: no saved session (line {line}, column {column})",
            path.display()
        )
        .into()
    })
}

fn replace(path: &Path, expected: &SavedSession, next: SavedSession) -> Result<SavedSession, BoxError> {
    let path = &*resolved(path);
    let _lock = lock(path)?;
    let saved = read(path)?;
    if saved != *expected {
        return Ok(saved);
    }
    write(path, &next)?;
    Ok(next)
}

/// Where a symbolic link leads: the link stays, and all who share the file share its lock.
fn resolved(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Held until it is dropped, or the process ends.
fn lock(path: &Path) -> Result<File, BoxError> {
    let path = beside(path, "lock");
    let lock = private(&path, false).map_err(|error| format!("{}: {error}", path.display()))?;
    let started = Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::Error(error)) => return Err(error.into()),
            Err(TryLockError::WouldBlock) if started.elapsed() > LONGEST_WRITE => {
                return Err(format!("{}: another process holds the lock", path.display()).into());
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn write(path: &Path, session: &SavedSession) -> Result<(), BoxError> {
    let named = |error: io::Error| format!("{}: {error}", path.display());
    let new = beside(path, "new");
    // What a crash left there, or somebody else put there, is not written to.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(named(error).into()),
        _ => {}
    }
    let mut file = private(&new, true).map_err(named)?;
    file.write_all(&serde_json::to_vec(session)?).map_err(named)?;
    file.sync_all().map_err(named)?;
    fs::rename(&new, path).map_err(named)?;
    Ok(sync_directory(path).map_err(named)?)
}

fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

/// Opens a file that nobody else can read.
fn private(path: &Path, new: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).create_new(new).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

/// Without it, a crash of the machine could undo the renaming.
#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}
