//! `pyseto`, another implementation of PASETO and PASERK.

use std::time::Duration;

use serde_json::json;
use session_auth_server::config::Settings;
use session_auth_tests::server::TestServer;
use tower_session_auth::clock::{Clock as _, ManualClock, SystemClock, Timestamp};

use super::run;

#[tokio::test]
async fn pyseto_verifies_a_token_with_the_published_key() {
    let settings = Settings {
        audience: Some("https://api.example".to_owned()),
        ..Settings::default()
    };
    // pyseto reads the clock of the machine.
    let now = SystemClock.now().0;
    let clock = ManualClock::new(Timestamp(now - 400));
    let server = TestServer::start(settings, None, clock.clone()).await;
    let agent = server.api.agent().await;
    let request = json!({ "agentId": agent, "ttl": 300 });
    let expired = server.api.create(request.clone()).await.expect(201).issued();
    clock.advance(Duration::from_secs(400));
    let valid = server.api.create(request).await.expect(201).issued();

    let report = run(
        "verify_token.py",
        [server.api.base(), &valid.token, &expired.token],
    )
    .await;
    assert_eq!(
        report["claims"],
        json!({
            "iss": "tower-session-auth", "aud": "https://api.example", "sub": valid.id, "agt": agent, "gen": 0,
            "iat": now, "exp": now + 300,
        })
    );
    // The key id that pyseto computes is that of the server.
    assert_eq!(report["footer"], json!({ "kid": report["key_id"] }));
    assert_eq!(report["published_key_id"], report["key_id"]);
    // Of each byte of the claims, the signature and the footer.
    assert!(report["changes"].as_u64() > Some(300), "{}", report["changes"]);
    assert_eq!(report["accepted_changes"], json!([]));
    assert_eq!(report["expired"], "Token expired.");
    assert_eq!(report["other_audience"], "aud verification failed.");
}
