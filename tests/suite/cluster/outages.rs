//! Masters without a replica that die or stop.

use std::time::Duration;

use http::Method;
use session_auth_server::config::Settings;
use session_auth_tests::{
    fixtures::{NOW, agent, session},
    redis::Cluster,
    server::{START, TestServer},
};
use tokio::time::{Instant, sleep};
use tower_session_auth::{
    RedisStore,
    clock::{ManualClock, Timestamp},
    session::SessionRecord,
    store::{PageRequest, RedisStoreConfig, SessionStore as _, StoreHealth},
};

use super::{DEADLINE, HEALED_WITHIN, SLACK, impatient, read, session_on_each, time_until};

/// How long each test watches.
const WATCHED: Duration = Duration::from_secs(3);

fn cluster() -> Cluster {
    Cluster::builder()
        .without_replicas()
        .without_full_coverage()
        .start()
}

/// Reads the session of each master at once, again and again. The store must not use the first one.
async fn only_the_first_is_unavailable(store: &RedisStore, [dead, second, third]: &[SessionRecord; 3]) {
    let began = Instant::now();
    let (mut served, mut slowest) = (0, Duration::ZERO);
    while began.elapsed() < WATCHED {
        let ((dead, refused), (second, one), (third, other)) = tokio::join!(
            read(store, dead.id),
            read(store, second.id),
            read(store, third.id)
        );
        assert!(dead.is_err(), "{dead:?}");
        assert!(refused < DEADLINE + SLACK, "{refused:?}");
        for (live, took) in [(second, one), (third, other)] {
            assert_eq!(live, Ok(Some(false)), "after {:?}", began.elapsed());
            slowest = slowest.max(took);
            served += 1;
        }
    }
    println!("{served} reads of live masters, the slowest in {slowest:?}");
    assert!(slowest < DEADLINE, "{slowest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_live_masters_are_served_while_one_master_is_dead() {
    let mut cluster = cluster();
    let store = impatient(&cluster);
    let sessions = session_on_each(&cluster, &store).await;
    cluster.kill(0);
    only_the_first_is_unavailable(&store, &sessions).await;
    cluster.restart(0);
    cluster.wait_until_all_slots_are_served();
    let began = Instant::now();
    while read(&store, sessions[0].id).await.0 != Ok(None) {
        assert!(
            began.elapsed() < HEALED_WITHIN,
            "the restarted master is not used"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_live_masters_are_served_while_one_master_is_stopped() {
    let mut cluster = cluster();
    let store = impatient(&cluster);
    let sessions = session_on_each(&cluster, &store).await;
    cluster.pause(0);
    // A node that hangs does not delay the answer beyond the deadline.
    let health = store.health().await;
    assert!(matches!(health, Ok(StoreHealth::Partial { .. })), "{health:?}");
    only_the_first_is_unavailable(&store, &sessions).await;
    cluster.resume(0);
    let healed = time_until(&store, sessions[0].id, false).await;
    assert!(healed < HEALED_WITHIN, "{healed:?}");
}

/// A store that starts while a master is stopped knows the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_opened_while_a_master_is_stopped_serves_the_others() {
    let mut cluster = cluster();
    let sessions = session_on_each(&cluster, &impatient(&cluster)).await;
    cluster.pause(0);
    let store = impatient(&cluster);
    for session in &sessions[1..] {
        time_until(&store, session.id, false).await;
    }
    only_the_first_is_unavailable(&store, &sessions).await;
}

/// The others then know no address of the master, and still count its slots as its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_is_degraded_while_the_address_of_a_master_is_unknown() {
    let cluster = cluster();
    let sessions = session_on_each(&cluster, &impatient(&cluster)).await;
    cluster.command::<redis::Value>(0, &["FLUSHALL"]).unwrap();
    cluster
        .command::<redis::Value>(0, &["CLUSTER", "RESET", "HARD"])
        .unwrap();
    let began = Instant::now();
    let address_is_unknown = |node| {
        let nodes: String = cluster.command(node, &["CLUSTER", "NODES"]).unwrap();
        nodes.contains("noaddr")
    };
    while !(address_is_unknown(1) && address_is_unknown(2)) {
        assert!(began.elapsed() < Duration::from_secs(20), "the address is known");
        sleep(Duration::from_millis(50)).await;
    }
    let config = RedisStoreConfig::new(cluster.url_of(&[1, 2]));
    let store = RedisStore::open(&config).unwrap();
    time_until(&store, sessions[1].id, false).await;
    assert!(read(&store, sessions[0].id).await.0.is_err());
    let health = store.health().await;
    let Ok(StoreHealth::Partial { reason, .. }) = &health else {
        panic!("{health:?}");
    };
    let expected = "5462 of 16384 hash slots have no master that can be reached";
    assert_eq!(reason, expected);
}

/// The others go on confirming the map, and the store knows the node by its last view.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_of_another_cluster_at_the_address_of_a_master_is_not_used() {
    let cluster = cluster();
    let store = impatient(&cluster);
    let sessions = session_on_each(&cluster, &store).await;
    let of_first = |command: &[&str]| cluster.command::<redis::Value>(0, command).unwrap();
    // The node leaves the cluster, and becomes another one without sessions.
    of_first(&["FLUSHALL"]);
    of_first(&["CLUSTER", "RESET", "HARD"]);
    of_first(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let state = || cluster.command::<String>(0, &["CLUSTER", "INFO"]).unwrap();
    let began = Instant::now();
    while !state().contains("cluster_state:ok") {
        assert!(began.elapsed() < Duration::from_secs(20), "{}", state());
        sleep(Duration::from_millis(50)).await;
    }
    of_first(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    let began = Instant::now();
    while began.elapsed() < WATCHED {
        let (answer, _) = read(&store, sessions[0].id).await;
        assert!(answer.is_err(), "{answer:?} after {:?}", began.elapsed());
        let (answer, _) = read(&store, sessions[1].id).await;
        assert_eq!(answer, Ok(Some(false)));
        sleep(Duration::from_millis(5)).await;
    }
    let reason = read(&store, sessions[0].id).await.0.unwrap_err();
    assert!(
        reason.contains("another node of a cluster has this address now"),
        "{reason}"
    );
}

/// A list without the sessions of a dead master would hide sessions from an administrator.
#[tokio::test]
async fn list_is_unavailable_while_a_master_is_dead() {
    let mut cluster = cluster();
    let store = impatient(&cluster);
    session_on_each(&cluster, &store).await;
    let page = PageRequest {
        after: None,
        limit: 10,
    };
    assert_eq!(store.list(None, page).await.unwrap().items.len(), 3);
    // The master of the registry of agents lives.
    let dead = (cluster.owner("agents") + 1) % 3;
    cluster.kill(dead);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        let list = store.list(None, page).await;
        assert!(list.is_err(), "{list:?}");
    }
}

#[tokio::test]
async fn cluster_without_a_node_is_503_and_heals_without_a_restart() {
    let mut cluster = Cluster::builder().without_replicas().start();
    let settings = Settings {
        redis_url: Some(cluster.url()),
        store_timeout_ms: Some(250),
        ..Settings::default()
    };
    let server = TestServer::start(settings, None, ManualClock::new(Timestamp(START))).await;
    let session = server.api.session(&server.api.agent().await).await;
    server.api.access(&session.token).await.expect(200);
    for node in cluster.numbers() {
        cluster.kill(node);
    }
    let refused = server.api.access(&session.token).await;
    refused.rejected(503, "STORE_UNAVAILABLE");
    let ready = server.api.anonymous(Method::GET, "/readyz").await;
    assert_eq!(ready.status, 503);

    for node in cluster.numbers() {
        cluster.restart(node);
    }
    cluster.wait_until_all_slots_are_served();
    let began = Instant::now();
    while server.api.anonymous(Method::GET, "/readyz").await.status != 200 {
        assert!(began.elapsed() < HEALED_WITHIN, "never ready again");
    }
    // The servers restarted without data.
    let lost = server.api.access(&session.token).await;
    lost.rejected(401, "SESSION_NOT_FOUND");
    let session = server.api.session(&server.api.agent().await).await;
    server.api.access(&session.token).await.expect(200);
}

/// With full coverage, which is the default, a cluster without one master serves nothing.
#[tokio::test]
async fn cluster_that_is_down_is_unavailable() {
    let mut cluster = Cluster::builder().without_replicas().node_timeout_ms(500).start();
    let store = impatient(&cluster);
    let sessions = session_on_each(&cluster, &store).await;
    cluster.kill(0);
    let began = Instant::now();
    while read(&store, sessions[1].id).await.0.is_ok() {
        assert!(began.elapsed() < Duration::from_secs(10), "the cluster stays up");
    }
    assert!(store.create(&session(agent(), NOW)).await.is_err());
    assert!(store.ping().await.is_err());
    // The live masters answer, and refuse every command with a key.
    store.health().await.unwrap_err();
    cluster.restart(0);
    for session in &sessions[1..] {
        time_until(&store, session.id, false).await;
    }
}
