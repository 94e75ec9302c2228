//! Servers that do not answer.

use std::time::Duration;

use session_auth_tests::{
    fixtures::{NOW, agent, session},
    redis::TestRedis,
};

use super::{
    gate::{Gate, Mode},
    order,
    subject::{DEADLINE, Subject},
};

#[tokio::test]
async fn a_server_that_hangs_is_an_error_in_time_and_soon_at_once() {
    let mut redis = TestRedis::start();
    let subject = Subject::new("hanging server", redis.url());
    let record = subject.add().await;
    redis.pause();
    subject.fails(&record).await;
    let last = subject.fails_for(record.id, Duration::from_secs(2)).await;
    assert!(last < DEADLINE / 2, "it is known that nothing answers: {last:?}");

    redis.resume();
    assert_eq!(subject.heals(record.id).await, Some(record));
}

#[tokio::test]
async fn a_black_hole_is_left_as_soon_as_there_is_a_server() {
    let redis = TestRedis::start();
    let gate = Gate::before(redis.port(), Mode::Hole).await;
    let subject = Subject::new("black hole", gate.url());
    let record = session(agent(), NOW).record;
    // Each time long enough for connections to be given up, and at another moment of an attempt.
    for millis in [700, 1_500, 2_300] {
        subject.fails(&record).await;
        subject.fails_for(record.id, Duration::from_millis(millis)).await;
        gate.set(Mode::Open);
        assert_eq!(subject.heals(record.id).await, None);
        subject.add().await;

        gate.set(Mode::Hole);
        order(&redis, &["CLIENT", "KILL", "TYPE", "normal"]);
        // Until the loss is known.
        while subject.read(record.id).await.is_ok() {}
    }
}
