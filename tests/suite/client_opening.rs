//! Opening a session against a real server: its URI, its header, and its clock.

use http::Uri;
use session_auth_server::config::Settings;
use session_auth_tests::{
    api::{Issued, http_client},
    on_both_stores,
    server::TestServer,
};
use tower_session_auth::{
    client::{ClientSession, FileStorage, MemoryStorage, OpenError, SavedSession},
    clock::{ManualClock, Timestamp},
};

fn saved(session: &Issued) -> SavedSession {
    serde_json::from_value(session.body.clone()).unwrap()
}

async fn issued(server: &TestServer) -> Issued {
    server.api.session(&server.api.agent().await).await
}

fn base(server: &TestServer, path: &str) -> Uri {
    format!("http://{}{path}", server.address).parse().unwrap()
}

on_both_stores! {
    async fn base_uri_with_a_wrong_path_is_not_a_session_server(server: TestServer) {
        let session = issued(&server).await;
        for (path, is_right) in [("", true), ("/", true), ("/v1", false), ("/sessions/", false)] {
            let builder = ClientSession::builder(http_client(), base(&server, path)).clock(server.clock.clone());
            let opened = builder.open(MemoryStorage::new(saved(&session))).await;
            match opened {
                Ok(_) => assert!(is_right, "{path}"),
                Err(error) => assert!(!is_right && matches!(error, OpenError::NotASessionServer { .. }), "{path}: {error}"),
            }
        }
        let own = server.api.access(&session.token).await.expect(200);
        assert_eq!(own.number("renewalCount"), 0, "the check has no effect");
    }
}

#[tokio::test]
async fn agent_with_a_wrong_clock_keeps_its_session() {
    // Shorter than the errors of the clocks: ten minutes slow, two hours fast.
    const TTL: u64 = 300;
    let short = |settings: &mut Settings| settings.session_ttl = Some(TTL);
    for error in [-600, 7_200] {
        for server in [
            TestServer::memory_with(short).await,
            TestServer::redis_with(short).await,
        ] {
            let local = ManualClock::new(Timestamp(server.now().checked_add_signed(error).unwrap()));
            let session = ClientSession::builder(http_client(), base(&server, ""))
                .clock(local.clone())
                .open(MemoryStorage::new(saved(&issued(&server).await)))
                .await
                .unwrap();
            let mut renewals = 0;
            for _ in 0..40 {
                server.advance(30);
                local.advance(std::time::Duration::from_secs(30));
                let token = session.fresh_token().await.unwrap();
                let own = server.api.access(token.expose()).await.expect(200);
                renewals = own.number("renewalCount");
            }
            // 1,200 seconds, and a renewal after 50 to 80 % of each ttl.
            assert!((4..=8).contains(&renewals), "{error}: {renewals}");
        }
    }
}

#[tokio::test]
async fn missing_file_is_an_error_that_names_it() {
    let http = http_client();
    let builder = ClientSession::builder(http, "http://127.0.0.1:1".parse().unwrap());
    let error = builder
        .open(FileStorage::new("/nowhere/session.json"))
        .await
        .unwrap_err();
    assert!(matches!(error, OpenError::Load(_)), "{error}");
    assert!(error.to_string().contains("/nowhere/session.json"), "{error}");
}
