//! The command `healthcheck`: asks the server on this machine for its health. It is for containers without a shell or `curl`.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream, ToSocketAddrs},
    time::Duration,
};

use clap::Args;
use rustls::{ClientConnection, StreamOwned, pki_types::ServerName};

use super::{Failure, any_certificate, print};
use crate::config::{ListenAddress, Sources};

/// The time limit for the connection, and for each read and write.
const LIMIT: Duration = Duration::from_secs(3);
/// More than a response to a health check has.
const MAX_RESPONSE: u64 = 64 * 1024;

/// The answer to a TLS handshake cannot be parsed.
const NO_TLS: &str = "the answer is no TLS. Is the server running with these settings? ";

/// The options of the command.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Options {
    /// Ask for /readyz: the server can also reach its store. Otherwise /healthz: the server answers.
    #[arg(long)]
    ready: bool,
}

pub(super) fn run(sources: &Sources, options: Options) -> Result<(), Failure> {
    let settings = sources.load_settings()?;
    let has_tls = settings.tls_cert_file.is_some();
    let address = settings.listen.and_then(|addresses| addresses.into_iter().next());
    let address = address.unwrap_or(ListenAddress::DEFAULT);
    let path = if options.ready { "/readyz" } else { "/healthz" };
    let response = request(&address, has_tls, path).map_err(|error| {
        let what = if error.kind() == io::ErrorKind::InvalidData {
            NO_TLS
        } else {
            ""
        };
        Failure::Other(format!("{address}: {what}{error}"))
    })?;
    let status = response.lines().next().unwrap_or_default();
    if !status.starts_with("HTTP/1.") {
        return Err(Failure::Other(format!("{address}: {}", no_http(&response))));
    }
    if status.split(' ').nth(1) == Some("200") {
        print(&format!("{address}: {path} is good"))
    } else {
        let body = response.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        Err(Failure::Other(format!("{address}: {path}: {status}: {body}")))
    }
}

/// Describes an answer without a status line.
fn no_http(answer: &str) -> &'static str {
    // The type and the version of a TLS alert (RFC 8446, section 5.1).
    if answer.starts_with("\u{15}\u{3}") {
        "the server expects TLS. Give this command the settings of the server: --config, or tls_cert_file"
    } else {
        "the answer is no HTTP: another program listens there"
    }
}

/// Sends a request and returns the response.
fn request(address: &ListenAddress, has_tls: bool, path: &str) -> io::Result<String> {
    match address {
        ListenAddress::Ip(host, port) => tcp((reachable(*host), *port), has_tls, path),
        ListenAddress::Name(host, port) => tcp((host.as_str(), *port), has_tls, path),
        #[cfg(unix)]
        ListenAddress::Unix(socket) => {
            let stream = std::os::unix::net::UnixStream::connect(socket)?;
            stream.set_read_timeout(Some(LIMIT))?;
            stream.set_write_timeout(Some(LIMIT))?;
            exchange(stream, path)
        }
        #[cfg(not(unix))]
        ListenAddress::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// A server that listens on all addresses of the machine is asked on the loopback address.
const fn reachable(host: IpAddr) -> IpAddr {
    match host {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        host => host,
    }
}

fn tcp(address: impl ToSocketAddrs, has_tls: bool, path: &str) -> io::Result<String> {
    let mut failure = io::Error::from(io::ErrorKind::NotFound);
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, LIMIT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(LIMIT))?;
                stream.set_write_timeout(Some(LIMIT))?;
                return if has_tls {
                    exchange(tls(stream)?, path)
                } else {
                    exchange(stream, path)
                };
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn exchange(mut stream: impl Read + Write, path: &str) -> io::Result<String> {
    // In one write: a server that expects TLS may answer and close after the first bytes.
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let sent = stream.write_all(request.as_bytes()).and_then(|()| stream.flush());
    let mut response = Vec::new();
    let read = stream.take(MAX_RESPONSE).read_to_end(&mut response);
    // A TLS connection may end without a closing message, after the response.
    if response.is_empty() {
        sent?;
        read?;
        let closed = "the connection was closed without an answer";
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, closed));
    }
    Ok(String::from_utf8_lossy(&response).into_owned())
}

fn tls(stream: TcpStream) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let config = any_certificate::client_config()?;
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(connection, stream))
}
