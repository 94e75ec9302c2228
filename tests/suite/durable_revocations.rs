//! Revocations that wait for a replica, or for the disk of the master.

use std::time::{Duration, Instant};

use http::Method;
use session_auth_server::config::Settings;
use session_auth_tests::{
    fixtures::{NOW, agent, cached::execute, register, session},
    folder::Folder,
    redis::{Replicated, TestRedis},
    server::{START, TestServer},
};
use tokio::{task::JoinSet, time::sleep};
use tower_session_auth::{
    RedisStore,
    clock::{ManualClock, Timestamp},
    session::SessionRecord,
    store::{AgentStore as _, RedisStoreConfig, Revoked, SessionStore as _, StoreError, StoreHealth},
};

/// Far longer than any call takes.
const DEADLINE: Duration = Duration::from_secs(10);
/// Long enough for a replica that works.
const LONG: Duration = Duration::from_secs(10);
/// For a replica that is paused.
const SHORT: Duration = Duration::from_millis(50);

fn open(redis: &TestRedis, ack_timeout: Duration) -> RedisStore {
    let mut config = RedisStoreConfig::new(redis.url());
    config.timeout = DEADLINE;
    config.min_replicas_ack = 1;
    config.ack_timeout = ack_timeout;
    RedisStore::open(&config).unwrap()
}

async fn created(store: &RedisStore) -> SessionRecord {
    let new = session(agent(), NOW);
    store.create(&new).await.unwrap();
    new.record
}

async fn is_revoked(store: &RedisStore, record: &SessionRecord) -> bool {
    let read = store.read(record.id).await.unwrap();
    read.is_some_and(|record| record.revoked_at.is_some())
}

/// The durability of a revocation.
async fn revoke(store: &RedisStore, record: &SessionRecord) -> Option<bool> {
    store
        .revoke(record.id, NOW)
        .await
        .unwrap()
        .expect("a session")
        .durable
}

