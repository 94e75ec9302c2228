//! TLS: certificates, and their replacement while the server runs.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
};
use tokio_rustls::TlsAcceptor;

/// A certificate chain with its key, ready for use.
#[derive(Clone)]
pub struct Certificate(Arc<ServerConfig>);

/// The certificate of a running server. Clones share it.
#[derive(Clone)]
pub struct CurrentCertificate(Arc<ArcSwap<ServerConfig>>);

/// A certificate cannot be used. The message never contains a part of the key.
#[derive(Debug, thiserror::Error)]
pub enum InvalidCertificate {
    /// A file cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// A file has no part of the expected type, or one that is damaged.
    #[error("{}: no {expected} in PEM form{}", path.display(), contains(*.found))]
    NotPem {
        /// The file.
        path: PathBuf,
        /// The expected content.
        expected: &'static str,
        /// The content of the other type, if the file has it.
        found: Option<&'static str>,
    },
    /// The key is protected by a password.
    #[error("{}: the private key is encrypted; the server needs a key without a password", .0.display())]
    Encrypted(PathBuf),
    /// The key is not that of the certificate.
    #[error("the private key is not that of the certificate")]
    ForeignKey,
    /// The certificate or the key has a form or a type that is not supported.
    #[error("the certificate and the key cannot be used together: {0}")]
    Unusable(rustls::Error),
}

/// The type of a part of a PEM file.
const CERTIFICATE: &str = "certificate";
const PRIVATE_KEY: &str = "private key";

fn contains(found: Option<&str>) -> String {
    found.map_or_else(String::new, |found| format!("; it contains a {found}"))
}

impl Certificate {
    /// Reads a certificate chain and its private key from PEM files. The server's own certificate is the first one.
    ///
    /// # Errors
    /// If a file cannot be read or parsed, or if the key does not belong to the certificate.
    pub fn read(cert_file: &Path, key_file: &Path) -> Result<Self, InvalidCertificate> {
        Self::new(read_chain(cert_file)?, read_key(key_file)?)
    }

    /// A certificate chain with its private key.
    ///
    /// # Errors
    /// If the key does not belong to the certificate, or one of them is not supported.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, InvalidCertificate> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => InvalidCertificate::ForeignKey,
                error => InvalidCertificate::Unusable(error),
            })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

impl CurrentCertificate {
    /// Starts with this certificate.
    #[must_use]
    pub fn new(certificate: Certificate) -> Self {
        Self(Arc::new(ArcSwap::new(certificate.0)))
    }

    /// Replaces the certificate. New connections get the new one; open connections continue.
    pub fn replace(&self, certificate: Certificate) {
        self.0.store(certificate.0);
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.load_full())
    }
}

/// Reads a certificate chain from a PEM file.
///
/// # Errors
/// If the file cannot be read, or has no certificate.
pub fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, InvalidCertificate> {
    let text = read(path)?;
    let chain: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    chain.ok_or_else(|| not_pem(path, CERTIFICATE, &text))
}

/// Reads a private key from a PEM file.
///
/// # Errors
/// If the file cannot be read, or has no private key without a password.
pub fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, InvalidCertificate> {
    let text = read(path)?;
    let is_encrypted = ["BEGIN ENCRYPTED PRIVATE KEY", "Proc-Type: 4,ENCRYPTED"];
    if is_encrypted.iter().any(|mark| has(&text, mark)) {
        return Err(InvalidCertificate::Encrypted(path.to_owned()));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| not_pem(path, PRIVATE_KEY, &text))
}

fn read(path: &Path) -> Result<Vec<u8>, InvalidCertificate> {
    std::fs::read(path).map_err(|error| InvalidCertificate::Unreadable {
        path: path.to_owned(),
        error,
    })
}

fn not_pem(path: &Path, expected: &'static str, text: &[u8]) -> InvalidCertificate {
    let others = [("BEGIN CERTIFICATE-", CERTIFICATE), ("PRIVATE KEY-", PRIVATE_KEY)];
    let others = others.into_iter().filter(|(_, part)| *part != expected);
    let found = others
        .filter(|(mark, _)| has(text, mark))
        .map(|(_, part)| part)
        .next();
    InvalidCertificate::NotPem {
        path: path.to_owned(),
        expected,
        found,
    }
}

fn has(text: &[u8], mark: &str) -> bool {
    text.windows(mark.len()).any(|part| part == mark.as_bytes())
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate(..)")
    }
}

impl fmt::Debug for CurrentCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CurrentCertificate(..)")
    }
}

#[cfg(test)]
mod tests {
    use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
    use session_auth_tests::folder::Folder;
    use tokio_rustls::TlsConnector;

    use super::*;

    fn made(name: &str) -> (Certificate, CertificateDer<'static>) {
        let folder = Folder::new(name);
        let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let certificate = Certificate::read(&cert, &key).unwrap();
        (certificate, made.cert.der().clone())
    }

    /// True if a client that trusts this certificate alone can connect.
    async fn is_served(current: &CurrentCertificate, trusted: &CertificateDer<'static>) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (client, server) = tokio::io::duplex(64 * 1024);
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let (client, _) = tokio::join!(connector.connect(name, client), current.acceptor().accept(server));
        client.is_ok()
    }

    #[tokio::test]
    async fn replaced_certificate_is_used_for_new_connections() {
        let ((old, old_root), (new, new_root)) = (made("tls-old"), made("tls-new"));
        let current = CurrentCertificate::new(old);
        assert!(is_served(&current, &old_root).await);
        current.clone().replace(new);
        assert!(is_served(&current, &new_root).await);
        assert!(!is_served(&current, &old_root).await);
    }
}
