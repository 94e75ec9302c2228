//! Masters that are replaced by their replica.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use session_auth_tests::{
    fixtures::{
        NOW,
        cached::{cache, stats, wait_until},
        key, open, renewal,
    },
    redis::Cluster,
};
use tokio::time::{Instant, sleep};
use tower_session_auth::{
    RedisStore, SessionId,
    session::SessionRecord,
    store::{CachedStore as _, SessionStore as _, SwapOutcome},
};

use super::{DEADLINE, PATIENT, SLACK, impatient, read, session_on, session_on_each, time_until};

/// The longest time from the end of a failover to the store's use of the new master.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(1);
/// How long a test watches the store after an old master resumed.
const WATCHED: Duration = Duration::from_secs(3);

/// Without full coverage: in a failover, the others serve their slots.
fn cluster() -> Cluster {
    Cluster::builder()
        .node_timeout_ms(1_000)
        .without_full_coverage()
        .start()
}

fn wait_for_copy(cluster: &Cluster, master: usize) {
    // WAIT on another connection than that of the writes waits for all of them.
    let copied: u32 = cluster.command(master, &["WAIT", "1", "5000"]).unwrap();
    assert_eq!(copied, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_uses_the_replica_of_a_killed_master_without_a_restart() {
    let mut cluster = cluster();
    let store = impatient(&cluster);
    let [first, second, third] = session_on_each(&cluster, &store).await;
    wait_for_copy(&cluster, 0);
    let began = Instant::now();
    cluster.kill(0);

    // The sessions of the other masters are served all the time.
    let others = [second.id, third.id];
    let watch = tokio::spawn({
        let store = store.clone();
        async move {
            let mut reads = 0;
            while began.elapsed() < Duration::from_secs(4) {
                for id in others {
                    let (answer, took) = read(&store, id).await;
                    assert_eq!(answer, Ok(Some(false)), "after {:?}", began.elapsed());
                    assert!(took < DEADLINE, "{took:?}");
                    reads += 1;
                }
            }
            reads
        }
    });
    assert_eq!(cluster.wait_for_failover(&key(first.id), 0), 3);
    let replaced = began.elapsed();
    let followed = time_until(&store, first.id, false).await;
    println!("replaced after {replaced:?}, used after {followed:?} more");
    assert!(followed < FOLLOWED_WITHIN, "{followed:?}");

    store.replace_token(&renewal(&first, "1", NOW)).await.unwrap();
    store.revoke(first.id, NOW).await.unwrap();
    assert_eq!(read(&store, first.id).await.0, Ok(Some(true)));
    assert!(watch.await.unwrap() > 100);
}

/// Reads for a while. The session was revoked on the new master.
async fn assert_revoked(store: &RedisStore, id: SessionId) {
    let began = Instant::now();
    let mut stale = 0;
    while began.elapsed() < WATCHED {
        let cached = store.cached(id).map(|record| record.revoked_at.is_some());
        let (read, _) = read(store, id).await;
        if cached == Some(false) || read == Ok(Some(false)) {
            stale += 1;
            let elapsed = began.elapsed();
            assert!(
                elapsed < FOLLOWED_WITHIN,
                "accepted {elapsed:?} after the resumption"
            );
        }
        sleep(Duration::from_micros(200)).await;
    }
    println!("{stale} stale answers");
    assert_eq!(read(store, id).await.0, Ok(Some(true)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn master_that_was_replaced_while_it_was_stopped_is_not_trusted() {
    let mut cluster = cluster();
    let (strict, bounded) = (impatient(&cluster), impatient(&cluster));
    let record = session_on(&cluster, &open(cluster.url(), PATIENT), 0).await;
    wait_for_copy(&cluster, 0);
    bounded.enable_cache().unwrap();
    wait_until("coherent", || stats(&bounded).coherent).await;
    cache(&bounded, record.id).await;

    cluster.pause(0);
    assert_eq!(cluster.wait_for_failover(&key(record.id), 0), 3);
    let other = open(cluster.url(), PATIENT);
    time_until(&other, record.id, false).await;
    other.revoke(record.id, NOW).await.unwrap();
    cluster.resume(0);
    tokio::join!(
        assert_revoked(&strict, record.id),
        assert_revoked(&bounded, record.id)
    );
}

/// A store that sends nothing during the failover has no failed call that tells it of the new master.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revocation_is_not_acknowledged_by_a_replaced_master() {
    let mut cluster = cluster();
    let idle = impatient(&cluster);
    let record = session_on(&cluster, &idle, 0).await;
    wait_for_copy(&cluster, 0);
    cluster.pause(0);
    cluster.wait_for_failover(&key(record.id), 0);
    cluster.resume(0);
    let began = Instant::now();
    // An error may mean that nothing was revoked, and repeating it heals.
    while idle.revoke(record.id, NOW).await.is_err() {
        assert!(began.elapsed() < FOLLOWED_WITHIN + SLACK, "{:?}", began.elapsed());
    }
    // A store that lives on would write its revocation again.
    drop(idle);
    let other = impatient(&cluster);
    time_until(&other, record.id, true).await;
}

/// Renews a session until the flag is set. Each acknowledged renewal must be in the next read, and an unanswered one may be.
async fn renew_until(
    store: RedisStore,
    first: SessionRecord,
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
) -> usize {
    let (mut current, mut unanswered) = (first, 0);
    // The next record of the last unanswered renewal, which may still run.
    let mut late = None;
    while !stop.load(Ordering::Relaxed) {
        let renewed = count.load(Ordering::Relaxed);
        let swap = renewal(&current, &format!("{renewed} {unanswered}"), NOW);
        match store.replace_token(&swap).await {
            Ok(SwapOutcome::Mismatch(stored)) => {
                assert_eq!(late.take(), Some(*stored.clone()));
                current = *stored;
            }
            Ok(outcome) => {
                assert_eq!(outcome, SwapOutcome::Replaced);
                current = swap.next;
                count.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => {
                unanswered += 1;
                let stored = loop {
                    if let Ok(read) = store.read(current.id).await {
                        break read.expect("the session");
                    }
                };
                assert!(stored == current || stored == swap.next, "{stored:?}");
                current = stored;
                late = Some(swap.next);
            }
        }
    }
    assert_eq!(store.read(current.id).await.unwrap(), Some(current));
    unanswered
}

/// Waits for 50 more renewals.
async fn wait_for_more(count: &AtomicUsize) {
    let before = count.load(Ordering::Relaxed);
    let began = Instant::now();
    while count.load(Ordering::Relaxed) < before + 50 {
        assert!(began.elapsed() < Duration::from_secs(20), "no renewals");
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planned_failover_loses_no_acknowledged_renewal() {
    let cluster = cluster();
    let store = impatient(&cluster);
    let record = session_on(&cluster, &store, 1).await;
    let stop = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicUsize::new(0));
    let id = key(record.id);
    let renewing = tokio::spawn(renew_until(store, record, Arc::clone(&stop), Arc::clone(&count)));
    wait_for_more(&count).await;
    cluster.fail_over(&id, 1, 4);
    assert_eq!(cluster.owner(&id), 4);
    wait_for_more(&count).await;
    stop.store(true, Ordering::Relaxed);
    println!("{} unanswered renewals of {count:?}", renewing.await.unwrap());
}
