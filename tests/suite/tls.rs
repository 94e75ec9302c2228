//! TLS to Redis. A TLS terminator, whose certificate the test makes, runs in front of a real server.
//!
//! The client runs in a separate process: the system's root certificates are chosen by environment variables.

use std::{
    env,
    net::SocketAddr,
    path::Path,
    process::Output,
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::PrivateKeyDer,
};
use session_auth_tests::{folder::Folder, redis::TestRedis};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    process::Command,
    time::sleep,
};
use tokio_rustls::TlsAcceptor;
use tower_session_auth::{
    RedisStore,
    store::{CachedStore as _, RedisStoreConfig, SessionStore as _},
};

const URL: &str = "TLS_TEST_URL";
const CHILD: &str = concat!(module_path!(), "::client_process");
/// Both are PEM. The first one is no X.509 certificate, the second one is no base64.
const BROKEN: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n\
    -----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";

/// Redis behind TLS on 127.0.0.1, and the certificate to trust.
struct Server {
    _redis: TestRedis,
    address: SocketAddr,
    certificate: String,
}

impl Server {
    async fn start() -> Self {
        let redis = TestRedis::start();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (acceptor, port) = (TlsAcceptor::from(Arc::new(config)), redis.port());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut outer = acceptor.accept(stream).await?;
                    let mut inner = TcpStream::connect(("127.0.0.1", port)).await?;
                    copy_bidirectional(&mut outer, &mut inner).await
                });
            }
        });
        Self {
            _redis: redis,
            address,
            certificate: made.cert.pem(),
        }
    }

    /// Connects from another process, whose root certificates are set by this variable.
    async fn connect(&self, variable: &str, roots: &Path) -> Output {
        Command::new(env::current_exe().unwrap())
            .args([CHILD.split_once("::").unwrap().1, "--exact", "--ignored"])
            .args(["--nocapture"])
            .env_remove("SSL_CERT_FILE")
            .env_remove("SSL_CERT_DIR")
            .env(variable, roots)
            .env(URL, format!("rediss://{}", self.address))
            .output()
            .await
            .unwrap()
    }
}

/// A folder with root certificates.
fn roots(name: &str, files: &[(&str, &str)]) -> Folder {
    let folder = Folder::new(name);
    for (name, text) in files {
        folder.write(name, text);
    }
    folder
}

#[track_caller]
fn assert_connected(output: &Output) {
    assert!(output.status.success(), "{}", said(output));
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .concat()
}

#[tokio::test]
async fn a_root_certificate_that_cannot_be_parsed_does_not_stop_tls() {
    let server = Server::start().await;
    let bundle = format!("{BROKEN}{}", server.certificate);
    let roots = roots(
        "broken",
        &[
            ("bundle.pem", &bundle),
            ("broken.pem", BROKEN),
            ("good.pem", &server.certificate),
        ],
    );
    let file = roots.0.join("bundle.pem");
    assert_connected(&server.connect("SSL_CERT_FILE", &file).await);
    assert_connected(&server.connect("SSL_CERT_DIR", &roots.0).await);
}

#[tokio::test]
async fn a_server_whose_certificate_is_not_trusted_is_not_connected_to() {
    let (server, other) = (Server::start().await, Server::start().await);
    let roots = roots("other", &[("ca.pem", &other.certificate), ("none.pem", BROKEN)]);
    for (file, reason) in [
        ("ca.pem", "certificate"),
        ("none.pem", "no usable root certificate"),
    ] {
        let output = server.connect("SSL_CERT_FILE", &roots.0.join(file)).await;
        assert!(!output.status.success(), "{file}");
        assert!(said(&output).contains(reason), "{file}: {}", said(&output));
    }
}

/// In a binary with two cryptography providers and no default, rustls panics when the default is used.
#[ignore = "started by the tests as a separate process"]
#[tokio::test]
async fn client_process() {
    let store = RedisStore::open(&RedisStoreConfig::new(env::var(URL).unwrap())).unwrap();
    let began = Instant::now();
    while let Err(error) = store.ping().await {
        assert!(began.elapsed() < Duration::from_secs(3), "not connected: {error}");
        sleep(Duration::from_millis(20)).await;
    }
    store.enable_cache().unwrap();
    while !store.cache_stats().is_some_and(|stats| stats.coherent) {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "the cache does not connect"
        );
        sleep(Duration::from_millis(20)).await;
    }
    assert!(
        CryptoProvider::get_default().is_none(),
        "the process-wide provider is left to the application"
    );
}
