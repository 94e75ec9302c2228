//! HTTP/2 without TLS, host names, and several listeners.

use std::{process::Command, sync::Arc};

use session_auth_server::{
    config::{Config, ListenAddress, Settings},
    serve::Listener,
};
use session_auth_tests::{
    raw_http::{HEALTH, RawClient},
    server::{TestServer, cheap_hash},
};
use tower_session_auth::clock::SystemClock;

use super::Http2Client;

#[tokio::test]
async fn http2_client_with_prior_knowledge_is_served() {
    let server = TestServer::memory().await;
    let mut client = Http2Client::connect(server.address).await;
    assert_eq!(client.fetch("/healthz").await.0, 200);
    let (status, body) = client.fetch("/v1/session").await;
    assert_eq!(status, 401);
    assert!(String::from_utf8_lossy(&body).contains("INVALID_TOKEN"));
}

#[tokio::test]
async fn curl_speaks_http2_with_prior_knowledge() {
    let server = TestServer::memory().await;
    let url = format!("http://{}/healthz", server.address);
    let run = move |option: &'static str| {
        let format = "%{http_version} %{http_code}";
        let arguments = [
            "--silent",
            "--output",
            "/dev/null",
            "--write-out",
            format,
            option,
            &url,
        ];
        Command::new("curl").args(arguments).output()
    };
    for (option, expected) in [("--http2-prior-knowledge", "2 200"), ("--http1.1", "1.1 200")] {
        let run = run.clone();
        let output = tokio::task::spawn_blocking(move || run(option))
            .await
            .expect("no panic");
        let Ok(output) = output else {
            eprintln!("there is no curl");
            return;
        };
        // Exit code 1 or 2: this curl has no HTTP/2.
        if option != "--http1.1" && matches!(output.status.code(), Some(1 | 2)) {
            continue;
        }
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    }
}

#[tokio::test]
async fn each_address_of_a_host_name_and_each_listener_is_served() {
    let settings = Settings {
        master_password_hash: Some(cheap_hash()),
        ..Settings::default()
    };
    let config = Config::resolve(settings).expect("a configuration");
    let mut listeners = Vec::new();
    for address in ["localhost:0", "127.0.0.1:0"] {
        let address: ListenAddress = address.parse().expect("an address");
        listeners.extend(Listener::bind(&address).await.expect("a listener"));
    }
    assert!(listeners.len() >= 2);
    let addresses: Vec<_> = listeners.iter().filter_map(Listener::tcp_address).collect();
    let forever = std::future::pending();
    let server = tokio::spawn(session_auth_server::run(
        config,
        Arc::new(SystemClock),
        listeners,
        forever,
        tokio::sync::mpsc::channel(1).1,
    ));
    for address in addresses {
        let mut client = RawClient::connect(address).await;
        assert!(client.request(HEALTH).await.contains("200 OK"), "{address}");
    }
    server.abort();
}
