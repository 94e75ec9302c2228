//! Revocations that a failover lost are written again.

use std::time::{Duration, Instant};

use session_auth_server::config::Settings;
use session_auth_tests::{
    fixtures::{NOW, agent, cached::execute, key, register, session},
    redis::{Sentinels, TestRedis},
    server::{START, TestServer},
};
use tokio::time::sleep;
use tower_session_auth::{
    RedisStore, SessionId,
    clock::{ManualClock, Timestamp},
    store::{AgentStore as _, RedisStoreConfig, SessionStore as _, StoreError},
};

/// Far longer than a failover takes.
const DEADLINE: Duration = Duration::from_secs(30);

fn open(sentinels: &Sentinels, require_durable_store: bool) -> RedisStore {
    let mut config = RedisStoreConfig::new(sentinels.url(0));
    config.require_durable_store = require_durable_store;
    RedisStore::open(&config).unwrap()
}

async fn create(store: &RedisStore, count: usize) -> Vec<SessionId> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let new = session(agent(), NOW);
        store.create(&new).await.unwrap();
        ids.push(new.record.id);
    }
    ids
}

fn replicate(sentinels: &Sentinels) {
    let replicas: u32 = sentinels.master.command(&["WAIT", "1", "5000"]).unwrap();
    assert_eq!(replicas, 1);
}

/// The first answer of the store. `None` if there is no such session, else whether it is revoked.
async fn first_answer(store: &RedisStore, id: SessionId, mut failed: impl FnMut(StoreError)) -> Option<bool> {
    let began = Instant::now();
    loop {
        match store.read(id).await {
            Ok(record) => return record.map(|record| record.revoked_at.is_some()),
            Err(error) => failed(error),
        }
        assert!(began.elapsed() < DEADLINE, "the store does not answer");
        sleep(Duration::from_millis(5)).await;
    }
}

/// True if the record on this server is revoked.
fn is_revoked(server: &TestRedis, id: SessionId) -> bool {
    let record: Vec<u8> = server.command(&["GET", &key(id)]).unwrap();
    record[0] >= 128
}

#[tokio::test]
async fn lost_revocations_are_written_again_before_the_first_read() {
    let mut sentinels = Sentinels::start();
    let store = open(&sentinels, false);
    let (mut revoked, kept) = (create(&store, 50).await, create(&store, 1).await);
    let (one, registered) = (agent(), agent());
    register(&store, registered, None).await;
    let mut of_agents = Vec::new();
    for agent in [one, one, registered] {
        let new = session(agent, NOW);
        store.create(&new).await.unwrap();
        of_agents.push(new.record.id);
    }
    replicate(&sentinels);

    sentinels.stop_replication();
    for id in &revoked {
        assert!(store.revoke(*id, NOW).await.unwrap().is_some());
    }
    assert_eq!(store.revoke_agent(one, NOW).await.unwrap().active, 2);
    let deleted = store.delete_agent(registered, NOW).await.unwrap();
    assert_eq!(deleted.unwrap().active, 1);
    let unknown = create(&store, 1).await;
    store.revoke(unknown[0], NOW).await.unwrap();
    sentinels.fail_over();

    revoked.append(&mut of_agents);
    for id in &revoked {
        assert_eq!(first_answer(&store, *id, drop).await, Some(true), "{id}");
        assert!(is_revoked(&sentinels.replica, *id), "{id}");
    }
    assert_eq!(first_answer(&store, kept[0], drop).await, Some(false));
    assert_eq!(
        first_answer(&store, unknown[0], drop).await,
        None,
        "its creation was lost too"
    );
}

#[tokio::test]
async fn server_that_is_behind_is_not_trusted_while_other_processes_write_again() {
    let mut sentinels = Sentinels::start();
    let revoking = open(&sentinels, false);
    let ids = create(&revoking, 10).await;
    replicate(&sentinels);

    sentinels.stop_replication();
    for id in &ids {
        revoking.revoke(*id, NOW).await.unwrap();
    }
    // It sees the writes, and has none of its own.
    let careful = open(&sentinels, true);
    careful.ping().await.unwrap();
    sentinels.fail_over();

    let mut distrusted = None;
    let note = |error: StoreError| {
        if error
            .to_string()
            .contains("the server is behind its predecessor by")
        {
            distrusted.get_or_insert_with(Instant::now);
        }
    };
    let answer = first_answer(&careful, ids[0], note).await;
    let distrusted = distrusted.expect("the server is behind").elapsed();
    assert!(distrusted > Duration::from_millis(4_500), "{distrusted:?}");
    assert_eq!(answer, Some(true));
    for id in ids {
        assert_eq!(first_answer(&careful, id, drop).await, Some(true), "{id}");
    }
}

