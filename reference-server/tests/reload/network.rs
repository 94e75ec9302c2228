//! Reloading the settings of connections: trusted proxies, and the certificate.

use std::{net::SocketAddr, sync::Arc};

use http::Request;
use http_body_util::Full;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
};
use session_auth_tests::{
    free_address::free_address,
    raw_http::{HEALTH, RawClient},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    deployment::{Deployment, reload},
    support::{Folder, RunningServer, command},
};

/// The client's address in the log line of a request that a proxy forwards for 203.0.113.7.
async fn logged_client(deployment: &Deployment, id: &str) -> String {
    let request = Request::get("/healthz")
        .header("x-request-id", id)
        .header("x-forwarded-for", "203.0.113.7")
        .body(Full::default());
    let reply = deployment.api.send(request.expect("a request")).await;
    reply.expect(200);
    deployment.server.expect_log(id);
    let lines = deployment.lines("request served");
    let line = lines.iter().find(|line| line["span"]["id"] == id);
    let client = line.and_then(|line| line["span"]["client"].as_str());
    client.expect("a line with a client").to_owned()
}

#[tokio::test]
async fn reloaded_trusted_proxies_apply_to_the_next_request() {
    let deployment = Deployment::start("reload-proxies").await;
    assert_eq!(logged_client(&deployment, "proxy-unknown").await, "127.0.0.1");
    deployment.configure("trusted_proxies = ['127.0.0.0/8']\n");
    deployment.reload();
    assert_eq!(logged_client(&deployment, "proxy-trusted").await, "203.0.113.7");
    deployment.configure("trusted_proxies = ['10.0.0.0/8']\n");
    deployment.reload();
    assert_eq!(logged_client(&deployment, "proxy-removed").await, "127.0.0.1");
}

/// Writes a new certificate for localhost with its key. Returns the certificate.
pub(crate) fn certificate(folder: &Folder) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    folder.write("cert.pem", &made.cert.pem());
    folder.write("key.pem", &made.signing_key.serialize_pem());
    made.cert.der().clone()
}

/// Connects with a client that trusts this certificate alone. The error is that of the handshake.
pub(crate) async fn connect(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
) -> std::io::Result<RawClient<TlsStream<TcpStream>>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a root");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.expect("a connection");
    let name = ServerName::try_from("localhost").expect("a name");
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await.map(RawClient::new)
}

#[tokio::test]
async fn new_connections_get_the_reloaded_certificate_and_open_ones_continue() {
    let folder = Folder::new("reload-certificate");
    let address = free_address();
    let old = certificate(&folder);
    let path = |name| folder.0.join(name).display().to_string();
    let server = RunningServer::start(&mut command(&[
        "--listen",
        &address.to_string(),
        "--tls-cert-file",
        &path("cert.pem"),
        "--tls-key-file",
        &path("key.pem"),
    ]));
    server.expect_log("listening");
    let mut open = connect(address, &old).await.expect("the old certificate");
    assert!(open.request(HEALTH).await.contains("200 OK"));

    let new = certificate(&folder);
    reload(&server);
    let mut client = connect(address, &new).await.expect("the new certificate");
    assert!(client.request(HEALTH).await.contains("200 OK"));
    assert!(connect(address, &old).await.is_err(), "the old certificate");
    assert!(open.request(HEALTH).await.contains("200 OK"));
}
