//! Certificates for TLS.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
};

/// A certificate chain with its key, ready for use.
#[derive(Clone)]
pub struct Certificate(pub(crate) Arc<ServerConfig>);

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
    #[error("{}: no {expected} in PEM form", path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// The expected content.
        expected: &'static str,
    },
    /// The key does not belong to the certificate, or has a type that is not supported.
    #[error("the certificate and the key cannot be used together: {0}")]
    Unusable(rustls::Error),
}

impl Certificate {
    /// Reads a certificate chain and its private key from PEM files. The server's own certificate is the first one.
    ///
    /// # Errors
    /// If a file cannot be read or parsed, or if the key does not belong to the certificate.
    pub fn read(cert_file: &Path, key_file: &Path) -> Result<Self, InvalidCertificate> {
        let chain = read(cert_file)?;
        let chain: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&chain).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let chain = chain.ok_or_else(|| not_pem(cert_file, "certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(&read(key_file)?);
        let key = key.map_err(|_| not_pem(key_file, "private key"))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(InvalidCertificate::Unusable)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, InvalidCertificate> {
    std::fs::read(path).map_err(|error| InvalidCertificate::Unreadable {
        path: path.to_owned(),
        error,
    })
}

fn not_pem(path: &Path, expected: &'static str) -> InvalidCertificate {
    InvalidCertificate::NotPem {
        path: path.to_owned(),
        expected,
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate(..)")
    }
}
