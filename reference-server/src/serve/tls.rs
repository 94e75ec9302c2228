//! The certificate of a running server, and its replacement.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

use crate::config::Certificate;

/// The certificate of a running server. Clones share it.
#[derive(Clone)]
pub struct CurrentCertificate(Arc<ArcSwap<ServerConfig>>);

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

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.load_full())
    }
}

impl fmt::Debug for CurrentCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CurrentCertificate(..)")
    }
}

#[cfg(test)]
mod tests {
    use rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName},
    };
    use tokio_rustls::TlsConnector;

    use super::*;

    fn made(name: &str) -> (Certificate, CertificateDer<'static>) {
        let folder = std::env::temp_dir().join(format!("session-auth-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let certificate = Certificate::read(&cert, &key);
        std::fs::remove_dir_all(&folder).unwrap();
        (certificate.unwrap(), made.cert.der().clone())
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
