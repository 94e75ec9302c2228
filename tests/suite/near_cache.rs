//! Records in memory: what they may still answer once Redis knows better, and for how long.

#[path = "support/fixtures.rs"]
mod fixtures;

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use fixtures::{NOW, RETENTION, TTL, agent, constraints, key, open, renewal, session};
use redis::Value;
use session_auth_tests::redis::TestRedis;
use tokio::{task::JoinSet, time::sleep};
use tower_session_auth::{
    AgentId, Created, NearCacheStats, NewSession, OnSessionLimit, RedisStore, RedisStoreConfig, SessionId,
    SessionRecord, SessionStore as _,
};

const BOUND: Duration = Duration::from_millis(250);
/// What a busy machine may add between looking at a clock and asking the cache.
const SLACK: Duration = Duration::from_millis(250);
const DEADLINE: Duration = Duration::from_secs(5);
const SOON: Duration = Duration::from_secs(10);

async fn until(what: &str, mut done: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < SOON, "never {what}");
        sleep(Duration::from_micros(200)).await;
    }
    began.elapsed()
}

fn stats(store: &RedisStore) -> NearCacheStats {
    store.near_cache().unwrap_or_default()
}

/// A store whose cache is in use.
async fn coherent(redis: &TestRedis) -> RedisStore {
    let store = open(redis.url(), DEADLINE);
    let none = session(agent(), NOW).record.id;
    assert_eq!(store.near(none), None);
    until("coherent", || stats(&store).coherent).await;
    store
}

async fn add(store: &RedisStore, session: NewSession) -> SessionRecord {
    assert_eq!(store.create(&session).await.unwrap(), Created::Done);
    session.record
}

