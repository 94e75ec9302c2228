//! The near caches of a cluster, one for each master: when records are invalidated, and how long a stale record can be returned.

use std::time::Duration;

use session_auth_tests::{
    fixtures::{
        NOW,
        cached::{BOUND, SLACK, cache, stats, wait_until},
        open, renewal,
    },
    redis::Cluster,
};
use tokio::time::Instant;
use tower_session_auth::{
    RedisStore,
    session::SessionRecord,
    store::{CachedStore as _, SessionStore as _},
};

use super::{PATIENT, session_on, session_on_each};

async fn coherent(cluster: &Cluster) -> RedisStore {
    let store = open(cluster.url(), PATIENT);
    store.enable_cache().unwrap();
    wait_until("coherent", || stats(&store).coherent).await;
    store
}

/// Creates a session on this master, and caches its record.
async fn cached_on(cluster: &Cluster, store: &RedisStore, master: usize) -> SessionRecord {
    let record = session_on(cluster, store, master).await;
    cache(store, record.id).await;
    record
}

async fn cached_on_each(cluster: &Cluster, store: &RedisStore) -> [SessionRecord; 3] {
    let records = session_on_each(cluster, store).await;
    for record in &records {
        cache(store, record.id).await;
    }
    records
}

async fn assert_revoked(store: &RedisStore, record: &SessionRecord) {
    assert_eq!(store.cached(record.id), None);
    let read = store.read_through(record.id).await.unwrap().unwrap();
    assert!(read.revoked_at.is_some());
    assert_eq!(store.cached(record.id), None, "a revoked record is not cached");
}

fn execute(cluster: &Cluster, node: usize, arguments: &[&str]) {
    cluster.command::<redis::Value>(node, arguments).unwrap();
}

