//! The command `healthcheck`: asks the server on this machine for its health. It is for containers without a shell or `curl`.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream, ToSocketAddrs},
    sync::Arc,
    time::Duration,
};

use clap::Args;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{self, CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::{Failure, print};
use crate::config::{ListenAddress, Sources};

/// The time limit for the connection, and for each read and write.
const LIMIT: Duration = Duration::from_secs(3);
/// More than a response to a health check has.
const MAX_RESPONSE: u64 = 64 * 1024;

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
    let response =
        request(&address, has_tls, path).map_err(|error| Failure::Other(format!("{address}: {error}")))?;
    let status = response.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") {
        print(&format!("{address}: {path} is good"))
    } else {
        let body = response.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        Err(Failure::Other(format!("{address}: {path}: {status}: {body}")))
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
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    )?;
    stream.flush()?;
    let mut response = Vec::new();
    let read = stream.take(MAX_RESPONSE).read_to_end(&mut response);
    // A TLS connection may end without a closing message, after the response.
    if response.is_empty() {
        read?;
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&response).into_owned())
}

fn tls(stream: TcpStream) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(connection, stream))
}

/// Accepts every certificate: the request has no secret, and the certificate is for the name that clients use.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
