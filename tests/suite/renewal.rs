//! Renewal over HTTP, on both stores: retries, overlap, reuse, lost writes, and rotation by an administrator.

use std::path::PathBuf;

use session_auth_server::config::Settings;
use session_auth_tests::{
    api::{Issued, Reply},
    folder::Folder,
    on_both_stores,
    redis::{TestRedis, command},
    server::{START, TestServer},
};
use tower_session_auth::{
    SigningKey,
    clock::{ManualClock, Timestamp},
    session::OnReuse,
};

const DAY: u64 = 86_400;
const KEY: &str = "0b7c2f0e-the-first";

/// Creates a session and renews it with [`KEY`] after half a day. Returns the first and the second token.
async fn renewed(server: &TestServer) -> (Issued, Issued) {
    let first = server.api.session(&server.api.agent().await).await;
    server.advance(DAY / 2);
    let second = server.api.renew_with(&first.id, &first.token, KEY).await;
    (first, second.expect(200).issued())
}

async fn retry(server: &TestServer, first: &Issued) -> Reply {
    server.api.renew_with(&first.id, &first.token, KEY).await
}

on_both_stores! {
    async fn retried_renewal_gets_the_same_response_until_the_retry_window_closes(server: TestServer) {
        let (first, second) = renewed(&server).await;
        for later in [0, 59] {
            server.advance(later);
            assert_eq!(retry(&server, &first).await.expect(200).body, second.body);
        }
        server.api.access(&second.token).await.expect(200);
        server.api.access(&first.token).await.rejected(401, "TOKEN_SUPERSEDED");
        server.advance(1);
        retry(&server, &first).await.rejected(403, "SESSION_RENEWAL_MISMATCH");
        server.api.access(&second.token).await.expect(200);
    }

    async fn only_the_same_idempotency_key_retries_a_renewal(server: TestServer) {
        let (first, _) = renewed(&server).await;
        let mismatch = |reply: Reply| reply.rejected(403, "SESSION_RENEWAL_MISMATCH");
        mismatch(server.api.renew(&first.id, &first.token).await);
        mismatch(server.api.renew_with(&first.id, &first.token, "another-key").await);
        retry(&server, &first).await.expect(200);
    }

    async fn idempotency_key_has_8_to_255_visible_characters(server: TestServer) {
        let session = server.api.session(&server.api.agent().await).await;
        let seven = "1234567";
        for bad in ["", seven, "with a space", "caf\u{e9}-caf\u{e9}", &"x".repeat(256)] {
            let reply = server.api.renew_with(&session.id, &session.token, bad).await;
            reply.rejected(400, "VALIDATION_FAILED");
            assert_eq!(reply.issue_paths(), ["Idempotency-Key"], "{bad}");
        }
        for good in ["12345678", "\"quoted-as-in-the-draft\"", &"x".repeat(255)] {
            let reply = server.api.renew_with(&session.id, &session.token, good).await;
            reply.rejected(403, "RENEWAL_TOO_EARLY");
        }
    }

    async fn retried_renewal_of_an_expired_or_revoked_session_is_rejected(server: TestServer) {
        let first = server.api.session(&server.api.agent().await).await;
        server.advance(DAY - 30);
        retry(&server, &first).await.expect(200);
        server.advance(29);
        retry(&server, &first).await.expect(200);
        server.advance(1);
        retry(&server, &first).await.rejected(401, "TOKEN_EXPIRED");
        server.api.revoke(&first.id).await.expect(200);
        retry(&server, &first).await.rejected(401, "SESSION_REVOKED");
    }

    async fn retry_window_closes_when_the_new_token_is_rotated(server: TestServer) {
        let (first, second) = renewed(&server).await;
        server.api.rotate(&first.id).await.expect(200);
        retry(&server, &first).await.rejected(403, "SESSION_RENEWAL_MISMATCH");
        server.api.access(&second.token).await.rejected(401, "TOKEN_SUPERSEDED");
    }

    async fn retry_window_closes_at_the_next_renewal(server: TestServer) {
        // The absolute lifetime shortens the second ttl, so that a renewal is due before the first token expires.
        let agent = server.api.agent().await;
        let request = serde_json::json!({ "agentId": agent, "ttl": 600, "absoluteLifetime": 620 });
        let first = server.api.create(request).await.expect(201).issued();
        server.advance(570);
        let second = retry(&server, &first).await.expect(200).issued();
        server.advance(25);
        retry(&server, &first).await.expect(200);
        let third = server.api.renew_with(&first.id, &second.token, KEY).await.expect(200).issued();
        retry(&server, &first).await.rejected(403, "SESSION_RENEWAL_MISMATCH");
        server.api.access(&third.token).await.expect(200);
    }

    async fn second_idempotency_key_header_is_rejected(server: TestServer) {
        let session = server.api.session(&server.api.agent().await).await;
        let request = http::Request::put(format!("/v1/sessions/{}/renew", session.id))
            .header("authorization", format!("Bearer {}", session.token))
            .header("idempotency-key", KEY)
            .header("idempotency-key", KEY)
            .body(Default::default())
            .unwrap();
        let reply = server.api.send(request).await;
        reply.rejected(400, "VALIDATION_FAILED");
        assert_eq!(reply.issue_paths(), ["Idempotency-Key"]);
    }

    async fn concurrent_retries_make_one_renewal(server: TestServer) {
        let first = server.api.session(&server.api.agent().await).await;
        server.advance(DAY / 2);
        let sent: Vec<_> = (0..32)
            .map(|_| {
                let (api, first) = (server.api.clone(), first.clone());
                tokio::spawn(async move { api.renew_with(&first.id, &first.token, KEY).await })
            })
            .collect();
        let mut bodies = Vec::new();
        for reply in sent {
            bodies.push(reply.await.unwrap().expect(200).body);
        }
        bodies.dedup();
        assert_eq!(bodies.len(), 1, "every retry gets the same response");
        assert_eq!(bodies[0]["renewalCount"], 1);
    }

    async fn rotation_replaces_the_token_and_changes_nothing_else(server: TestServer) {
        let (_, second) = renewed(&server).await;
        server.advance(100);
        let rotated = server.api.rotate(&second.id).await.expect(200);
        assert_eq!(rotated.header("cache-control"), "no-store");
        for unchanged in ["id", "tokenType", "expiresAt", "absoluteExpiresAt", "renewalCount", "maxRenewals"] {
            assert_eq!(rotated.body[unchanged], second.body[unchanged], "{unchanged}");
        }
        let renew_after = rotated.number("renewAfter");
        assert!((START + DAY..=START + DAY / 2 + DAY / 10 * 8).contains(&renew_after), "{renew_after}");
        server.api.access(&second.token).await.rejected(401, "TOKEN_SUPERSEDED");
        server.api.access(&rotated.text("token")).await.expect(200);
        let again = server.api.rotate(&second.id).await.expect(200);
        server.api.access(&rotated.text("token")).await.rejected(401, "TOKEN_SUPERSEDED");
        let third = server.api.renew(&second.id, &again.text("token")).await;
        third.rejected(403, "RENEWAL_TOO_EARLY");
        server.advance(DAY / 2 - 100);
        let third = server.api.renew(&second.id, &again.text("token")).await.expect(200);
        assert_eq!(third.number("renewalCount"), 2);
    }

    async fn rotation_needs_the_master_password_and_an_active_session(server: TestServer) {
        let session = server.api.session(&server.api.agent().await).await;
        let path = format!("/v1/sessions/{}/rotate", session.id);
        let by_agent = server.api.bearer(http::Method::POST, &path, &session.token).await;
        by_agent.rejected(401, "INVALID_MASTER_PASSWORD");
        server.api.rotate("0199c82c-c000-7abc-8def-0123456789ab").await.rejected(404, "SESSION_NOT_FOUND");
        server.api.rotate("no-id").await.rejected(400, "VALIDATION_FAILED");
        server.api.revoke(&session.id).await.expect(200);
        server.api.rotate(&session.id).await.rejected(401, "SESSION_REVOKED");
    }

    async fn renewal_times_are_spread_over_sessions(server: TestServer) {
        let mut points = std::collections::BTreeSet::new();
        for _ in 0..20 {
            let session = server.api.session(&server.api.agent().await).await;
            let renew_after = session.body["renewAfter"].as_u64().unwrap();
            assert!((START + DAY / 2..=START + DAY / 10 * 8).contains(&renew_after));
            points.insert(renew_after);
        }
        assert!(points.len() > 10, "{points:?}");
    }
}

