//! TLS connections to Redis (`rediss://`).
//!
//! The Redis client library could open them itself, with two faults:
//!
//! 1. It uses rustls' process-wide cryptography provider. If a binary contains two providers and has installed none, that panics.
//! 2. It cannot connect if one certificate of the system's store cannot be parsed.
//!
//! So this module selects its provider, and skips certificates that cannot be parsed.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore,
    client::WantsClientCert,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::url::Host;

/// Certificates and keys in PEM, in place of those of the system.
#[derive(Clone, Default)]
pub(super) struct TlsFiles {
    /// The authorities that may have signed the server's certificate. `None`: those of the system.
    pub(super) authorities: Option<Arc<[u8]>>,
    /// The certificate of this client, and its key.
    pub(super) client: Option<ClientPem>,
}

/// A certificate with its chain, and its key.
#[derive(Clone)]
pub(super) struct ClientPem {
    pub(super) certificates: Arc<[u8]>,
    pub(super) key: Arc<[u8]>,
}

/// Opens TLS connections to one server.
#[derive(Clone)]
pub(super) struct Tls {
    host: Host,
    name: ServerName<'static>,
    files: TlsFiles,
    /// Set once skipped certificates are in the log.
    warned: Arc<AtomicBool>,
}

impl Tls {
    pub(super) fn new(host: &Host, files: &TlsFiles) -> Result<Self, String> {
        files.check_authorities()?;
        files.check_client()?;
        Ok(Self {
            name: ServerName::try_from(host.name.clone()).map_err(|error| error.to_string())?,
            host: host.clone(),
            files: files.clone(),
            warned: Arc::default(),
        })
    }

    pub(super) async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        let store = match self.files.authorities()? {
            Some(store) => store,
            None => self.system_roots().await?,
        };
        let config = client_config(store, &self.files)?;
        let stream = TcpStream::connect((self.host.name.as_str(), self.host.port)).await?;
        stream.set_nodelay(true)?;
        TlsConnector::from(Arc::new(config))
            .connect(self.name.clone(), stream)
            .await
    }

    /// Read for each connection, so that a new certificate in the store is found without a restart.
    async fn system_roots(&self) -> io::Result<RootCertStore> {
        let roots = tokio::task::spawn_blocking(system_roots)
            .await
            .map_err(io::Error::other)?;
        if roots.skipped > 0 && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                skipped = roots.skipped,
                usable = roots.store.len(),
                "skipped root certificates that cannot be read or parsed"
            );
        }
        Ok(roots.store)
    }
}

impl TlsFiles {
    pub(super) fn check_authorities(&self) -> Result<(), String> {
        let authorities = self.authorities();
        authorities.map(drop).map_err(|error| error.to_string())
    }

    /// Checks the certificate of this client and its key.
    pub(super) fn check_client(&self) -> Result<(), String> {
        let checked = verifying(RootCertStore::empty()).and_then(|builder| with_client(builder, self));
        checked.map(drop).map_err(|error| error.to_string())
    }

    fn authorities(&self) -> io::Result<Option<RootCertStore>> {
        let Some(pem) = &self.authorities else {
            return Ok(None);
        };
        let mut store = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate =
                certificate.map_err(|_| invalid("the authorities are not certificates in PEM"))?;
            store
                .add(certificate)
                .map_err(|error| invalid(&format!("a certificate authority: {error}")))?;
        }
        if store.is_empty() {
            return Err(invalid("the file of authorities has no certificate"));
        }
        Ok(Some(store))
    }
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}

struct Roots {
    store: RootCertStore,
    /// The number of certificates or files that could not be read or parsed.
    skipped: usize,
}

/// Reads the system's root certificates, or those in `SSL_CERT_FILE` and `SSL_CERT_DIR`.
fn system_roots() -> Roots {
    let loaded = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    let (_, unparsable) = store.add_parsable_certificates(loaded.certs);
    Roots {
        store,
        skipped: unparsable + loaded.errors.len(),
    }
}

fn client_config(roots: RootCertStore, files: &TlsFiles) -> io::Result<ClientConfig> {
    if roots.is_empty() {
        return Err(io::Error::other("the system has no usable root certificate"));
    }
    with_client(verifying(roots)?, files)
}

type Builder = ConfigBuilder<ClientConfig, WantsClientCert>;

fn verifying(roots: RootCertStore) -> io::Result<Builder> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    Ok(builder.with_root_certificates(roots))
}

fn with_client(builder: Builder, files: &TlsFiles) -> io::Result<ClientConfig> {
    let Some(ClientPem { certificates, key }) = &files.client else {
        return Ok(builder.with_no_client_auth());
    };
    let certificates = CertificateDer::pem_slice_iter(certificates)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| invalid("the client's certificate is not in PEM"))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| invalid("the client's key is not in PEM"))?;
    builder
        .with_client_auth_cert(certificates, key)
        .map_err(|error| invalid(&format!("the client's certificate and key: {error}")))
}