/// Reads until the record is held: a push about another record of its shard may come in between.
async fn hold(store: &RedisStore, id: SessionId) {
    for _ in 0..1_000 {
        store.read_near(id).await.unwrap();
        if store.near(id).is_some() {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
    panic!("never held: {:?}", stats(store));
}

async fn held(store: &RedisStore) -> SessionRecord {
    let mut new = session(agent(), NOW);
    new.record.constraints = constraints(100);
    let record = add(store, new).await;
    hold(store, record.id).await;
    record
}

fn order(redis: &TestRedis, arguments: &[&str]) {
    redis.command::<Value>(arguments).unwrap();
}

#[tokio::test]
async fn a_record_that_was_read_is_held_and_answers_without_a_command() {
    let redis = TestRedis::start();
    let store = coherent(&redis).await;
    let record = held(&store).await;
    let mut monitor = redis.monitor();
    for _ in 0..1_000 {
        assert_eq!(store.near(record.id).as_deref(), Some(&record));
    }
    let lines = monitor.lines();
    assert!(lines.iter().all(|line| line.contains("\"ROLE\"")), "{lines:?}");
    assert!(stats(&store).hits >= 1_000);
}

#[tokio::test]
async fn what_another_process_changes_is_forgotten_within_a_push() {
    let redis = TestRedis::start();
    let (store, other) = (coherent(&redis).await, open(redis.url(), DEADLINE));
    for _ in 0..20 {
        let record = held(&store).await;
        other.revoke(record.id, NOW).await.unwrap();
        until("forgotten", || store.near(record.id).is_none()).await;
        let revoked = store.read_near(record.id).await.unwrap().unwrap();
        assert_eq!(revoked.revoked_at, Some(NOW));
        assert_eq!(store.near(record.id), None, "what is revoked is not held");

        let record = held(&store).await;
        let swap = renewal(&record, "1", NOW);
        other.replace_token(&swap).await.unwrap();
        until("forgotten", || store.near(record.id).is_none()).await;
        hold(&store, record.id).await;
        assert_eq!(store.near(record.id).as_deref(), Some(&swap.next));
    }
}

#[tokio::test]
async fn what_the_process_itself_changes_is_forgotten_at_once() {
    let redis = TestRedis::start();
    let store = coherent(&redis).await;
    for _ in 0..50 {
        let record = held(&store).await;
        store.revoke(record.id, NOW).await.unwrap();
        assert_eq!(store.near(record.id), None, "revoked");

        let record = held(&store).await;
        store.replace_token(&renewal(&record, "1", NOW)).await.unwrap();
        assert_ne!(store.near(record.id).as_deref(), Some(&record), "renewed");

        let record = held(&store).await;
        let mut instead = session(record.agent_id, NOW);
        instead.limit = 1;
        instead.on_limit = OnSessionLimit::EvictOldest;
        assert_eq!(
            store.create(&instead).await.unwrap(),
            Created::InPlaceOf(vec![record.id])
        );
        assert_eq!(store.near(record.id), None, "evicted");

        let record = held(&store).await;
        assert_eq!(store.revoke_agent(record.agent_id, NOW).await.unwrap(), 1);
        assert_eq!(store.near(record.id), None, "revoked with its agent");
    }
}

#[tokio::test]
async fn what_vanishes_from_redis_is_forgotten() {
    let redis = TestRedis::start();
    let store = coherent(&redis).await;
    for vanish in [&["DEL"][..], &["FLUSHALL"], &["FLUSHDB", "ASYNC"]] {
        let record = held(&store).await;
        let name = key(record.id);
        let flush = vanish[0].starts_with("FLUSH");
        let mut words = vanish.to_vec();
        if !flush {
            words.insert(1, &name);
        }
        order(&redis, &words);
        until("forgotten", || store.near(record.id).is_none()).await;
        assert_eq!(store.read_near(record.id).await.unwrap(), None, "{vanish:?}");
        assert_eq!(store.near(record.id), None, "what is not there is not held");
        until("coherent again", || stats(&store).coherent).await;
    }
}

#[tokio::test]
async fn what_expires_in_redis_is_forgotten() {
    let redis = TestRedis::start();
    let store = coherent(&redis).await;
    let record = held(&store).await;
    order(&redis, &["PEXPIRE", &key(record.id), "500"]);
    until("forgotten, since it was changed", || {
        store.near(record.id).is_none()
    })
    .await;
    hold(&store, record.id).await;
    until("expired", || store.near(record.id).is_none()).await;
    assert_eq!(store.read_near(record.id).await.unwrap(), None);
    assert!(stats(&store).coherent);
}

/// Redis evicts it, since it is told to need less memory than it does.
#[tokio::test]
async fn what_redis_evicts_is_forgotten() {
    let redis = TestRedis::start();
    let store = coherent(&redis).await;
    let record = held(&store).await;
    order(&redis, &["CONFIG", "SET", "maxmemory-policy", "allkeys-random"]);
    order(&redis, &["CONFIG", "SET", "maxmemory", "1"]);
    until("forgotten", || store.near(record.id).is_none()).await;
}

#[tokio::test]
async fn a_lost_connection_takes_everything_along_and_heals() {
    let mut redis = TestRedis::start();
    let store = coherent(&redis).await;
    let record = held(&store).await;
    order(&redis, &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    until("forgotten", || store.near(record.id).is_none()).await;
    until("coherent again", || stats(&store).coherent).await;
    assert_eq!(stats(&store).losses, 1);
    let record = held(&store).await;

    redis.kill();
    let after = until("forgotten", || store.near(record.id).is_none()).await;
    assert!(after < BOUND + SLACK, "{after:?}");
    store.read_near(record.id).await.unwrap_err();
    redis.restart();
    until("coherent again", || stats(&store).coherent).await;
    held(&store).await;
}

#[tokio::test]
async fn a_server_that_says_nothing_is_believed_until_the_bound() {
    let mut redis = TestRedis::start();
    let store = coherent(&redis).await;
    let record = held(&store).await;
    redis.pause();
    let paused = Instant::now();
    until("without a lease", || store.near(record.id).is_none()).await;
    assert!(paused.elapsed() < BOUND + SLACK, "{:?}", paused.elapsed());
    assert!(!stats(&store).coherent);
    redis.resume();
    until("coherent again", || stats(&store).coherent).await;
}

#[tokio::test]
async fn a_server_that_became_a_replica_is_not_believed() {
    let (redis, master) = (TestRedis::start(), TestRedis::start());
    let store = coherent(&redis).await;
    let record = held(&store).await;
    order(&redis, &["REPLICAOF", "127.0.0.1", &master.port().to_string()]);
    until("out of use", || store.near(record.id).is_none()).await;
    sleep(2 * BOUND).await;
    assert!(!stats(&store).coherent);
    order(&redis, &["REPLICAOF", "NO", "ONE"]);
    until("coherent again", || stats(&store).coherent).await;
}

/// The tests' own runtime does nothing for a second: the cache has its own thread.
#[tokio::test]
async fn a_starved_runtime_does_not_delay_what_is_pushed() {
    let redis = TestRedis::start();
    let (store, other) = (coherent(&redis).await, open(redis.url(), DEADLINE));
    let record = held(&store).await;
    other.revoke(record.id, NOW).await.unwrap();
    std::thread::sleep(Duration::from_millis(250));
    assert_eq!(store.near(record.id), None);
    assert!(stats(&store).coherent);
    std::thread::sleep(4 * BOUND);
    assert!(stats(&store).coherent, "pings go on");
}

#[tokio::test]
async fn concurrent_misses_of_a_session_make_one_read() {
    let mut redis = TestRedis::start();
    let store = coherent(&redis).await;
    let record = add(&store, session(agent(), NOW)).await;
    let mut monitor = redis.monitor();
    redis.pause();
    let mut reads = JoinSet::new();
    for _ in 0..100 {
        let store = store.clone();
        reads.spawn(async move { store.read_near(record.id).await.unwrap() });
    }
    sleep(Duration::from_millis(20)).await;
    redis.resume();
    for read in reads.join_all().await {
        assert_eq!(read.as_ref().map(|read| read.id), Some(record.id));
    }
    let lines = monitor.lines();
    let gets = lines.iter().filter(|line| line.contains("\"GET\"")).count();
    assert_eq!(gets, 1, "{lines:?}");
}

#[tokio::test]
async fn as_many_records_are_held_as_there_is_room_for_and_not_for_longer_than_they_may() {
    let redis = TestRedis::start();
    let mut config = RedisStoreConfig::new(redis.url());
    config.timeout = DEADLINE;
    config.near_cache.capacity = 300;
    config.near_cache.max_age = Duration::from_millis(300);
    let store = RedisStore::open(&config).unwrap();
    let record = add(&store, session(agent(), NOW)).await;
    assert_eq!(store.near(record.id), None);
    until("coherent", || stats(&store).coherent).await;
    for _ in 0..800 {
        let record = add(&store, session(agent(), NOW)).await;
        store.read_near(record.id).await.unwrap();
    }
    let entries = stats(&store).entries;
    assert!((100..=300).contains(&entries), "{entries}");
    hold(&store, record.id).await;
    let since = Instant::now();
    until("too old", || store.near(record.id).is_none()).await;
    assert!(since.elapsed() < Duration::from_millis(300) + SLACK);
    assert!(stats(&store).coherent);
}

/// Writers revoke and renew over two stores; readers ask a third one, whose connections are killed now and then. What was
/// acknowledged longer ago than the bound must never be answered with.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_staler_than_the_bound_is_answered_under_load() {
    const SESSIONS: usize = 20_000;
    let redis = TestRedis::start();
    let reader = coherent(&redis).await;
    let writers = [open(redis.url(), DEADLINE), open(redis.url(), DEADLINE)];
    // When which session was acknowledged as revoked, or as having another token.
    let over: Arc<Mutex<HashMap<SessionId, Instant>>> = Arc::default();
    let living: Arc<Mutex<Vec<SessionRecord>>> = Arc::default();
    let done = Arc::new(AtomicBool::new(false));
    let (stale, hits, latest) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicU64::new(0)),
    );

    let mut readers = JoinSet::new();
    for seed in 0..4_usize {
        let (reader, over, living, done) = (reader.clone(), over.clone(), living.clone(), done.clone());
        let (stale, hits, latest) = (stale.clone(), hits.clone(), latest.clone());
        readers.spawn(async move {
            let mut turn = seed;
            while !done.load(Ordering::Relaxed) {
                turn = turn
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let Some(record) = ({
                    let living = living.lock().unwrap();
                    let recent = living.len().min(200);
                    (recent > 0).then(|| living[living.len() - 1 - (turn >> 33) % recent].clone())
                }) else {
                    tokio::task::yield_now().await;
                    continue;
                };
                let asked = Instant::now();
                let answer = match reader.near(record.id) {
                    Some(near) => Some((*near).clone()),
                    None => reader.read_near(record.id).await.unwrap_or(None),
                };
                let good =
                    answer.is_some_and(|now| now.revoked_at.is_none() && now.token_hash == record.token_hash);
                if !good {
                    continue;
                }
                hits.fetch_add(1, Ordering::Relaxed);
                if let Some(over) = over.lock().unwrap().get(&record.id)
                    && let Some(late) = asked.checked_duration_since(*over)
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
        let (over, living) = (over.clone(), living.clone());
        tasks.spawn(async move {
            let agent: AgentId = agent();
            let mut waiting = VecDeque::new();
            for turn in 0..SESSIONS / 16 {
                let mut new = session(agent, NOW);
                new.limit = u32::MAX;
                new.retention = RETENTION;
                let record = add(&store, new).await;
                living.lock().unwrap().push(record.clone());
                waiting.push_back(record);
                if waiting.len() < 10 {
                    continue;
                }
                let record = waiting.pop_front().unwrap();
                if (place + turn) % 4 == 0 {
                    let swap = renewal(&record, "1", NOW.plus(TTL / 2));
                    store.replace_token(&swap).await.unwrap();
                } else {
                    store.revoke(record.id, NOW).await.unwrap();
                }
                over.lock().unwrap().insert(record.id, Instant::now());
            }
        });
    }
    while !tasks.is_empty() {
        tokio::select! {
            finished = tasks.join_next() => { finished.unwrap().unwrap(); }
            () = sleep(Duration::from_millis(1_700)) => {
                let ids: String = redis.command(&["CLIENT", "LIST", "TYPE", "normal"]).unwrap();
                let tracking = ids.lines().find(|line| line.contains("flags=tB") || line.contains("flags=t"));
                if let Some(id) = tracking.and_then(|line| line.split([' ', '=']).nth(1)) {
                    let _ = redis.command::<Value>(&["CLIENT", "KILL", "ID", id]);
                }
            }
        }
    }
    done.store(true, Ordering::Relaxed);
    readers.join_all().await;
    // What is stale now would be for good.
    sleep(BOUND).await;
    for record in &*living.lock().unwrap() {
        if over.lock().unwrap().contains_key(&record.id)
            && let Some(near) = reader.near(record.id)
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
