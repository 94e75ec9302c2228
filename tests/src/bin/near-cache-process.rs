//! A process of the test `near_cache_processes`: a writer that changes sessions, or a reader with a near cache.

use std::{
    collections::HashMap,
    env,
    io::{Read as _, stdin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use session_auth_tests::fixtures::{
    CREATED, NOW, TTL, open, renewal, session,
    staleness::{
        self, ACTIVE, BOUND_MICROS, Counts, LANES, Name, PER_LANE, Report, WRITERS, now_micros, session_id,
    },
};
use tokio::{
    task::{JoinSet, yield_now},
    time::sleep,
};
use tower_session_auth::{
    RedisStore,
    session::SessionRecord,
    store::{CachedStore as _, NewSession, SessionStore as _, SwapOutcome},
    token::TokenHash,
};

const DEADLINE: Duration = Duration::from_secs(5);
/// The pause after each change of a lane, so that the readers keep up.
const PACE: Duration = Duration::from_millis(3);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let report = match arguments[..] {
        ["write", url, writer] => write(url, writer.parse().expect("a number")).await,
        ["read", url] => read(url).await,
        _ => panic!("usage: write URL WRITER | read URL"),
    };
    print!("{report}");
}

fn new_session(name: Name) -> NewSession {
    let mut new = session(staleness::agent(name.0), NOW);
    new.record.id = session_id(name);
    new.record.token_hash = first_token(name);
    new.limit = u32::MAX;
    new
}

/// Creates sessions, and revokes or renews each one after a hundred later ones were created.
async fn write(url: &str, writer: usize) -> Report {
    let store = open(url, DEADLINE);
    let mut lanes = JoinSet::new();
    for lane in (writer..LANES).step_by(WRITERS) {
        let store = store.clone();
        lanes.spawn(async move {
            let mut times = Vec::new();
            for number in 0..PER_LANE + ACTIVE {
                let new = new_session((lane, number));
                assert_eq!(store.create(&new).await.expect("a session"), CREATED);
                let Some(oldest) = number.checked_sub(ACTIVE) else {
                    continue;
                };
                let record = new_session((lane, oldest)).record;
                if (lane + oldest) % 4 == 0 {
                    let swap = renewal(&record, "second", NOW.plus(TTL / 2));
                    let swapped = store.replace_token(&swap).await.expect("a renewal");
                    assert_eq!(swapped, SwapOutcome::Replaced);
                } else {
                    assert!(
                        store
                            .revoke(record.id, NOW)
                            .await
                            .expect("a revocation")
                            .is_some()
                    );
                }
                times.push(((lane, oldest), now_micros()));
                sleep(PACE).await;
            }
            times
        });
    }
    Report {
        times: lanes.join_all().await.into_iter().flatten().collect(),
        counts: Counts::default(),
    }
}

/// Reads the active sessions of all lanes until the input closes, then all sessions once the bound has passed.
async fn read(url: &str) -> Report {
    let done = Arc::new(AtomicBool::new(false));
    let ended = done.clone();
    thread::spawn(move || {
        let _ = stdin().lock().read_to_end(&mut Vec::new());
        ended.store(true, Ordering::Relaxed);
    });
    let store = open(url, DEADLINE);
    store.enable_cache().unwrap();
    let mut tasks = JoinSet::new();
    for lane in 0..LANES {
        let (store, done) = (store.clone(), done.clone());
        tasks.spawn(async move {
            let (mut first, mut last_good) = (0, HashMap::new());
            while !done.load(Ordering::Relaxed) {
                first = follow(&store, lane, first, &mut last_good).await;
                yield_now().await;
            }
            last_good
        });
    }
    let mut last_good: HashMap<Name, u64> = tasks.join_all().await.into_iter().flatten().collect();
    // Every session was changed longer ago than the bound.
    sleep(Duration::from_micros(BOUND_MICROS)).await;
    for name in (0..LANES).flat_map(|lane| (0..PER_LANE).map(move |number| (lane, number))) {
        let asked = now_micros();
        if store
            .cached(session_id(name))
            .is_some_and(|record| is_good(name, &record))
        {
            last_good.insert(name, asked);
        }
    }
    let stats = store.cache_stats().unwrap_or_default();
    Report {
        times: last_good.into_iter().collect(),
        counts: Counts {
            hits: stats.hits,
            losses: stats.losses,
        },
    }
}

/// Reads the sessions of a lane that may be active, starting at `first`. Returns the next start.
async fn follow(store: &RedisStore, lane: usize, first: usize, last_good: &mut HashMap<Name, u64>) -> usize {
    let mut reads = JoinSet::new();
    let mut next = first;
    // One more than are active at a time: reading the last one proves that the first was changed.
    for number in first..=first + ACTIVE {
        let name = (lane, number);
        let asked = now_micros();
        if let Some(near) = store.cached(session_id(name)) {
            if is_good(name, &near) {
                last_good.insert(name, asked);
            }
            continue;
        }
        let store = store.clone();
        reads.spawn(async move {
            let asked = now_micros();
            let read = store.read_through(session_id(name)).await;
            (name, asked, read.ok().flatten())
        });
    }
    for (name, asked, record) in reads.join_all().await {
        let Some(record) = record else { continue };
        if is_good(name, &record) {
            last_good.insert(name, asked);
        } else {
            next = next.max(name.1 + 1);
        }
        next = next.max(name.1.saturating_sub(ACTIVE - 1));
    }
    next
}

fn first_token(name: Name) -> TokenHash {
    TokenHash::of(&format!("{} first", session_id(name)))
}

fn is_good(name: Name, record: &SessionRecord) -> bool {
    record.revoked_at.is_none() && record.token_hash == first_token(name)
}
