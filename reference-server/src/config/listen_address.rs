//! The addresses to listen on.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    str::FromStr,
};

/// An address to listen on: `HOST:PORT`, where the host is an IP address or a name, or `unix:/PATH`.
///
/// ```
/// use session_auth_server::config::ListenAddress;
///
/// for text in ["127.0.0.1:3100", "[::1]:3100", "localhost:3100", "unix:/run/session-auth.sock"] {
///     let address: ListenAddress = text.parse()?;
///     assert_eq!(address.to_string(), text);
/// }
/// assert!("localhost".parse::<ListenAddress>().is_err());
/// # Ok::<(), session_auth_server::config::InvalidListenAddress>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// A TCP port of an IP address.
    Ip(IpAddr, u16),
    /// A TCP port of all addresses of a host name.
    Name(String, u16),
    /// A Unix domain socket.
    Unix(PathBuf),
}

/// The text is no [`ListenAddress`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected HOST:PORT, such as 127.0.0.1:3100, [::1]:3100 or localhost:3100, or unix:/PATH; \
     the path is absolute"
)]
pub struct InvalidListenAddress;

impl ListenAddress {
    /// The address of a server without the setting `listen`.
    pub const DEFAULT: Self = Self::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST), 3100);
}

impl FromStr for ListenAddress {
    type Err = InvalidListenAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            let usable = path.is_absolute() && path.file_name().is_some();
            return usable.then_some(Self::Unix(path)).ok_or(InvalidListenAddress);
        }
        let (host, port) = text.rsplit_once(':').ok_or(InvalidListenAddress)?;
        let port = port.parse().map_err(|_| InvalidListenAddress)?;
        if let Some(host) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            let host = host.parse().map_err(|_| InvalidListenAddress)?;
            return Ok(Self::Ip(IpAddr::V6(host), port));
        }
        if let Ok(host) = host.parse() {
            return Ok(Self::Ip(IpAddr::V4(host), port));
        }
        if is_host_name(host) {
            Ok(Self::Name(host.to_owned(), port))
        } else {
            Err(InvalidListenAddress)
        }
    }
}

/// True for a DNS name. Names that consist of digits and dots are mistyped addresses.
fn is_host_name(host: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=253).contains(&host.len())
        && host.bytes().all(is_allowed)
        && host.bytes().any(|byte| byte.is_ascii_alphabetic())
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V4(host), port) => write!(f, "{host}:{port}"),
            Self::Ip(IpAddr::V6(host), port) => write!(f, "[{host}]:{port}"),
            Self::Name(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_names_a_host_and_a_port_or_a_socket() {
        for (text, address) in [
            ("0.0.0.0:0", ListenAddress::Ip([0, 0, 0, 0].into(), 0)),
            ("[::]:80", ListenAddress::Ip([0u16; 8].into(), 80)),
            ("localhost:3100", ListenAddress::Name("localhost".into(), 3100)),
            (" localhost:3100\n", ListenAddress::Name("localhost".into(), 3100)),
            ("a-b.example:1", ListenAddress::Name("a-b.example".into(), 1)),
            ("unix:/run/x.sock", ListenAddress::Unix("/run/x.sock".into())),
        ] {
            assert_eq!(text.parse(), Ok(address), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_address() {
        for text in [
            "",
            "3100",
            ":3100",
            "localhost",
            "localhost:",
            "localhost:65536",
            "127.0.0.1",
            "127.0.0:80",
            "::1:80",
            "[::1]",
            "[localhost]:80",
            "http://localhost:80",
            "a b:80",
            "unix:",
            "unix:relative.sock",
            "unix:/",
        ] {
            assert_eq!(text.parse::<ListenAddress>(), Err(InvalidListenAddress), "{text}");
        }
    }
}
