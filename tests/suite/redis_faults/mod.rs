//! What a store does when its Redis fails: it fails closed, in time, and heals by itself.

mod gate;
mod held;
mod late;
mod records;
mod refusal;
mod silence;
mod subject;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use session_auth_tests::{
    fixtures::{self, NOW, agent, renewal, session},
    redis::{TestRedis, command},
};
use subject::Subject;
use tokio::task::{JoinSet, yield_now};
use tower_session_auth::{Created, SessionStore as _, Swapped};

fn order(redis: &TestRedis, arguments: &[&str]) {
    redis.command::<redis::Value>(arguments).unwrap();
}

/// Redis repeats the arguments of a command that it does not know: those of HELLO are user and password.
#[tokio::test]
async fn no_error_repeats_the_password() {
    let redis = TestRedis::start_with(&["--requirepass", "opensesame", "--rename-command", "HELLO", "\"\""]);
    let store = fixtures::open(redis.url(), Duration::from_secs(5));
    let error = store.ping().await.unwrap_err();
    let told = format!("{error} {error:?}");
    // Valkey only asks for authentication.
    assert!(told.contains("HELLO") || told.contains("NOAUTH"), "{told}");
    assert!(!told.contains("opensesame"), "{told}");
}

#[tokio::test]
async fn no_deadline_is_too_long() {
    let redis = TestRedis::shared();
    let store = fixtures::open(redis.fresh_database(), Duration::MAX);
    let created = store.create(&session(agent(), NOW)).await;
    assert_eq!(created.unwrap(), Created::Done);
}

#[tokio::test]
async fn a_server_that_comes_back_empty_is_taken_as_it_is() {
    let mut redis = TestRedis::start();
    let subject = Subject::new("restart", redis.url());
    let record = subject.add().await;
    redis.kill();
    subject.fails(&record).await;

    redis.restart();
    assert_eq!(subject.heals(record.id).await, None);
    // Its scripts are gone as well.
    let swap = renewal(&record, "1", NOW);
    let swapped = subject.call(subject.store.replace_token(&swap)).await;
    assert_eq!(swapped.unwrap(), Swapped::NotFound);
    let record = subject.add().await;
    assert_eq!(subject.read(record.id).await.unwrap(), Some(record));
}

#[tokio::test]
async fn scripts_that_were_flushed_are_loaded_again() {
    let redis = TestRedis::start();
    let subject = Subject::new("flushed scripts", redis.url());
    let store = &subject.store;
    let record = subject.add().await;
    let flush = || order(&redis, &["SCRIPT", "FLUSH"]);
    flush();
    let swap = renewal(&record, "1", NOW);
    let swapped = subject.call(store.replace_token(&swap)).await.unwrap();
    assert_eq!(swapped, Swapped::Done);
    flush();
    assert!(subject.call(store.revoke(record.id, NOW)).await.unwrap());
    flush();
    subject.add().await;
    flush();
    assert_eq!(
        subject
            .call(store.revoke_agent(record.agent_id, NOW))
            .await
            .unwrap(),
        0
    );
}

#[tokio::test]
async fn a_password_that_is_changed_and_changed_back_needs_no_restart() {
    let redis = TestRedis::start();
    let subject = Subject::new("changed password", redis.url());
    let record = subject.add().await;
    order(&redis, &["CONFIG", "SET", "requirepass", "other"]);
    let with_password = format!("redis://:other@127.0.0.1:{}/0", redis.port());
    let order = |arguments: &[&str]| command::<redis::Value>(&with_password, arguments).unwrap();
    order(&["CLIENT", "KILL", "TYPE", "normal"]);
    subject.fails(&record).await;

    order(&["CONFIG", "SET", "requirepass", ""]);
    assert_eq!(subject.heals(record.id).await, Some(record));
}

#[tokio::test]
async fn a_password_that_is_wrong_at_first_needs_no_restart() {
    let redis = TestRedis::start_with(&["--requirepass", "secret"]);
    let subject = Subject::new("wrong password", redis.url().replace("secret", "other"));
    let record = session(agent(), NOW).record;
    subject.fails(&record).await;
    order(&redis, &["CONFIG", "SET", "requirepass", "other"]);
    assert_eq!(subject.heals(record.id).await, None);
    subject.add().await;
}

#[tokio::test]
async fn a_lost_connection_is_replaced_without_a_call() {
    let redis = TestRedis::start();
    let subject = Subject::new("idle loss", redis.url());
    let record = subject.add().await;
    // The one that asks, and the store's.
    let connections = || {
        let list: String = redis.command(&["CLIENT", "LIST", "TYPE", "normal"]).unwrap();
        list.lines().count()
    };
    assert_eq!(connections(), 2);
    order(&redis, &["CLIENT", "KILL", "TYPE", "normal"]);
    let start = Instant::now();
    while connections() < 2 {
        assert!(start.elapsed() < Duration::from_secs(2), "there is none");
        yield_now().await;
    }
    assert_eq!(subject.heals(record.id).await, Some(record));
}

/// Readers and a writer all along, while connections are killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_answered_over_lost_connections_is_right() {
    const KILLS: usize = 20;
    let redis = TestRedis::start();
    let subject = Arc::new(Subject::new("killed connections", redis.url()));
    let constant = subject.add().await;
    let (over, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));

    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let (subject, constant, over) = (subject.clone(), constant.clone(), over.clone());
        tasks.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                if let Ok(record) = subject.read(constant.id).await {
                    assert_eq!(record.as_ref(), Some(&constant));
                }
                yield_now().await;
            }
        });
    }
    let (writer, done, count) = (subject.clone(), over.clone(), written.clone());
    let mut current = subject.add().await;
    tasks.spawn(async move {
        while !done.load(Ordering::Relaxed) {
            let token = count.load(Ordering::Relaxed).to_string();
            let swap = renewal(&current, &token, NOW);
            match writer.call(writer.store.replace_token(&swap)).await {
                Ok(outcome) => {
                    assert_eq!(outcome, Swapped::Done, "nobody else writes");
                    current = swap.next;
                    count.fetch_add(1, Ordering::Relaxed);
                }
                Err(_) => {
                    let read = writer.heals(current.id).await.unwrap();
                    assert!(read == swap.next || read == swap.current, "{read:?}");
                    current = read;
                }
            }
        }
    });
    for _ in 0..KILLS {
        order(&redis, &["CLIENT", "KILL", "TYPE", "normal"]);
        let before = written.load(Ordering::Relaxed);
        assert_eq!(subject.heals(constant.id).await.as_ref(), Some(&constant));
        // The writer heals as well, before the next loss.
        while written.load(Ordering::Relaxed) < before + 2 {
            if let Some(ended) = tasks.try_join_next() {
                ended.unwrap();
            }
            yield_now().await;
        }
    }
    over.store(true, Ordering::Relaxed);
    tasks.join_all().await;
}

#[tokio::test]
async fn a_server_may_start_later() {
    let mut redis = TestRedis::start();
    redis.kill();
    let subject = Subject::new("late start", redis.url());
    let record = session(agent(), NOW).record;
    subject.fails(&record).await;
    // Until it has become patient.
    subject.fails_for(record.id, Duration::from_millis(1_500)).await;
    redis.restart();
    assert_eq!(subject.heals(record.id).await, None);
    subject.add().await;
}
