//! Ten thousand renewals over a network that loses, delays and repeats messages: the client of this crate loses no session, and
//! renewals without idempotency keys lose most.

use std::{collections::BTreeSet, time::Duration};

use http::Uri;
use session_auth_server::config::Settings;
use session_auth_tests::{
    api::{Api, Issued, http_client},
    proxy::{Fate, Proxy},
    server::{PASSWORD, TestServer},
};
use tower_session_auth::client::{ClientSession, MemoryStorage};

use crate::alone;

const SESSIONS: usize = 100;
const RENEWALS: u64 = 100;
const TTL: u64 = 300;
const SEED: u64 = 20_261_123;

fn many_renewals(settings: &mut Settings) {
    settings.session_ttl = Some(TTL);
    settings.max_renewals = Some(1_000);
    settings.max_sessions_per_agent = Some(SESSIONS as u32);
}

async fn sessions(server: &TestServer, proxy: &Proxy) -> Vec<Issued> {
    let agent = server.api.agent().await;
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        let session = server.api.session(&agent).await;
        proxy.number(format!("/v1/sessions/{}/renew", session.id));
        sessions.push(session);
    }
    sessions
}

/// The client's side of a session, with a short back-off for a local network.
async fn client(server: &TestServer, proxy: &Proxy, session: &Issued) -> ClientSession {
    let base: Uri = format!("http://{}", proxy.address).parse().unwrap();
    let saved = serde_json::from_value(session.body.clone()).unwrap();
    ClientSession::builder(http_client(), base)
        .clock(server.clock.clone())
        .backoff(Duration::from_millis(1), Duration::from_millis(20))
        .open(MemoryStorage::new(saved))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn client_loses_no_session_with_the_memory_store() {
    let _alone = alone();
    assert_no_session_is_lost(TestServer::memory_with(many_renewals).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn client_loses_no_session_with_redis() {
    let _alone = alone();
    assert_no_session_is_lost(TestServer::redis_with(many_renewals).await).await;
}

async fn assert_no_session_is_lost(server: TestServer) {
    let proxy = Proxy::start(server.address, Some(SEED)).await;
    let mut clients = Vec::new();
    for session in sessions(&server, &proxy).await {
        clients.push(client(&server, &proxy, &session).await);
    }
    let mut seen = BTreeSet::new();
    for round in 1..=RENEWALS {
        server.advance(TTL * 8 / 10);
        let renewals: Vec<_> = clients
            .iter()
            .map(|session| {
                let (session, api) = (session.clone(), server.api.clone());
                tokio::spawn(async move {
                    let token = session.fresh_token().await.expect("an active session");
                    let own = api.access(token.expose()).await.expect(200);
                    (
                        own.text("id"),
                        own.number("renewalCount"),
                        token.expose().to_owned(),
                    )
                })
            })
            .collect();
        for renewal in renewals {
            let (id, count, token) = renewal.await.unwrap();
            assert_eq!(count, round, "each round renews each session once");
            assert!(seen.insert(token.clone()));
            let given = proxy.tokens(&id, count);
            assert_eq!(
                given,
                BTreeSet::from([token]),
                "one token for each renewal of {id}"
            );
        }
    }
    let log = proxy.log();
    println!(
        "{} renewals of {SESSIONS} sessions, 0 lost, 0 forks, in {} requests: {:?}",
        seen.len(),
        log.requests.values().sum::<u64>(),
        log.fates
    );
    assert_eq!(seen.len() as u64, SESSIONS as u64 * RENEWALS);
    assert_eq!(log.tokens.len(), seen.len());
    assert_eq!(log.fates.len(), 6, "every fate occurred");
}

/// For comparison: the same network, and a client that repeats its renewals without a key.
#[tokio::test(flavor = "multi_thread")]
async fn renewals_without_idempotency_keys_lose_sessions() {
    let _alone = alone();
    let server = TestServer::memory_with(many_renewals).await;
    let proxy = Proxy::start(server.address, Some(SEED)).await;
    let api = Api::new(proxy.address, PASSWORD);
    let mut active: Vec<_> = sessions(&server, &proxy).await;
    let mut renewals = 0;
    for _ in 0..RENEWALS {
        server.advance(TTL * 8 / 10);
        let sent: Vec<_> = active
            .drain(..)
            .map(|session| {
                let api = api.clone();
                tokio::spawn(async move {
                    loop {
                        match api.try_renew(&session.id, &session.token).await {
                            Some(reply) if reply.status == 200 => return Some(reply.issued()),
                            Some(reply) => {
                                reply.rejected(403, "SESSION_RENEWAL_MISMATCH");
                                return None;
                            }
                            None => tokio::time::sleep(Duration::from_millis(1)).await,
                        }
                    }
                })
            })
            .collect();
        for renewal in sent {
            active.extend(renewal.await.unwrap());
        }
        renewals += active.len();
    }
    let lost = SESSIONS - active.len();
    println!("without keys: {lost} of {SESSIONS} sessions lost, after {renewals} renewals");
    assert!(proxy.log().fates[&Fate::AnswerLost] > 0);
    assert!(lost > SESSIONS / 2, "{lost} lost");
}
