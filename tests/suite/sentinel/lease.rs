//! The lease: without a majority of the sentinels, no server is used as the master.

use std::time::Duration;

use http::Method;
use session_auth_server::config::Settings;
use session_auth_tests::{
    fixtures::{NOW, cached::wait_until, open},
    redis::{Partition, Sentinels},
    relay::Relay,
    server::{START, TestServer},
};
use tokio::time::Instant;
use tower_session_auth::{
    RedisStore, SessionId,
    clock::{ManualClock, Timestamp},
    store::{CachedStore as _, RedisStoreConfig, SessionStore as _, StoreError},
};

use super::{DEADLINE, FOLLOWED_WITHIN, created, is_revoked, time_until};

/// The delay that a busy machine may add.
const SLACK: Duration = Duration::from_millis(250);
/// A sentinel that answers again is asked within this time.
const HEALED_WITHIN: Duration = Duration::from_secs(3);
const UNCONFIRMED: &str = "no majority confirms the master";

/// A store with this lease. Deadline and bound are far longer, so that only the lease can end its trust.
fn leased(url: impl Into<String>, lease: Duration) -> RedisStore {
    let mut config = RedisStoreConfig::new(url);
    config.timeout = DEADLINE;
    config.near_cache.bound = DEADLINE;
    config.master_lease = lease;
    RedisStore::open(&config).unwrap()
}

/// Reads over the cache until the record is cached.
async fn cached(store: &RedisStore, id: SessionId) {
    store.enable_cache().unwrap();
    let began = Instant::now();
    while store.cached(id).is_none() {
        assert!(began.elapsed() < DEADLINE, "never cached");
        store.read_through(id).await.unwrap();
    }
}

fn is_unconfirmed<T: std::fmt::Debug>(result: &Result<T, StoreError>) -> bool {
    result
        .as_ref()
        .is_err_and(|error| error.to_string().contains(UNCONFIRMED))
}

