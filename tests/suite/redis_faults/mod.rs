//! Redis failures: every call fails within its deadline, no request is admitted, and the store recovers by itself.

mod delayed;
mod fault_proxy;
mod late;
mod late_repeats;
mod over_http;
mod records;
mod rejection;
mod silence;
mod timed_store;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use session_auth_tests::{
    fixtures::{self, CREATED, NOW, agent, renewal, session},
    redis::{TestRedis, command},
};
use timed_store::TimedStore;
use tokio::task::{JoinSet, yield_now};
use tower_session_auth::store::{SessionStore as _, SwapOutcome};

fn execute(redis: &TestRedis, arguments: &[&str]) {
    redis.command::<redis::Value>(arguments).unwrap();
}

/// An error for an unknown command contains its arguments, and the arguments of HELLO are user and password.
#[tokio::test]
async fn connection_error_does_not_contain_the_password() {
    let redis = TestRedis::start_with(&["--requirepass", "opensesame", "--rename-command", "HELLO", "\"\""]);
    let store = fixtures::open(redis.url(), Duration::from_secs(5));
    let error = store.ping().await.unwrap_err();
    let told = format!("{error} {error:?}");
    // Valkey answers NOAUTH instead.
    assert!(told.contains("HELLO") || told.contains("NOAUTH"), "{told}");
    assert!(!told.contains("opensesame"), "{told}");
}

#[tokio::test]
async fn longest_possible_deadline_is_accepted() {
    let redis = TestRedis::shared();
    let store = fixtures::open(redis.fresh_database(), Duration::MAX);
    let created = store.create(&session(agent(), NOW)).await;
    assert_eq!(created.unwrap(), CREATED);
}

#[tokio::test]
async fn store_works_with_a_server_that_restarted_empty() {
    let mut redis = TestRedis::start();
    let subject = TimedStore::new("restart", redis.url());
    let record = subject.add().await;
    redis.kill();
    subject.fails(&record).await;

    redis.restart();
    assert_eq!(subject.recovers(record.id).await, None);
    // The server has lost the scripts too.
    let swap = renewal(&record, "1", NOW);
    let swapped = subject.call(subject.store.replace_token(&swap)).await;
    assert_eq!(swapped.unwrap(), SwapOutcome::NotFound);
    let record = subject.add().await;
    assert_eq!(subject.read(record.id).await.unwrap(), Some(record));
}

#[tokio::test]
async fn flushed_scripts_are_loaded_again() {
    let redis = TestRedis::start();
    let subject = TimedStore::new("flushed scripts", redis.url());
    let store = &subject.store;
    let record = subject.add().await;
    let flush = || execute(&redis, &["SCRIPT", "FLUSH"]);
    flush();
    let swap = renewal(&record, "1", NOW);
    let swapped = subject.call(store.replace_token(&swap)).await.unwrap();
    assert_eq!(swapped, SwapOutcome::Replaced);
    flush();
    assert!(
        subject
            .call(store.revoke(record.id, NOW))
            .await
            .unwrap()
            .is_some()
    );
    flush();
    subject.add().await;
    flush();
    assert_eq!(
        subject
            .call(store.revoke_agent(record.agent_id, NOW))
            .await
            .unwrap()
            .active,
        0
    );
}

#[tokio::test]
async fn store_recovers_when_a_changed_password_is_restored() {
    let redis = TestRedis::start();
    let subject = TimedStore::new("changed password", redis.url());
    let record = subject.add().await;
    execute(&redis, &["CONFIG", "SET", "requirepass", "other"]);
    let with_password = format!("redis://:other@127.0.0.1:{}/0", redis.port());
    let execute = |arguments: &[&str]| command::<redis::Value>(&with_password, arguments).unwrap();
    execute(&["CLIENT", "KILL", "TYPE", "normal"]);
    subject.fails(&record).await;

    execute(&["CONFIG", "SET", "requirepass", ""]);
    assert_eq!(subject.recovers(record.id).await, Some(record));
}

#[tokio::test]
async fn store_recovers_when_the_server_accepts_its_password() {
    let redis = TestRedis::start_with(&["--requirepass", "secret"]);
    let subject = TimedStore::new("wrong password", redis.url().replace("secret", "other"));
    let record = session(agent(), NOW).record;
    subject.fails(&record).await;
    execute(&redis, &["CONFIG", "SET", "requirepass", "other"]);
    assert_eq!(subject.recovers(record.id).await, None);
    subject.add().await;
}

#[tokio::test]
async fn lost_connection_is_replaced_without_a_call() {
    let redis = TestRedis::start();
    let subject = TimedStore::new("lost idle connection", redis.url());
    let record = subject.add().await;
    // The connection of this command, and the store's.
    let connections = || {
        let list: String = redis.command(&["CLIENT", "LIST", "TYPE", "normal"]).unwrap();
        list.lines().count()
    };
    assert_eq!(connections(), 2);
    execute(&redis, &["CLIENT", "KILL", "TYPE", "normal"]);
    let start = Instant::now();
    while connections() < 2 {
        assert!(start.elapsed() < Duration::from_secs(2), "not reconnected");
        yield_now().await;
    }
    assert_eq!(subject.recovers(record.id).await, Some(record));
}

/// Four readers and a writer run while connections are killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_correct_while_connections_are_killed() {
    const KILLS: usize = 20;
    let redis = TestRedis::start();
    let subject = Arc::new(TimedStore::new("killed connections", redis.url()));
    let constant = subject.add().await;
    let (done, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));

    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let (subject, constant, done) = (subject.clone(), constant.clone(), done.clone());
        tasks.spawn(async move {
            while !done.load(Ordering::Relaxed) {
                if let Ok(record) = subject.read(constant.id).await {
                    assert_eq!(record.as_ref(), Some(&constant));
                }
                yield_now().await;
            }
        });
    }
    let (writer, ended, count) = (subject.clone(), done.clone(), written.clone());
    let mut current = subject.add().await;
    tasks.spawn(async move {
        while !ended.load(Ordering::Relaxed) {
            let token = count.load(Ordering::Relaxed).to_string();
            let swap = renewal(&current, &token, NOW);
            match writer.call(writer.store.replace_token(&swap)).await {
                Ok(outcome) => {
                    assert_eq!(outcome, SwapOutcome::Replaced, "the only writer");
                    current = swap.next;
                    count.fetch_add(1, Ordering::Relaxed);
                }
                Err(_) => {
                    let read = writer.recovers(current.id).await.unwrap();
                    assert!(read == swap.next || read == swap.current, "{read:?}");
                    current = read;
                }
            }
        }
    });
    for _ in 0..KILLS {
        execute(&redis, &["CLIENT", "KILL", "TYPE", "normal"]);
        let before = written.load(Ordering::Relaxed);
        assert_eq!(subject.recovers(constant.id).await.as_ref(), Some(&constant));
        // The writer recovers too, before the next loss.
        while written.load(Ordering::Relaxed) < before + 2 {
            if let Some(ended) = tasks.try_join_next() {
                ended.unwrap();
            }
            yield_now().await;
        }
    }
    done.store(true, Ordering::Relaxed);
    tasks.join_all().await;
}

#[tokio::test]
async fn store_connects_to_a_server_that_starts_later() {
    let mut redis = TestRedis::start();
    redis.kill();
    let subject = TimedStore::new("late start", redis.url());
    let record = session(agent(), NOW).record;
    subject.fails(&record).await;
    // Until the back-off has reached its maximum.
    subject.fails_for(record.id, Duration::from_millis(1_500)).await;
    redis.restart();
    assert_eq!(subject.recovers(record.id).await, None);
    subject.add().await;
}
