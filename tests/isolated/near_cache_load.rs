//! The near cache under load: no answer is staler than the bound.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use redis::Value;
use session_auth_tests::{
    fixtures::{
        NOW, RETENTION, TTL, agent,
        cached::{BOUND, DEADLINE, add, coherent_store, stats},
        open, renewal, session,
    },
    redis::TestRedis,
};
use tokio::{task::JoinSet, time::sleep};
use tower_session_auth::{
    AgentId, SessionId,
    session::SessionRecord,
    store::{CachedStore as _, SessionStore as _},
};

use crate::alone;

/// Writers revoke and renew over two stores. Readers ask a third store, whose tracking connection is killed repeatedly. No
/// reader may get a record whose change was acknowledged longer ago than the bound.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_staler_than_the_bound_under_load() {
    let _alone = alone();
    const SESSIONS: usize = 20_000;
    let redis = TestRedis::start();
    let reader = coherent_store(&redis).await;
    let writers = [open(redis.url(), DEADLINE), open(redis.url(), DEADLINE)];
    // For each changed session, the time at which its change was acknowledged.
    let changed_at: Arc<Mutex<HashMap<SessionId, Instant>>> = Arc::default();
    let active: Arc<Mutex<Vec<SessionRecord>>> = Arc::default();
    let done = Arc::new(AtomicBool::new(false));
    let (stale, hits, latest) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicU64::new(0)),
    );

    let mut readers = JoinSet::new();
    for seed in 0..4_usize {
        let (reader, changed_at, active, done) =
            (reader.clone(), changed_at.clone(), active.clone(), done.clone());
        let (stale, hits, latest) = (stale.clone(), hits.clone(), latest.clone());
        readers.spawn(async move {
            let mut turn = seed;
            while !done.load(Ordering::Relaxed) {
                turn = turn
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let Some(record) = ({
                    let active = active.lock().unwrap();
                    let recent = active.len().min(200);
                    (recent > 0).then(|| active[active.len() - 1 - (turn >> 33) % recent].clone())
                }) else {
                    tokio::task::yield_now().await;
                    continue;
                };
                let asked = Instant::now();
                let answer = match reader.cached(record.id) {
                    Some(near) => Some((*near).clone()),
                    None => reader.read_through(record.id).await.unwrap_or(None),
                };
                let good =
                    answer.is_some_and(|now| now.revoked_at.is_none() && now.token_hash == record.token_hash);
                if !good {
                    continue;
                }
                hits.fetch_add(1, Ordering::Relaxed);
                if let Some(changed_at) = changed_at.lock().unwrap().get(&record.id)
                    && let Some(late) = asked.checked_duration_since(*changed_at)
                {
                    latest.fetch_max(late.as_micros() as u64, Ordering::Relaxed);
                    if late > BOUND {
                        stale.fetch_add(1, Ordering::Relaxed);
                    }
                }
                tokio::task::yield_now().await;
            }
        });
    }
    let mut tasks = JoinSet::new();
    for (place, store) in writers.iter().cycle().take(16).cloned().enumerate() {
        let (changed_at, active) = (changed_at.clone(), active.clone());
        tasks.spawn(async move {
            let agent: AgentId = agent();
            let mut unchanged = VecDeque::new();
            for turn in 0..SESSIONS / 16 {
                let mut new = session(agent, NOW);
                new.limit = u32::MAX;
                new.retention = RETENTION;
                let record = add(&store, new).await;
                active.lock().unwrap().push(record.clone());
                unchanged.push_back(record);
                if unchanged.len() < 10 {
                    continue;
                }
                let record = unchanged.pop_front().unwrap();
                if (place + turn) % 4 == 0 {
                    let swap = renewal(&record, "1", NOW.plus(TTL / 2));
                    store.replace_token(&swap).await.unwrap();
                } else {
                    store.revoke(record.id, NOW).await.unwrap();
                }
                changed_at.lock().unwrap().insert(record.id, Instant::now());
            }
        });
    }
    let cut = || {
        let ids: String = redis.command(&["CLIENT", "LIST", "TYPE", "normal"]).unwrap();
        let tracking = ids.lines().find(|line| line.contains("flags=t"));
        if let Some(id) = tracking.and_then(|line| line.split([' ', '=']).nth(1)) {
            let _ = redis.command::<Value>(&["CLIENT", "KILL", "ID", id]);
        }
    };
    cut();
    while !tasks.is_empty() {
        tokio::select! {
            finished = tasks.join_next() => { finished.unwrap().unwrap(); }
            () = sleep(Duration::from_millis(1_700)) => cut(),
        }
    }
    done.store(true, Ordering::Relaxed);
    readers.join_all().await;
    // A record that is stale now would stay stale.
    sleep(BOUND).await;
    for record in &*active.lock().unwrap() {
        if changed_at.lock().unwrap().contains_key(&record.id)
            && let Some(near) = reader.cached(record.id)
            && near.token_hash == record.token_hash
        {
            stale.fetch_add(1, Ordering::Relaxed);
        }
    }
    println!(
        "{SESSIONS} changes, {} answers, the latest {} us after a change was acknowledged; {:?}",
        hits.load(Ordering::Relaxed),
        latest.load(Ordering::Relaxed),
        stats(&reader)
    );
    assert!(hits.load(Ordering::Relaxed) > 1_000);
    assert!(stats(&reader).hits > 1_000 && stats(&reader).losses > 0);
    assert_eq!(stale.load(Ordering::Relaxed), 0);
}