#[tokio::test(flavor = "multi_thread")]
async fn master_is_used_for_a_lease_without_a_majority_of_the_sentinels() {
    const LEASE: Duration = Duration::from_secs(1);
    let mut sentinels = Sentinels::start();
    let (strict, bounded) = (leased(sentinels.url(0), LEASE), leased(sentinels.url(0), LEASE));
    let id = created(&strict).await;
    for paused in [2, 3] {
        cached(&bounded, id).await;
        let began = Instant::now();
        (0..paused).for_each(|number| sentinels.sentinels[number].pause());
        // Both are used for most of the lease.
        let (mut read_at, mut cached_at) = (began, began);
        while began.elapsed() < LEASE + SLACK {
            let asked = Instant::now();
            if let Err(error) = strict.read(id).await {
                assert!(is_unconfirmed(&Err::<(), _>(error)));
            } else {
                read_at = asked;
            }
            if bounded.cached(id).is_some() {
                cached_at = Instant::now();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for at in [read_at, cached_at] {
            let used = at - began;
            assert!(used > LEASE / 2 && used < LEASE + SLACK, "{paused}: {used:?}");
        }
        assert!(is_unconfirmed(&strict.read(id).await), "{paused}");
        assert!(is_unconfirmed(&strict.revoke(id, NOW).await), "{paused}");
        assert!(is_unconfirmed(&strict.ping().await), "{paused}");
        assert!(is_unconfirmed(&bounded.read_through(id).await), "{paused}");
        assert!(bounded.cached(id).is_none(), "{paused}");
        // A new store does not trust the sentinel that is left.
        if paused == 2 {
            let late = leased(sentinels.url(0), LEASE);
            assert!(is_unconfirmed(&late.ping().await));
        }
        (0..paused).for_each(|number| sentinels.sentinels[number].resume());
        for store in [&strict, &bounded] {
            let healed = time_until(store, id, false).await;
            assert!(healed < HEALED_WITHIN, "{paused}: {healed:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_hung_sentinel_of_three_has_no_effect() {
    const LEASE: Duration = Duration::from_millis(600);
    let mut sentinels = Sentinels::start();
    let store = leased(sentinels.url(0), LEASE);
    let id = created(&store).await;
    cached(&store, id).await;
    sentinels.sentinels[0].pause();
    let began = Instant::now();
    while began.elapsed() < 4 * LEASE {
        store.read(id).await.unwrap();
        assert!(store.cached(id).is_some(), "after {:?}", began.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn longest_possible_lease_is_accepted() {
    let sentinels = Sentinels::start();
    let store = leased(sentinels.url(0), Duration::MAX);
    let id = created(&store).await;
    // The sentinels have confirmed the master in use.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(is_revoked(&store, id).await, Some(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn lease_of_zero_needs_no_majority() {
    let mut sentinels = Sentinels::start();
    let store = leased(sentinels.url(0), Duration::ZERO);
    let id = created(&store).await;
    (0..2).for_each(|number| sentinels.sentinels[number].pause());
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(4) {
        store.read(id).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let late = leased(sentinels.url(0), Duration::ZERO);
    assert_eq!(is_revoked(&late, id).await, Some(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_503_after_the_lease_and_200_again_without_a_restart() {
    let mut sentinels = Sentinels::start();
    let settings = Settings {
        redis_url: Some(sentinels.url(0)),
        master_lease_ms: Some(600),
        ..Settings::default()
    };
    let server = TestServer::start(settings, None, ManualClock::new(Timestamp(START))).await;
    let session = server.api.session(&server.api.agent().await).await;
    let own = async || server.api.access(&session.token).await.status;
    let ready = async || server.api.anonymous(Method::GET, "/readyz").await.status;
    assert_eq!((own().await, ready().await), (200, 200));
    for status in [503, 200] {
        for sentinel in &mut sentinels.sentinels {
            if status == 503 {
                sentinel.pause()
            } else {
                sentinel.resume()
            }
        }
        let began = Instant::now();
        while (own().await, ready().await) != (status, status) {
            assert!(began.elapsed() < HEALED_WITHIN, "never {status}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn master_is_used_again_after_the_sentinels_have_lost_their_epochs() {
    const LEASE: Duration = Duration::from_millis(600);
    let mut sentinels = Sentinels::start();
    let (strict, bounded) = (leased(sentinels.url(0), LEASE), leased(sentinels.url(0), LEASE));
    let id = created(&strict).await;
    sentinels.wait_for_replica();
    sentinels.fail_over();
    for store in [&strict, &bounded] {
        time_until(store, id, false).await;
    }
    cached(&bounded, id).await;

    sentinels.forget_failovers(sentinels.replica.port());
    let began = Instant::now();
    while !is_unconfirmed(&strict.read(id).await) {
        assert!(began.elapsed() < HEALED_WITHIN, "the sentinels know the epoch");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for store in [&strict, &bounded] {
        let healed = time_until(store, id, false).await;
        assert!(healed < HEALED_WITHIN, "{healed:?}");
    }
    cached(&bounded, id).await;
}

/// A process that is cut off from the sentinels, together with the master. The sentinels replace that master, which goes on as a master.
#[tokio::test(flavor = "multi_thread")]
async fn process_that_is_cut_off_together_with_the_master_leaves_it_before_it_is_replaced() {
    // Not longer than `down-after-milliseconds`: the bound is zero.
    const LEASE: Duration = Duration::from_millis(500);
    let sentinels = Sentinels::start();
    let partition = Partition::prepare(&sentinels);
    let mut relays = Vec::new();
    for sentinel in &sentinels.sentinels {
        relays.push(Relay::start(sentinel.port()).await);
    }
    let ports: Vec<u16> = relays.iter().map(|relay| relay.address.port()).collect();
    let url = partition.url(&ports);
    let (strict, bounded) = (leased(&*url, LEASE), leased(url, LEASE));
    let (victim, other) = (created(&strict).await, created(&strict).await);
    cached(&bounded, victim).await;
    sentinels.wait_for_replica();

    relays.iter().for_each(Relay::isolate);
    partition.isolate_master();
    sentinels.wait_for_master(sentinels.replica.port());
    // Not cut off. It revokes on the new master.
    let connected = open(partition.url(&sentinels.ports()), DEADLINE);
    connected.revoke(victim, NOW).await.unwrap();

    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(2) {
        assert!(bounded.cached(victim).is_none());
        for store in [&strict, &bounded] {
            assert_eq!(is_revoked(store, victim).await, None, "{:?}", began.elapsed());
            store.revoke(other, NOW).await.unwrap_err();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(partition.role_of_the_old_master(), "master");

    relays
        .iter()
        .zip(&sentinels.sentinels)
        .for_each(|(relay, sentinel)| relay.redirect_to(sentinel.port()));
    for store in [&strict, &bounded] {
        assert!(time_until(store, victim, true).await < HEALED_WITHIN);
        assert_eq!(is_revoked(store, other).await, Some(false));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn master_that_works_and_was_replaced_is_left_at_once() {
    let sentinels = Sentinels::start();
    let partition = Partition::prepare(&sentinels);
    let url = partition.url(&sentinels.ports());
    // Without a lease: only the word of the sentinels can end the trust.
    let (strict, bounded) = (leased(&*url, Duration::ZERO), leased(url, Duration::ZERO));
    let victim = created(&strict).await;
    cached(&bounded, victim).await;
    sentinels.wait_for_replica();
    partition.isolate_master();
    sentinels.wait_for_master(sentinels.replica.port());
    let began = Instant::now();
    let other = open(partition.url(&sentinels.ports()), DEADLINE);
    other.revoke(victim, NOW).await.unwrap();
    for store in [&strict, &bounded] {
        time_until(store, victim, true).await;
    }
    wait_until("left", || bounded.cached(victim).is_none()).await;
    assert!(began.elapsed() <= FOLLOWED_WITHIN, "{:?}", began.elapsed());
    assert_eq!(partition.role_of_the_old_master(), "master");
}
