//! Faults of the network between the server and Redis.

use std::time::Duration;

use super::{DEADLINE, Faulty, Mode, is_503};

/// Long enough for a connection attempt.
const OUTAGE: Duration = Duration::from_millis(700);

#[tokio::test]
async fn delay_within_the_deadline_is_not_seen() {
    let faulty = Faulty::start().await;
    faulty.proxy.set(Mode::Slow(DEADLINE / 5));
    for _ in 0..20 {
        faulty.access().await.expect(200);
    }
    faulty.proxy.set(Mode::Open);
    faulty.heals().await;
}

#[tokio::test]
async fn delay_beyond_the_deadline_is_503_until_it_ends() {
    let faulty = Faulty::start().await;
    faulty.proxy.set(Mode::Slow(4 * DEADLINE));
    faulty.is_unavailable().await;
    faulty.is_unavailable_for(OUTAGE).await;
    faulty.proxy.set(Mode::Open);
    faulty.heals().await;
}

#[tokio::test]
async fn cut_connections_are_503_until_new_ones_are_accepted() {
    let faulty = Faulty::start().await;
    faulty.proxy.set(Mode::Cut);
    faulty.is_unavailable().await;
    faulty.is_unavailable_for(OUTAGE).await;
    faulty.proxy.set(Mode::Open);
    faulty.heals().await;
}

#[tokio::test]
async fn reset_connections_are_503_until_new_ones_are_accepted() {
    let faulty = Faulty::start().await;
    faulty.proxy.set(Mode::Reset);
    faulty.is_unavailable().await;
    faulty.is_unavailable_for(OUTAGE).await;
    faulty.proxy.set(Mode::Open);
    faulty.heals().await;
}

#[tokio::test]
async fn half_open_connection_is_replaced_after_a_missed_deadline() {
    let faulty = Faulty::start().await;
    faulty.proxy.set(Mode::HalfOpen);
    is_503(&faulty.access().await);
    faulty.heals().await;
}

#[tokio::test]
async fn unanswered_connection_attempts_are_503_at_once() {
    let faulty = Faulty::start().await;
    faulty.proxy.set(Mode::Cut);
    is_503(&faulty.access().await);
    faulty.proxy.set(Mode::Silent);
    // Longer than a connection attempt may take.
    let last = faulty.is_unavailable_for(Duration::from_millis(2_500)).await;
    assert!(last < DEADLINE / 2, "{last:?}");
    faulty.proxy.set(Mode::Open);
    faulty.heals().await;
}

#[tokio::test]
async fn dripped_replies_are_complete_or_503() {
    let faulty = Faulty::start().await;
    faulty.proxy.set(Mode::Drip(Duration::ZERO));
    for _ in 0..10 {
        faulty.access().await.expect(200);
    }
    faulty.proxy.set(Mode::Drip(Duration::from_millis(50)));
    faulty.is_unavailable().await;
    faulty.is_unavailable_for(OUTAGE).await;
    faulty.proxy.set(Mode::Open);
    faulty.heals().await;
}