/// One server for each store, with these settings.
async fn both(adjust: impl Fn(&mut Settings)) -> [TestServer; 2] {
    [
        TestServer::memory_with(&adjust).await,
        TestServer::redis_with(&adjust).await,
    ]
}

#[tokio::test]
async fn retry_window_of_0_disables_retries() {
    for server in both(|settings| settings.renewal_retry_window = Some(0)).await {
        let (first, second) = renewed(&server).await;
        retry(&server, &first)
            .await
            .rejected(403, "SESSION_RENEWAL_MISMATCH");
        server.api.access(&second.token).await.expect(200);
    }
}

#[tokio::test]
async fn previous_token_is_accepted_during_the_overlap_for_api_requests_only() {
    for server in both(|settings| settings.previous_token_overlap = Some(5)).await {
        let (first, second) = renewed(&server).await;
        server.advance(4);
        server.api.access(&first.token).await.expect(200);
        let ended = server
            .api
            .bearer(http::Method::DELETE, "/v1/session", &first.token)
            .await;
        ended.rejected(401, "TOKEN_SUPERSEDED");
        server.api.access(&second.token).await.expect(200);
        let renewal = server.api.renew(&first.id, &first.token).await;
        renewal.rejected(403, "SESSION_RENEWAL_MISMATCH");
        server.advance(1);
        server
            .api
            .access(&first.token)
            .await
            .rejected(401, "TOKEN_SUPERSEDED");

        let (first, second) = renewed(&server).await;
        server.api.rotate(&first.id).await.expect(200);
        for dead in [&first, &second] {
            server
                .api
                .access(&dead.token)
                .await
                .rejected(401, "TOKEN_SUPERSEDED");
        }
        let (first, _) = renewed(&server).await;
        server.api.revoke(&first.id).await.expect(200);
        server
            .api
            .access(&first.token)
            .await
            .rejected(401, "SESSION_REVOKED");
    }
}

