//! A store whose server is the master that sentinels name.

use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use session_auth_tests::{
    fixtures::{NOW, agent, open, session},
    redis::Sentinels,
};
use tokio::time::{Instant, sleep};
use tower_session_auth::{
    RedisStore, SessionId,
    store::{CachedStore as _, RedisStoreConfig, SessionStore as _},
};

mod lease;
mod login;

/// Far longer than any call takes.
const DEADLINE: Duration = Duration::from_secs(10);
/// The longest time from a new master's announcement to the store's use of it.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(1);

mod store {
    use super::*;

    /// The sentinels that the tests of this module share.
    fn shared() -> (Arc<Sentinels>, u32) {
        static SHARED: Mutex<Weak<Sentinels>> = Mutex::new(Weak::new());
        static DATABASES: AtomicU32 = AtomicU32::new(1);
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let sentinels = shared.upgrade().unwrap_or_else(|| {
            let started = Arc::new(Sentinels::start());
            *shared = Arc::downgrade(&started);
            started
        });
        (sentinels, DATABASES.fetch_add(1, Ordering::Relaxed))
    }

    async fn open_empty() -> (RedisStore, Arc<Sentinels>) {
        let (sentinels, database) = shared();
        (open(sentinels.url(database), DEADLINE), sentinels)
    }

    session_auth_tests::store_suite!(open_empty);
}

/// A short deadline, so that a call to a dead master fails soon.
fn impatient(sentinels: &Sentinels) -> RedisStore {
    open(sentinels.url(0), Duration::from_millis(250))
}

async fn created(store: &RedisStore) -> SessionId {
    let new = session(agent(), NOW);
    store.create(&new).await.unwrap();
    new.record.id
}

async fn is_revoked(store: &RedisStore, id: SessionId) -> Option<bool> {
    let record = store.read(id).await.ok()?;
    record.map(|record| record.revoked_at.is_some())
}

/// The time until the store reads this session as revoked, or not revoked.
async fn time_until(store: &RedisStore, id: SessionId, revoked: bool) -> Duration {
    let began = Instant::now();
    while is_revoked(store, id).await != Some(revoked) {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "the store does not follow"
        );
        sleep(Duration::from_millis(5)).await;
    }
    began.elapsed()
}

#[tokio::test]
async fn store_follows_a_failover_without_a_restart() {
    let mut sentinels = Sentinels::start();
    let store = impatient(&sentinels);
    let id = created(&store).await;
    sentinels.wait_for_replica();

    sentinels.master.kill();
    assert_eq!(is_revoked(&store, id).await, None, "there is no master");
    sentinels.wait_for_master(sentinels.replica.port());
    let followed = time_until(&store, id, false).await;
    assert!(followed <= FOLLOWED_WITHIN, "{followed:?}");
    store.revoke(id, NOW).await.unwrap();
    assert_eq!(is_revoked(&store, id).await, Some(true));
}

#[tokio::test]
async fn store_leaves_a_master_that_was_replaced_while_it_hung() {
    let mut sentinels = Sentinels::start();
    // No call and no health check fails during the pause: only the sentinels can end the trust in the old master.
    let patient = || open(sentinels.url(0), Duration::from_secs(30));
    let (strict, bounded) = (patient(), patient());
    let id = created(&strict).await;
    bounded.enable_cache().unwrap();
    sentinels.wait_for_replica();
    time_until(&bounded, id, false).await;

    sentinels.master.pause();
    sentinels.wait_for_master(sentinels.replica.port());
    let other = impatient(&sentinels);
    other.revoke(id, NOW).await.unwrap();
    sentinels.master.resume();

    // The old master answers again, and does not know of the revocation.
    for store in [&strict, &bounded] {
        assert!(time_until(store, id, true).await <= FOLLOWED_WITHIN);
    }
    assert_eq!(bounded.cached(id).map(|record| record.revoked_at.is_some()), None);
}

#[tokio::test]
async fn reason_names_each_sentinel_that_does_not_help() {
    let config = RedisStoreConfig::new("redis+sentinel://127.0.0.1:1,127.0.0.1:2/main");
    let store = RedisStore::open(&config).unwrap();
    let error = store.ping().await.unwrap_err().to_string();
    for part in ["no sentinel names the master", "127.0.0.1:1: ", "127.0.0.1:2: "] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[tokio::test]
async fn unknown_name_of_a_master_is_an_error_with_this_reason() {
    let sentinels = Sentinels::start();
    let store = RedisStore::open(&RedisStoreConfig::new(
        sentinels.url(0).replace("/main/", "/other/"),
    ))
    .unwrap();
    let error = store.ping().await.unwrap_err().to_string();
    assert!(error.contains("No such master"), "{error}");
}

#[tokio::test]
async fn sentinel_at_the_url_of_a_server_is_refused_with_the_right_url() {
    let sentinels = Sentinels::start();
    let store = open(sentinels.url_of_a_sentinel(), DEADLINE);
    let error = store.ping().await.unwrap_err().to_string();
    assert!(error.contains("write redis+sentinel://"), "{error}");
}

#[tokio::test]
async fn sentinel_that_names_an_earlier_master_does_not_count() {
    let mut sentinels = Sentinels::start();
    let id = created(&impatient(&sentinels)).await;
    sentinels.wait_for_replica();
    sentinels.master.pause();
    sentinels.wait_for_master(sentinels.replica.port());
    sentinels.master.resume();
    sentinels.cut_off_the_first(sentinels.master.port());
    let store = impatient(&sentinels);
    assert!(time_until(&store, id, false).await <= FOLLOWED_WITHIN);
    store.revoke(id, NOW).await.unwrap();
    let on_the_new: String = session_auth_tests::redis::command(&sentinels.replica.url(), &["ROLE"])
        .map(|role: Vec<redis::Value>| format!("{:?}", role[0]))
        .unwrap();
    assert!(on_the_new.contains("master"), "{on_the_new}");
    assert_eq!(is_revoked(&store, id).await, Some(true));
}

#[tokio::test]
async fn sentinel_that_does_not_answer_delays_nothing() {
    let mut sentinels = Sentinels::start();
    sentinels.pause_the_first();
    let store = open(sentinels.url(0), DEADLINE);
    let began = Instant::now();
    store.ping().await.unwrap();
    // The time limit of a sentinel is a second.
    assert!(
        began.elapsed() < Duration::from_millis(900),
        "{:?}",
        began.elapsed()
    );
}