#[tokio::test]
async fn repeated_revocation_waits_again_until_the_replica_has_it() {
    let mut redis = Replicated::start();
    let (patient, hasty) = (open(&redis.master, LONG), open(&redis.master, SHORT));
    let record = created(&hasty).await;
    let (one, registered) = (agent(), agent());
    register(&hasty, registered, None).await;
    for agent in [one, registered] {
        hasty.create(&session(agent, NOW)).await.unwrap();
    }

    redis.replica.pause();
    // Each repetition is on another connection, whose earlier writes the replica may have.
    for (store, attempt) in [(&hasty, 1), (&hasty, 2), (&open(&redis.master, SHORT), 3)] {
        assert_eq!(revoke(store, &record).await, Some(false), "{attempt}");
        let all = store.revoke_agent(one, NOW).await.unwrap();
        assert_eq!(
            (all.active, all.durable),
            (u32::from(attempt == 1), Some(false)),
            "{attempt}"
        );
        let deleted = store
            .delete_agent(registered, NOW)
            .await
            .unwrap()
            .expect("an agent");
        assert_eq!(
            (deleted.active, deleted.durable),
            (u32::from(attempt == 1), Some(false)),
            "{attempt}"
        );
    }
    assert!(is_revoked(&hasty, &record).await, "on the master");

    redis.replica.resume();
    assert_eq!(revoke(&patient, &record).await, Some(true));
    assert_eq!(patient.revoke_agent(one, NOW).await.unwrap().durable, Some(true));
    let deleted = patient.delete_agent(registered, NOW).await.unwrap();
    assert_eq!(deleted.expect("a deleted agent").durable, Some(true));
    assert_eq!(patient.delete_agent(agent(), NOW).await.unwrap(), None, "unknown");
    assert_eq!(
        patient
            .revoke(session(agent(), NOW).record.id, NOW)
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn response_is_202_until_the_replica_has_the_revocation() {
    let mut redis = Replicated::start();
    let settings = Settings {
        redis_url: Some(redis.master.url()),
        min_replicas_ack: Some(1),
        ack_timeout_ms: Some(100),
        ..Settings::default()
    };
    let server = TestServer::start(settings, None, ManualClock::new(Timestamp(START))).await;
    let api = &server.api;
    let (agent, deleted) = (api.agent().await, api.agent().await);
    let (one, own) = (api.session(&agent).await, api.session(&agent).await);
    let own_session = async || api.bearer(Method::DELETE, "/v1/session", &own.token).await;
    let (session, sessions, agent) = (
        format!("/v1/sessions/{}", one.id),
        format!("/v1/sessions?agentId={agent}"),
        format!("/v1/agents/{deleted}"),
    );
    let delete = async |path: &str| api.master(Method::DELETE, path, None).await;

    redis.replica.pause();
    assert_eq!(own_session().await.expect(202).body["durable"], false);
    for path in [&session, &sessions, &agent] {
        for _ in 0..2 {
            let reply = delete(path).await.expect(202);
            assert_eq!(reply.body["durable"], false, "{path}: {}", reply.body);
        }
    }
    redis.replica.resume();
    let began = Instant::now();
    for path in [&session, &sessions, &agent] {
        let mut reply = delete(path).await;
        while reply.status == 202 {
            assert!(began.elapsed() < DEADLINE, "{path}");
            reply = delete(path).await;
        }
        assert_eq!(reply.expect(200).body["durable"], true, "{path}");
    }
}

#[tokio::test]
async fn many_revocations_at_once_are_durable_and_leave_few_connections() {
    let mut redis = Replicated::start();
    let store = open(&redis.master, LONG);
    let mut records = Vec::new();
    for _ in 0..100 {
        records.push(created(&store).await);
    }
    let all = async |expected, store: &RedisStore| {
        let mut calls = JoinSet::new();
        for record in records.clone() {
            let store = store.clone();
            calls.spawn(async move { revoke(&store, &record).await });
        }
        while let Some(durable) = calls.join_next().await {
            assert_eq!(durable.unwrap(), Some(expected));
        }
    };
    all(true, &store).await;
    redis.replica.pause();
    all(false, &open(&redis.master, SHORT)).await;
    redis.replica.resume();
    all(true, &store).await;
    let waited = || {
        last_commands(&redis.master)
            .into_iter()
            .filter(|(command, _)| command == "wait")
            .count()
    };
    // The others are closed, those of the other store too.
    until(|| (1..=8).contains(&waited())).await;
}

/// While the replica is paused, the revocations that wait take all places.
#[tokio::test]
async fn every_revocation_of_a_burst_holds_on_the_master_while_the_replica_is_down() {
    let mut redis = Replicated::start();
    let mut config = RedisStoreConfig::new(redis.master.url());
    config.timeout = Duration::from_secs(1);
    config.min_replicas_ack = 1;
    config.ack_timeout = Duration::from_secs(3);
    let store = RedisStore::open(&config).unwrap();
    let mut records = Vec::new();
    for _ in 0..200 {
        records.push(created(&store).await);
    }
    redis.replica.pause();
    let mut calls = JoinSet::new();
    for record in &records {
        let (store, id) = (store.clone(), record.id);
        calls.spawn(async move { store.revoke(id, NOW).await });
    }
    let mut answers: Vec<_> = Vec::new();
    while let Some(answer) = calls.join_next().await {
        answers.push(answer.unwrap());
    }
    let is_held = |answer: &Result<Option<Revoked>, StoreError>| matches!(answer, Ok(Some(revoked)) if revoked.durable == Some(false));
    let failed = answers.iter().find(|answer| !is_held(answer));
    assert!(failed.is_none(), "{failed:?}");
    for record in &records {
        assert!(is_revoked(&store, record).await);
    }
}

/// The time for acknowledgements begins when the master has answered.
#[tokio::test]
async fn revocation_fails_at_the_deadline_while_the_master_hangs() {
    const SHORT_DEADLINE: Duration = Duration::from_millis(250);
    let mut redis = Replicated::start();
    let mut config = RedisStoreConfig::new(redis.master.url());
    config.timeout = SHORT_DEADLINE;
    config.min_replicas_ack = 1;
    config.ack_timeout = LONG;
    let store = RedisStore::open(&config).unwrap();
    let record = created(&store).await;
    redis.master.pause();
    let began = Instant::now();
    let (session, all, agent) = tokio::join!(
        store.revoke(record.id, NOW),
        store.revoke_agent(record.agent_id, NOW),
        store.delete_agent(record.agent_id, NOW),
    );
    let took = began.elapsed();
    redis.master.resume();
    assert!(session.is_err() && all.is_err() && agent.is_err());
    assert!(took < 3 * SHORT_DEADLINE, "{took:?}");
}

#[tokio::test]
async fn longest_possible_times_are_accepted() {
    let redis = Replicated::start();
    let mut config = RedisStoreConfig::new(redis.master.url());
    config.timeout = Duration::MAX;
    config.min_replicas_ack = 1;
    config.ack_timeout = Duration::MAX;
    let store = RedisStore::open(&config).unwrap();
    assert_eq!(store.health().await.unwrap(), StoreHealth::Ready);
    let record = created(&store).await;
    assert_eq!(revoke(&store, &record).await, Some(true));
}

#[tokio::test]
async fn reads_are_not_delayed_while_a_revocation_waits() {
    let mut redis = Replicated::start();
    let store = open(&redis.master, LONG);
    let (revoked, other) = (created(&store).await, created(&store).await);
    redis.replica.pause();
    let mut waiting = Box::pin(revoke(&store, &revoked));
    let reads = async {
        while !is_revoked(&store, &revoked).await {}
        for _ in 0..100 {
            store.read(other.id).await.unwrap();
        }
    };
    tokio::select! {
        biased;
        durable = &mut waiting => panic!("{durable:?} before the reads were answered"),
        () = reads => {}
    }
    redis.replica.resume();
    assert_eq!(waiting.await, Some(true));
}

#[tokio::test]
async fn cancelled_revocation_leaves_no_blocked_connection() {
    let mut redis = Replicated::start();
    let store = open(&redis.master, LONG);
    let record = created(&store).await;
    redis.replica.pause();
    let blocked = || {
        last_commands(&redis.master)
            .iter()
            .any(|(command, _)| command == "wait")
    };
    {
        let waiting = revoke(&store, &record);
        tokio::select! {
            durable = waiting => panic!("{durable:?}"),
            () = until(blocked) => {}
        }
    }
    until(|| !blocked()).await;
    redis.replica.resume();
    assert_eq!(revoke(&store, &record).await, Some(true));
}

#[tokio::test]
async fn unknown_script_and_closed_idle_connection_are_healed() {
    let redis = Replicated::start();
    let store = open(&redis.master, LONG);
    let (one, two) = (created(&store).await, created(&store).await);
    assert_eq!(revoke(&store, &one).await, Some(true));
    execute(&redis.master, &["SCRIPT", "FLUSH"]);
    assert_eq!(revoke(&store, &two).await, Some(true));
    assert_eq!(
        store.revoke_agent(one.agent_id, NOW).await.unwrap().durable,
        Some(true)
    );

    let idle = last_commands(&redis.master).into_iter();
    let idle: Vec<_> = idle.filter(|(command, _)| command == "wait").collect();
    assert_eq!(idle.len(), 1, "one connection was used");
    execute(&redis.master, &["CLIENT", "KILL", "ID", &idle[0].1]);
    assert_eq!(revoke(&store, &one).await, Some(true));
}

#[tokio::test]
async fn store_that_waits_for_nothing_reports_no_durability() {
    let redis = TestRedis::start();
    let store = session_auth_tests::fixtures::open(redis.url(), DEADLINE);
    let record = created(&store).await;
    assert_eq!(revoke(&store, &record).await, None);
    assert_eq!(
        store.revoke_agent(record.agent_id, NOW).await.unwrap().durable,
        None
    );
}

#[tokio::test]
async fn revocation_waits_for_the_disk_of_the_master_where_the_server_can() {
    let folder = Folder::new("append-only");
    for append_only in ["yes", "no"] {
        let options = ["--appendonly", append_only, "--appendfsync", "always"];
        let redis = TestRedis::start_in(&folder, &options);
        let can = redis.command::<Vec<redis::Value>>(&["COMMAND", "INFO", "WAITAOF"]);
        let can = can.is_ok_and(|found| !matches!(&found[..], [redis::Value::Nil] | []));
        let mut config = RedisStoreConfig::new(redis.url());
        config.timeout = DEADLINE;
        config.ack_local_disk = true;
        config.ack_timeout = LONG;
        let store = RedisStore::open(&config).unwrap();
        let record = created(&store).await;
        let expected = can && append_only == "yes";
        assert_eq!(revoke(&store, &record).await, Some(expected), "{append_only}");
        assert!(is_revoked(&store, &record).await);
    }
}

/// The last command and the id of each client.
fn last_commands(redis: &TestRedis) -> Vec<(String, String)> {
    let clients: String = redis.command(&["CLIENT", "LIST"]).unwrap();
    let field = |line: &str, name: &str| {
        let mut fields = line.split(' ');
        let value = fields
            .find_map(|field| field.strip_prefix(name))
            .unwrap_or_default();
        value.to_owned()
    };
    let lines = clients.lines();
    lines
        .map(|line| (field(line, "cmd="), field(line, "id=")))
        .collect()
}

async fn until(mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < DEADLINE);
        sleep(Duration::from_millis(5)).await;
    }
}
