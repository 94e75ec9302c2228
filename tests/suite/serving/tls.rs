//! TLS on the listeners of the server.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
};
use session_auth_server::{
    config::{Config, Settings},
    tls::Certificate,
};
use session_auth_tests::{
    folder::Folder,
    raw_http::{HEALTH, RawClient},
    server::{TestServer, cheap_hash},
};
use tokio::{net::TcpStream, time::sleep};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::Http2Client;

/// PEM files of a certificate for localhost, removed on drop.
struct Files {
    folder: Folder,
    der: CertificateDer<'static>,
}

impl Files {
    fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        fs::write(folder.join("cert.pem"), made.cert.pem()).expect("a file");
        fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).expect("a file");
        Self {
            folder,
            der: made.cert.der().clone(),
        }
    }

    fn cert(&self) -> PathBuf {
        self.folder.join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.join("key.pem")
    }

    async fn server(&self, adjust: impl FnOnce(&mut Config)) -> TestServer {
        let certificate = Certificate::read(&self.cert(), &self.key()).expect("a certificate");
        TestServer::configured(|config| {
            config.certificate = Some(certificate);
            adjust(config);
        })
        .await
    }

    /// Connects, and offers these protocols by ALPN.
    async fn connect(&self, server: &TestServer, protocols: &[&str]) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("a root");
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(server.address).await.expect("a connection");
        let name = ServerName::try_from("localhost").expect("a name");
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(name, stream).await.expect("a handshake")
    }
}

#[tokio::test]
async fn client_chooses_the_protocol_by_alpn() {
    let files = Files::new("alpn");
    let server = files.server(|_| {}).await;
    let stream = files.connect(&server, &["h2", "http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut client = Http2Client::over(stream, |_| {}).await;
    assert_eq!(client.fetch("/healthz").await.0, 200);
    for protocols in [&["http/1.1"][..], &[]] {
        let stream = files.connect(&server, protocols).await;
        let mut client = RawClient::new(stream);
        assert!(client.request(HEALTH).await.contains("200 OK"));
    }
}

#[tokio::test]
async fn refused_upload_over_tls_gets_its_response() {
    let files = Files::new("tls-upload");
    let server = files.server(|_| {}).await;
    let mut client = RawClient::new(files.connect(&server, &[]).await);
    client
        .send("POST /v1/agents HTTP/1.1\r\nhost: x\r\ncontent-length: 3000000\r\n\r\n")
        .await;
    for part in vec![b' '; 3_000_000].chunks(300_000) {
        client.send_all(part).await;
        sleep(Duration::from_millis(5)).await;
    }
    let (response, clean) = client.rest().await;
    assert!(response.contains("413 Payload Too Large"), "{response}");
    assert!(clean, "close_notify");
}

#[tokio::test]
async fn handshake_has_the_time_of_a_head_and_plain_text_is_rejected() {
    let files = Files::new("tls-silent");
    let server = files
        .server(|config| config.limits.head = Duration::from_millis(100))
        .await;
    let mut silent = RawClient::connect(server.address).await;
    assert_eq!(silent.rest().await.0, "");
    let mut plain = RawClient::connect(server.address).await;
    plain.send(HEALTH).await;
    assert!(!plain.rest().await.0.contains("HTTP"));
}

#[tokio::test]
async fn head_that_takes_too_long_is_answered_over_tls() {
    let files = Files::new("tls-head");
    let server = files
        .server(|config| config.limits.head = Duration::from_millis(300))
        .await;
    let mut client = RawClient::new(files.connect(&server, &[]).await);
    client.send("GET /healthz HT").await;
    let response = client.response().await.expect("a response");
    assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
    assert_eq!(client.rest().await, (String::new(), true), "close_notify");
}

#[test]
fn unusable_certificates_are_mistakes_of_the_configuration() {
    let (files, others) = (Files::new("tls-config"), Files::new("tls-other"));
    fs::write(others.cert(), "no PEM").expect("a file");
    for (cert, key, expected) in [
        (Some(files.cert()), None, "needs tls_key_file too"),
        (
            Some(files.cert()),
            Some(others.key()),
            "is not the key of the certificate in",
        ),
        (
            Some(others.cert()),
            Some(files.key()),
            "no certificate in PEM form",
        ),
        (
            Some(files.cert()),
            Some(files.cert()),
            "no private key in PEM form",
        ),
        (Some(files.folder.join("missing")), Some(files.key()), "missing: "),
    ] {
        let settings = Settings {
            master_password_hash: Some(cheap_hash()),
            tls_cert_file: cert,
            tls_key_file: key,
            ..Settings::default()
        };
        let errors = Config::resolve(settings).expect_err("a mistake").to_string();
        assert!(errors.contains(expected), "{errors}");
    }
}
