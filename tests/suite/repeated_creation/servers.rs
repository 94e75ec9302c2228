//! Repeated creations on several servers with one Redis, and through a proxy that loses responses.

use std::time::Duration;

use serde_json::json;
use session_auth_server::config::{Config, Settings, Store};
use session_auth_tests::{
    api::Api,
    proxy::{Fate, Proxy},
    redis::Keyspace,
    server::{PASSWORD, START, TestServer, cheap_hash},
};
use tower_session_auth::{
    KeySet, SigningKey,
    clock::{ManualClock, Timestamp},
};

const KEY: &str = "0b7c2f0e-the-first";

fn clock() -> ManualClock {
    ManualClock::new(Timestamp(START))
}

async fn server(keyspace: &Keyspace, keys: KeySet, clock: &ManualClock, settings: Settings) -> TestServer {
    let settings = Settings {
        master_password_hash: Some(cheap_hash()),
        ..settings
    };
    let mut config = Config::resolve(settings).expect("a configuration");
    let mut redis = keyspace.config();
    // These tests do not cover the deadline.
    redis.timeout = Duration::from_secs(5);
    config.store = Store::Redis(redis);
    config.keys = keys;
    TestServer::run(config, None, clock.clone()).await
}

#[tokio::test]
async fn creation_is_repeated_by_another_server_across_a_change_of_key_and_policy() {
    let (keyspace, clock) = (Keyspace::fresh(), clock());
    let (old, new) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let first = server(
        &keyspace,
        KeySet::single(old.clone()),
        &clock,
        Settings::default(),
    )
    .await;
    let changed = Settings {
        session_ttl: Some(1_000),
        max_renewals: Some(3),
        ..Settings::default()
    };
    let second = server(&keyspace, KeySet::single(new).with_previous(old), &clock, changed).await;

    let body = json!({ "agentId": first.api.agent().await });
    let created = first.api.create_with(body.clone(), KEY).await.expect(201);
    first.advance(59);
    let again = second.api.create_with(body.clone(), KEY).await.expect(201);
    assert_eq!(again.body, created.body);
    second.api.access(&again.text("token")).await.expect(200);

    let other = second.api.create(body).await.expect(201);
    assert_eq!(
        other.number("expiresAt"),
        START + 59 + 1_000,
        "the new policy applies to other sessions"
    );
}

#[tokio::test]
async fn creation_cannot_be_repeated_without_the_key_that_signed_its_token() {
    let (keyspace, clock) = (Keyspace::fresh(), clock());
    let (old, new) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let first = server(
        &keyspace,
        KeySet::single(old.clone()),
        &clock,
        Settings::default(),
    )
    .await;
    let second = server(&keyspace, KeySet::single(new), &clock, Settings::default()).await;
    let body = json!({ "agentId": first.api.agent().await });
    first.api.create_with(body.clone(), KEY).await.expect(201);
    second
        .api
        .create_with(body, KEY)
        .await
        .rejected(500, "INTERNAL_ERROR");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_creations_on_two_servers_with_one_key_have_one_response() {
    let (keyspace, clock) = (Keyspace::fresh(), clock());
    let keys = KeySet::single(SigningKey::generate().unwrap());
    let first = server(&keyspace, keys.clone(), &clock, Settings::default()).await;
    let second = server(&keyspace, keys, &clock, Settings::default()).await;
    let body = json!({ "agentId": first.api.agent().await });
    let sent: Vec<_> = (0..64)
        .map(|count| {
            let server = if count % 2 == 0 { &first } else { &second };
            let (api, body) = (server.api.clone(), body.clone());
            tokio::spawn(async move { api.create_with(body, KEY).await })
        })
        .collect();
    let mut bodies = Vec::new();
    for reply in sent {
        bodies.push(reply.await.unwrap().expect(201).body);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
    let list = second.api.list("").await.expect(200);
    assert_eq!(list.body.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn lost_responses_cost_one_place_and_the_repetition_delivers_the_token() {
    for server in [TestServer::memory().await, TestServer::redis().await] {
        let proxy = Proxy::start(server.address, None).await;
        let through = Api::new(proxy.address, PASSWORD);
        proxy.next(vec![Fate::AnswerLost; 3]);
        for _ in 0..3 {
            assert!(through.try_post_with("/v1/agents", "{}", KEY).await.is_none());
        }
        let agent = through
            .try_post_with("/v1/agents", "{}", KEY)
            .await
            .unwrap()
            .expect(201)
            .text("id");
        let agents = server.api.master(http::Method::GET, "/v1/agents", None).await;
        assert_eq!(agents.expect(200).body.as_array().map(Vec::len), Some(1));

        let body = json!({ "agentId": agent }).to_string();
        proxy.next(vec![
            Fate::AnswerLost,
            Fate::RequestLost,
            Fate::AnswerLost,
            Fate::AnswerLost,
            Fate::AnswerLost,
        ]);
        for _ in 0..5 {
            assert!(through.try_post_with("/v1/sessions", &body, KEY).await.is_none());
        }
        let issued = through
            .try_post_with("/v1/sessions", &body, KEY)
            .await
            .unwrap()
            .expect(201)
            .issued();
        server.api.access(&issued.token).await.expect(200);
        assert_eq!(
            proxy.tokens(&issued.id, 0).len(),
            1,
            "every response had this token"
        );
        for _ in 0..4 {
            server.api.session(&agent).await;
        }
        let sixth = server.api.create(json!({ "agentId": agent })).await;
        sixth.rejected(403, "SESSION_LIMIT_EXCEEDED");
    }
}