#[tokio::test]
async fn overlap_covers_one_generation_and_ends_when_the_token_expires() {
    for server in both(|settings| settings.previous_token_overlap = Some(DAY)).await {
        let (first, second) = renewed(&server).await;
        server.advance(DAY / 2 - 1);
        server.api.access(&first.token).await.expect(200);
        server.advance(1);
        server
            .api
            .access(&first.token)
            .await
            .rejected(401, "TOKEN_EXPIRED");
        let third = server
            .api
            .renew(&second.id, &second.token)
            .await
            .expect(200)
            .issued();
        server.api.access(&second.token).await.expect(200);
        server.api.access(&third.token).await.expect(200);
        server.api.rotate(&second.id).await.expect(200);
        server
            .api
            .access(&second.token)
            .await
            .rejected(401, "TOKEN_SUPERSEDED");
    }
}

#[tokio::test]
async fn reuse_revokes_the_session_only_if_configured_and_after_the_retry_window() {
    for on_reuse in [None, Some(OnReuse::Revoke)] {
        for server in both(|settings| settings.on_reuse = on_reuse).await {
            let (first, second) = renewed(&server).await;
            server.advance(59);
            server
                .api
                .access(&first.token)
                .await
                .rejected(401, "TOKEN_SUPERSEDED");
            let lost = server.api.renew(&first.id, &first.token).await;
            lost.rejected(403, "SESSION_RENEWAL_MISMATCH");
            server.api.access(&second.token).await.expect(200);
            server.advance(1);
            server
                .api
                .access(&first.token)
                .await
                .rejected(401, "TOKEN_SUPERSEDED");
            let after = server.api.access(&second.token).await;
            match on_reuse {
                None => drop(after.expect(200)),
                Some(_) => after.rejected(401, "SESSION_REVOKED"),
            }
        }
    }
}

#[tokio::test]
async fn token_two_generations_old_is_reuse_even_inside_the_retry_window() {
    for server in both(|settings| settings.on_reuse = Some(OnReuse::Revoke)).await {
        let agent = server.api.agent().await;
        let request = serde_json::json!({ "agentId": agent, "ttl": 600, "absoluteLifetime": 620 });
        let first = server.api.create(request).await.expect(201).issued();
        server.advance(570);
        let second = server
            .api
            .renew(&first.id, &first.token)
            .await
            .expect(200)
            .issued();
        server.advance(25);
        let third = server
            .api
            .renew(&first.id, &second.token)
            .await
            .expect(200)
            .issued();
        server
            .api
            .access(&second.token)
            .await
            .rejected(401, "TOKEN_SUPERSEDED");
        server.api.access(&third.token).await.expect(200);
        server
            .api
            .access(&first.token)
            .await
            .rejected(401, "TOKEN_SUPERSEDED");
        server
            .api
            .access(&third.token)
            .await
            .rejected(401, "SESSION_REVOKED");
    }
}

#[tokio::test]
async fn reuse_at_renewal_revokes_but_a_token_replaced_by_rotation_does_not() {
    for server in both(|settings| settings.on_reuse = Some(OnReuse::Revoke)).await {
        let (first, second) = renewed(&server).await;
        let rotated = server.api.rotate(&first.id).await.expect(200).issued();
        server.advance(60);
        for before in [&first, &second] {
            server
                .api
                .access(&before.token)
                .await
                .rejected(401, "TOKEN_SUPERSEDED");
        }
        server.api.access(&rotated.token).await.expect(200);

        let (first, second) = renewed(&server).await;
        server.advance(60);
        let reuse = server.api.renew(&first.id, &first.token).await;
        reuse.rejected(403, "SESSION_RENEWAL_MISMATCH");
        server
            .api
            .access(&second.token)
            .await
            .rejected(401, "SESSION_REVOKED");
    }
}