fn slot_of(cluster: &Cluster, record: &SessionRecord) -> u16 {
    cluster.slot(&format!("{{{:04x}}}", record.agent_id.bucket()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn change_by_another_process_invalidates_the_record_on_each_master() {
    let cluster = Cluster::builder().without_replicas().start();
    let (store, other) = (coherent(&cluster).await, open(cluster.url(), PATIENT));
    for round in 0..9 {
        let record = cached_on(&cluster, &store, round % 3).await;
        other.revoke(record.id, NOW).await.unwrap();
        let after = wait_until("invalidated", || store.cached(record.id).is_none()).await;
        assert!(after < SLACK, "{after:?}");
        assert_revoked(&store, &record).await;

        let record = cached_on(&cluster, &store, round % 3).await;
        let swap = renewal(&record, "1", NOW);
        other.replace_token(&swap).await.unwrap();
        wait_until("invalidated", || {
            store.cached(record.id).as_deref() != Some(&record)
        })
        .await;
        cache(&store, record.id).await;
        assert_eq!(store.cached(record.id).as_deref(), Some(&swap.next));

        let record = cached_on(&cluster, &store, round % 3).await;
        // The session is not in the index any longer: only the epoch of its agent revokes it.
        let index = format!(
            "idx:{{{:04x}}}:{}",
            record.agent_id.bucket(),
            record.agent_id.as_uuid().simple()
        );
        execute(&cluster, round % 3, &["DEL", &index]);
        other.revoke_agent(record.agent_id, NOW).await.unwrap();
        wait_until("invalidated", || store.cached(record.id).is_none()).await;
        assert_revoked(&store, &record).await;
    }
}

/// Also right after the slot was moved, when the map of the process is old.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_revocation_is_seen_immediately_on_each_master_and_after_a_move() {
    let cluster = Cluster::builder().without_replicas().start();
    let store = coherent(&cluster).await;
    for round in 0..15 {
        let from = round % 3;
        let record = cached_on(&cluster, &store, from).await;
        store.revoke(record.id, NOW).await.unwrap();
        assert_revoked(&store, &record).await;

        let record = cached_on(&cluster, &store, from).await;
        store.revoke_agent(record.agent_id, NOW).await.unwrap();
        assert_revoked(&store, &record).await;

        let record = cached_on(&cluster, &store, from).await;
        let (slot, to) = (slot_of(&cluster, &record), (from + 1) % 3);
        cluster.reshard(&[slot], from, to);
        store.revoke(record.id, NOW).await.unwrap();
        assert_revoked(&store, &record).await;
        cluster.reshard(&[slot], to, from);
        assert_revoked(&store, &record).await;
    }
}

/// A process may see no map in which the other master has the slot.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revocation_between_a_move_and_its_reversal_is_seen() {
    let cluster = Cluster::builder().without_replicas().start();
    let (store, other) = (coherent(&cluster).await, open(cluster.url(), PATIENT));
    for round in 0..15 {
        let from = round % 3;
        let (record, to) = (cached_on(&cluster, &store, from).await, (from + 1) % 3);
        let slot = slot_of(&cluster, &record);
        cluster.reshard(&[slot], from, to);
        other.revoke(record.id, NOW).await.unwrap();
        let revoked = Instant::now();
        cluster.reshard(&[slot], to, from);
        while revoked.elapsed() < BOUND {
            let _ = store.read_through(record.id).await;
        }
        let left = (revoked + BOUND + SLACK).saturating_duration_since(Instant::now());
        let after = wait_until("invalidated", || store.cached(record.id).is_none()).await;
        assert!(after < left, "{after:?}");
        assert_revoked(&store, &record).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flush_of_a_master_drops_only_its_records() {
    let cluster = Cluster::builder().without_replicas().start();
    let store = coherent(&cluster).await;
    for master in 0..3 {
        let records = cached_on_each(&cluster, &store).await;
        execute(&cluster, master, &["FLUSHALL"]);
        let id = records[master].id;
        wait_until("invalidated", || store.cached(id).is_none()).await;
        assert_eq!(store.read_through(id).await.unwrap(), None);
        for other in (0..3).filter(|other| *other != master) {
            let record = &records[other];
            wait_until("used", || store.cached(record.id).as_deref() == Some(record)).await;
        }
        wait_until("coherent again", || stats(&store).coherent).await;
    }
    assert_eq!(stats(&store).losses, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_connection_clears_the_cache_of_its_master_only() {
    let cluster = Cluster::builder().without_replicas().start();
    let store = coherent(&cluster).await;
    let records = cached_on_each(&cluster, &store).await;
    execute(
        &cluster,
        0,
        &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"],
    );
    wait_until("invalidated", || store.cached(records[0].id).is_none()).await;
    wait_until("lost", || stats(&store).losses == 1).await;
    wait_until("coherent again", || stats(&store).coherent).await;
    for record in &records[1..] {
        assert_eq!(store.cached(record.id).as_deref(), Some(record), "kept");
    }
    cache(&store, records[0].id).await;
    assert_eq!(stats(&store).losses, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_master_ends_its_lease_within_the_bound_and_no_other() {
    let mut cluster = Cluster::builder()
        .without_replicas()
        .without_full_coverage()
        .start();
    let store = coherent(&cluster).await;
    let records = cached_on_each(&cluster, &store).await;
    cluster.pause(1);
    let paused = Instant::now();
    wait_until("without a lease", || store.cached(records[1].id).is_none()).await;
    assert!(paused.elapsed() < BOUND + SLACK, "{:?}", paused.elapsed());
    assert!(!stats(&store).coherent);
    for record in [&records[0], &records[2]] {
        wait_until("used", || store.cached(record.id).as_deref() == Some(record)).await;
    }
    cluster.resume(1);
    wait_until("coherent again", || stats(&store).coherent).await;
    cache(&store, records[1].id).await;
}

/// The old master knows of the failover, and becomes a replica.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revocation_after_a_planned_failover_and_back_is_seen_within_the_bound() {
    let cluster = Cluster::builder().node_timeout_ms(1_000).start();
    let (store, other) = (coherent(&cluster).await, open(cluster.url(), PATIENT));
    let mut slowest = Duration::ZERO;
    for (old, new) in [(0, 3), (3, 0)] {
        let record = cached_on(&cluster, &store, old).await;
        cluster.fail_over(&session_auth_tests::fixtures::key(record.id), old, new);
        while other.revoke(record.id, NOW).await.is_err() {}
        let after = wait_until("invalidated", || store.cached(record.id).is_none()).await;
        assert!(after < BOUND + SLACK, "{after:?}");
        slowest = slowest.max(after);
        wait_until("coherent again", || stats(&store).coherent).await;
        while store.read(record.id).await.is_err() {}
        assert_revoked(&store, &record).await;
        cluster.wait_for_sync(old);
    }
    println!("invalidated in {slowest:?} at most");
}
