//! Listening Unix domain sockets.

use std::{
    fmt, fs,
    io::{self, ErrorKind},
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _},
        net,
    },
    path::{Path, PathBuf},
};

use tokio::net::{UnixListener, UnixStream};

/// The mode of the socket file: its owner and its group can connect.
const MODE: u32 = 0o660;

pub(super) struct UnixSocket {
    listener: UnixListener,
    /// The file that this process has made, removed on drop.
    file: Option<PathBuf>,
}

impl UnixSocket {
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        remove_stale(path)?;
        let listener = UnixListener::bind(path)?;
        let socket = Self {
            listener,
            file: Some(path.to_owned()),
        };
        fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
        Ok(socket)
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

/// Removes the socket file of a server that has ended. A file of another type, and the socket of a running server, stay.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => match net::UnixStream::connect(path) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
            _ => Err(ErrorKind::AddrInUse.into()),
        },
        Ok(_) => Err(io::Error::new(
            ErrorKind::AlreadyExists,
            "a file that is not a socket has this path",
        )),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            let _ = fs::remove_file(file);
        }
    }
}

impl fmt::Display for UnixSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.listener.local_addr().ok();
        match address.as_ref().and_then(|address| address.as_pathname()) {
            Some(path) => write!(f, "unix:{}", path.display()),
            None => f.write_str("unix:"),
        }
    }
}
