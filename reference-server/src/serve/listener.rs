//! Listening sockets: TCP, Unix domain sockets, and sockets that the service manager passes (socket activation).

#[cfg(unix)]
mod unix;

use std::{
    fmt,
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr},
};

use tokio::net::{TcpListener, lookup_host};

use super::io::Io;
use crate::config::ListenAddress;

/// A listening socket.
pub struct Listener(Kind);

enum Kind {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(unix::UnixSocket),
}

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    Tcp(SocketAddr),
    Unix,
}

/// An accepted connection.
pub(super) struct Accepted {
    pub(super) io: Box<dyn Io>,
    pub(super) peer: Peer,
}

impl Listener {
    /// Listens on an address. A host name can stand for several IP addresses: it gives a listener for each.
    ///
    /// A Unix socket has the mode 0660: its owner and its group can connect. A socket file without a server is replaced. The
    /// file is removed when the listener is dropped.
    ///
    /// # Errors
    /// If the name is unknown, or if a socket cannot be opened. A family of addresses that this machine does not have is
    /// skipped if the name has an address of another family.
    pub async fn bind(address: &ListenAddress) -> io::Result<Vec<Self>> {
        match address {
            ListenAddress::Ip(host, port) => Ok(vec![TcpListener::bind((*host, *port)).await?.into()]),
            ListenAddress::Name(host, port) => bind_all(lookup_host((host.as_str(), *port)).await?).await,
            #[cfg(unix)]
            ListenAddress::Unix(path) => Ok(vec![Self(Kind::Unix(unix::UnixSocket::bind(path).await?))]),
            #[cfg(not(unix))]
            ListenAddress::Unix(_) => Err(ErrorKind::Unsupported.into()),
        }
    }

    /// The TCP address. `None` for a Unix socket.
    #[must_use]
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Tcp(listener) => listener.local_addr().ok(),
            #[cfg(unix)]
            Kind::Unix(_) => None,
        }
    }

    /// Accepts the next connection.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match &self.0 {
            Kind::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Answers are small: the kernel must not delay them (Nagle's algorithm).
                let _ = stream.set_nodelay(true);
                Ok(Accepted {
                    io: Box::new(stream),
                    peer: Peer::Tcp(peer),
                })
            }
            #[cfg(unix)]
            Kind::Unix(socket) => Ok(Accepted {
                io: Box::new(socket.accept().await?),
                peer: Peer::Unix,
            }),
        }
    }
}

/// Listens on each of these addresses.
async fn bind_all(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<Vec<Listener>> {
    let mut listeners: Vec<Listener> = Vec::new();
    let mut skipped = None;
    for address in addresses {
        match TcpListener::bind(address).await {
            Ok(listener) => listeners.push(listener.into()),
            Err(error) if matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::Unsupported) => {
                skipped = Some(error);
            }
            Err(error) => return Err(io::Error::new(error.kind(), format!("{address}: {error}"))),
        }
    }
    match skipped {
        Some(error) if listeners.is_empty() => Err(error),
        None if listeners.is_empty() => Err(ErrorKind::NotFound.into()),
        _ => Ok(listeners),
    }
}

/// Takes the sockets that the service manager has opened (`LISTEN_FDS` of systemd). Their addresses replace the configured ones.
///
/// Call it once, before any thread is started: it changes the environment of the process. Call [`Inherited::listen`] later, in the
/// runtime.
#[must_use]
pub fn inherited() -> Inherited {
    Inherited(listenfd::ListenFd::from_env())
}

/// The sockets that the service manager has opened.
pub struct Inherited(listenfd::ListenFd);

impl Inherited {
    /// Listens on these sockets. Empty without socket activation.
    ///
    /// # Errors
    /// If one of them is not a listening stream socket.
    pub fn listen(mut self) -> io::Result<Vec<Listener>> {
        (0..self.0.len())
            .map(|index| {
                #[cfg(unix)]
                if let Ok(Some(socket)) = self.0.take_unix_listener(index) {
                    return Ok(Listener(Kind::Unix(unix::UnixSocket::from_std(socket)?)));
                }
                let socket = self.0.take_tcp_listener(index)?.ok_or(ErrorKind::NotFound)?;
                socket.set_nonblocking(true)?;
                Ok(TcpListener::from_std(socket)?.into())
            })
            .collect()
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self(Kind::Tcp(listener))
    }
}

impl Peer {
    /// The address of the peer. A process at the other end of a Unix socket counts as 127.0.0.1.
    pub(super) const fn ip(self) -> IpAddr {
        match self {
            Self::Tcp(address) => address.ip(),
            Self::Unix => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        }
    }
}

impl fmt::Display for Listener {
    /// The address, in the form of a [`ListenAddress`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Tcp(listener) => match listener.local_addr() {
                Ok(address) => address.fmt(f),
                Err(_) => f.write_str("unknown"),
            },
            #[cfg(unix)]
            Kind::Unix(socket) => socket.fmt(f),
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listener({self})")
    }
}

impl fmt::Debug for Inherited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inherited({} sockets)", self.0.len())
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix => f.write_str("unix socket"),
        }
    }
}
