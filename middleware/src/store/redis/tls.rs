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

use redis::ConnectionAddr;
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Opens TLS connections to one server.
#[derive(Clone)]
pub(super) struct Tls {
    host: String,
    port: u16,
    name: ServerName<'static>,
    /// Set once skipped certificates are in the log.
    warned: Arc<AtomicBool>,
}

impl Tls {
    /// `None` for an address without TLS.
    pub(super) fn of(address: &ConnectionAddr) -> Result<Option<Self>, String> {
        let ConnectionAddr::TcpTls {
            host, port, insecure, ..
        } = address
        else {
            return Ok(None);
        };
        if *insecure {
            return Err("#insecure is not supported: the server's certificate is always verified".into());
        }
        let name = ServerName::try_from(host.clone()).map_err(|error| error.to_string())?;
        Ok(Some(Self {
            host: host.clone(),
            port: *port,
            name,
            warned: Arc::default(),
        }))
    }

    pub(super) async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        // Read for each connection, so that a new certificate in the store is found without a restart.
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
        let config = client_config(roots.store)?;
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        TlsConnector::from(Arc::new(config))
            .connect(self.name.clone(), stream)
            .await
    }
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

fn client_config(roots: RootCertStore) -> io::Result<ClientConfig> {
    if roots.is_empty() {
        return Err(io::Error::other("the system has no usable root certificate"));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