#[tokio::test]
async fn token_ahead_of_the_stored_record_gets_session_state_lost() {
    let redis = TestRedis::shared();
    let url = redis.fresh_database();
    let server = TestServer::redis_with(|settings| settings.redis_url = Some(url.clone())).await;
    let first = server.api.session(&server.api.agent().await).await;
    let digits = first.id.replace('-', "");
    let key = format!("session:{{{}}}:{}", &digits[28..], &digits[..28]);
    let copied: i64 = command(&url, &["COPY", &key, "before"]).unwrap();
    assert_eq!(copied, 1);
    server.advance(DAY / 2);
    let second = server
        .api
        .renew_with(&first.id, &first.token, KEY)
        .await
        .expect(200)
        .issued();
    // Simulates a failover to a replica that lacks the renewal.
    let _: i64 = command(&url, &["COPY", "before", &key, "REPLACE"]).unwrap();
    server
        .api
        .access(&second.token)
        .await
        .rejected(401, "SESSION_STATE_LOST");
    let renewal = server.api.renew(&first.id, &second.token).await;
    renewal.rejected(401, "SESSION_STATE_LOST");
    assert_eq!(renewal.body["retryable"], false);
    server.api.access(&first.token).await.expect(200);
}

/// Simulates a restart with persistence: keys and their ttls are kept, loaded scripts are lost.
fn restart_with_data(redis: &mut TestRedis) {
    let keys: Vec<Vec<u8>> = redis.command(&["KEYS", "*"]).unwrap();
    let mut connection = ::redis::Client::open(redis.url())
        .unwrap()
        .get_connection()
        .unwrap();
    let dump = |key: &Vec<u8>| {
        let dumped: Vec<u8> = ::redis::cmd("DUMP").arg(key).query(&mut connection).unwrap();
        let ttl: i64 = ::redis::cmd("PTTL").arg(key).query(&mut connection).unwrap();
        (key.clone(), ttl.max(0), dumped)
    };
    let dumps: Vec<_> = keys.iter().map(dump).collect();
    assert!(dumps.len() >= 4, "session, index, agent and registry");
    redis.restart();
    let mut connection = ::redis::Client::open(redis.url())
        .unwrap()
        .get_connection()
        .unwrap();
    for (key, ttl, dumped) in dumps {
        let mut restore = ::redis::cmd("RESTORE");
        restore.arg(key).arg(ttl).arg(dumped);
        restore.query::<()>(&mut connection).unwrap();
    }
}

/// A key file, removed on drop.
struct KeyFile {
    path: PathBuf,
    _folder: Folder,
}

impl KeyFile {
    fn new(keys: &[&SigningKey]) -> Self {
        let lines: Vec<_> = keys.iter().map(|key| key.to_paserk()).collect();
        let folder = Folder::new("renewal-keys");
        Self {
            path: folder.write("keys", &lines.join("\n")).into(),
            _folder: folder,
        }
    }
}

#[tokio::test]
async fn retry_works_on_another_server_after_a_redis_restart_and_a_key_rotation() {
    let mut redis = TestRedis::start();
    let [old, new] = [(); 2].map(|()| SigningKey::generate().unwrap());
    let clock = ManualClock::new(Timestamp(START));
    let server = async |keys: &KeyFile, url: String| {
        let settings = Settings {
            key_file: Some(keys.path.clone()),
            redis_url: Some(url),
            ..Settings::default()
        };
        TestServer::start(settings, None, clock.clone()).await
    };
    let (before, after) = (KeyFile::new(&[&old]), KeyFile::new(&[&new, &old]));
    let first_server = server(&before, redis.url()).await;
    let (first, second) = renewed(&first_server).await;
    restart_with_data(&mut redis);
    let elsewhere = server(&after, redis.url()).await;
    assert_eq!(retry(&elsewhere, &first).await.expect(200).body, second.body);
    elsewhere.api.access(&second.token).await.expect(200);
    // The next renewal signs with the new key.
    elsewhere.advance(DAY / 2);
    let third = elsewhere
        .api
        .renew(&second.id, &second.token)
        .await
        .expect(200)
        .issued();
    first_server
        .api
        .access(&third.token)
        .await
        .rejected(401, "INVALID_TOKEN");
    elsewhere.api.access(&third.token).await.expect(200);
}
