//! Listening Unix domain sockets.

use std::{
    fmt,
    fs::{self, File, TryLockError},
    io::{self, ErrorKind},
    os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
        net,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    net::{UnixListener, UnixStream},
    time::sleep,
};

/// The mode of the socket file: its owner and its group can connect.
const MODE: u32 = 0o660;
/// How often, and with which pause, a start tries to get the lock while another one holds it.
const LOCK_TRIES: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

pub(super) struct UnixSocket {
    listener: UnixListener,
    /// The file that this process has made.
    file: Option<SocketFile>,
}

impl UnixSocket {
    /// Listens on a path. The socket of a running server stays, and so does a file of another type.
    ///
    /// The socket gets its mode under another name, and is then renamed. So a client finds it with its final mode, or not at all. The
    /// lock on a file beside it keeps two starts from replacing each other's socket. That file stays.
    pub(super) async fn bind(path: &Path) -> io::Result<Self> {
        let _lock = lock(path).await?;
        check_unused(path).await?;
        let new = with_suffix(path, ".new");
        if fs::symlink_metadata(&new).is_ok_and(|found| found.file_type().is_socket()) {
            // A process that ended in the middle of a start has left it.
            fs::remove_file(&new)?;
        }
        let listener = UnixListener::bind(&new)?;
        match publish(&new, path) {
            Ok(file) => Ok(Self {
                listener,
                file: Some(file),
            }),
            Err(error) => {
                let _ = fs::remove_file(&new);
                Err(error)
            }
        }
    }

    pub(super) fn from_std(listener: net::UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener: UnixListener::from_std(listener)?,
            file: None,
        })
    }

    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }
}

/// The file of a socket, removed on drop if it is still the same one.
struct SocketFile {
    path: PathBuf,
    /// Its device and inode.
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // During a start of another server, the file stays. A stale file does no harm.
        if let Ok(file) = lock_file(&self.path)
            && file.try_lock().is_ok()
            && identity(&self.path).is_ok_and(|found| found == self.identity)
        {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Sets the mode of the socket, and renames it.
fn publish(new: &Path, path: &Path) -> io::Result<SocketFile> {
    fs::set_permissions(new, fs::Permissions::from_mode(MODE))?;
    let identity = identity(new)?;
    fs::rename(new, path)?;
    Ok(SocketFile {
        path: path.to_owned(),
        identity,
    })
}

/// Only the user of the server can open this file, so nobody else can hold its lock.
fn lock_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(with_suffix(path, ".lock"))
}

/// Holds the lock of a socket until the file is dropped.
async fn lock(path: &Path) -> io::Result<File> {
    let file = lock_file(path)?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => sleep(LOCK_PAUSE).await,
        }
    }
    Err(in_use("another process holds the lock of this socket"))
}

/// Fails if a server listens on the path, or if it has a file of another type.
async fn check_unused(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => match UnixStream::connect(path).await {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
            // `WouldBlock`: the queue of the listener is full.
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            Ok(_) | Err(_) => Err(in_use("another process listens on this socket")),
        },
        Ok(_) => Err(io::Error::new(
            ErrorKind::AlreadyExists,
            "a file that is not a socket has this path",
        )),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn in_use(reason: &str) -> io::Error {
    io::Error::new(ErrorKind::AddrInUse, reason)
}

impl fmt::Display for UnixSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address of a renamed socket is its first name.
        if let Some(file) = &self.file {
            return write!(f, "unix:{}", file.path.display());
        }
        let address = self.listener.local_addr().ok();
        match address.as_ref().and_then(|address| address.as_pathname()) {
            Some(path) => write!(f, "unix:{}", path.display()),
            None => f.write_str("unix:"),
        }
    }
}