/// The other processes could not write either. The new connection finds nothing that the server lacks.
#[tokio::test]
async fn server_that_is_lost_while_it_is_not_trusted_is_not_trusted_afterwards() {
    let redis = TestRedis::start();
    let mut config = RedisStoreConfig::new(redis.url());
    config.require_durable_store = true;
    let store = RedisStore::open(&config).unwrap();
    let ids = create(&store, 1).await;
    let active: Vec<u8> = redis.command(&["GET", &key(ids[0])]).unwrap();
    store.revoke(ids[0], NOW).await.unwrap();
    let undo = redis::cmd("SET").arg(key(ids[0])).arg(active).to_owned();
    let client = redis::Client::open(redis.url()).unwrap();
    undo.exec(&mut client.get_connection().unwrap()).unwrap();

    let cut = || execute(&redis, &["CLIENT", "KILL", "TYPE", "normal"]);
    cut();
    let began = Instant::now();
    let mut distrusted = None;
    let note = |error: StoreError| {
        if error.to_string().contains("the server has lost 1 revocations") && distrusted.is_none() {
            distrusted = Some(Instant::now());
            cut();
        }
    };
    assert_eq!(first_answer(&store, ids[0], note).await, Some(true));
    assert!(distrusted.is_some(), "the server lacked a revocation");
    assert!(
        began.elapsed() > Duration::from_millis(9_500),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn server_that_has_every_write_is_trusted_at_once() {
    let mut sentinels = Sentinels::start();
    let store = open(&sentinels, true);
    let ids = create(&store, 2).await;
    store.revoke(ids[0], NOW).await.unwrap();
    replicate(&sentinels);
    sentinels.fail_over();
    let note = |error: StoreError| assert!(!error.to_string().contains("not used for"), "{error}");
    assert_eq!(first_answer(&store, ids[0], note).await, Some(true));
    assert_eq!(first_answer(&store, ids[1], drop).await, Some(false));
}

#[tokio::test]
async fn server_that_lacks_a_revocation_and_refuses_writes_is_not_read() {
    let mut sentinels = Sentinels::start();
    let store = open(&sentinels, false);
    let ids = create(&store, 1).await;
    replicate(&sentinels);
    execute(
        &sentinels.replica,
        &["CONFIG", "SET", "min-replicas-to-write", "1"],
    );
    sentinels.stop_replication();
    store.revoke(ids[0], NOW).await.unwrap();
    sentinels.fail_over();

    let mut refused = false;
    let accept = |error: StoreError| {
        let told = error.to_string();
        if told.contains("cannot write recent revocations again") && told.contains("NOREPLICAS") && !refused {
            refused = true;
            execute(
                &sentinels.replica,
                &["CONFIG", "SET", "min-replicas-to-write", "0"],
            );
        }
    };
    assert_eq!(first_answer(&store, ids[0], accept).await, Some(true));
    assert!(refused, "the reason was shown");
}

#[tokio::test]
async fn requests_are_rejected_after_the_failover_and_the_metric_counts_what_was_lost() {
    let mut sentinels = Sentinels::start();
    let settings = Settings {
        redis_url: Some(sentinels.url(0)),
        store_timeout_ms: Some(250),
        ..Settings::default()
    };
    let server = TestServer::start(settings, None, ManualClock::new(Timestamp(START))).await;
    let api = &server.api;
    let agent = api.agent().await;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(api.session(&agent).await);
    }
    replicate(&sentinels);
    sentinels.stop_replication();
    for session in &sessions {
        api.revoke(&session.id).await.expect(200);
    }
    sentinels.fail_over();
    let began = Instant::now();
    for session in &sessions {
        let mut reply = api.access(&session.token).await;
        while reply.status == 503 {
            assert!(began.elapsed() < DEADLINE);
            sleep(Duration::from_millis(5)).await;
            reply = api.access(&session.token).await;
        }
        reply.rejected(401, "SESSION_REVOKED");
    }
    let rewritten = api.metric("session_auth_revocations_rewritten_total").await;
    assert_eq!(rewritten, Some(3.0));
}
