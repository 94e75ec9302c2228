//! Creations with an idempotency key that run after their callers gave up.

use session_auth_tests::fixtures::{CREATED, NOW, agent, retry, session};
use tower_session_auth::{
    AgentId,
    store::{AgentReservation, AgentStore as _, CreateOutcome, NewSession, SessionStore as _},
};

use super::delayed::DelayedCalls;

fn repeatable(agent: AgentId) -> NewSession {
    let mut session = session(agent, NOW);
    session.retry = Some(retry(agent, "key-number-1", "a", NOW));
    session
}

#[tokio::test]
async fn late_creation_creates_nothing_after_its_repetition() {
    let calls = DelayedCalls::new("late creation").await;
    let agent = agent();
    let (late, repetition) = (repeatable(agent), repeatable(agent));
    calls.abandon("EVALSHA", calls.late.store.create(&late)).await;
    assert_eq!(calls.prompt.store.create(&repetition).await.unwrap(), CREATED);
    calls.release("EVALSHA").await;
    // The late creation and the revocation of its session have run, in this order, when this answers.
    calls.late.store.ping().await.unwrap();
    assert_eq!(calls.read(&late.record).await, None);
    assert_eq!(
        calls.read(&repetition.record).await.as_ref(),
        Some(&repetition.record)
    );
    assert!(calls.lists(&repetition.record).await);
}

#[tokio::test]
async fn late_creation_that_nobody_repeated_is_revoked_and_frees_its_key() {
    let calls = DelayedCalls::new("late creation").await;
    let agent = agent();
    let late = repeatable(agent);
    calls.abandon("EVALSHA", calls.late.store.create(&late)).await;
    calls.release("EVALSHA").await;
    calls.wait_until_revoked(&late.record).await;
    let repetition = repeatable(agent);
    assert_eq!(calls.prompt.store.create(&repetition).await.unwrap(), CREATED);
    assert!(!calls.lists(&late.record).await);
}

/// The connection of the creation hangs. The revocation runs over another one, before the creation, and finds nothing.
#[tokio::test]
async fn late_creation_over_another_connection_than_its_revocation_is_revoked() {
    for is_repeatable in [false, true] {
        let calls = DelayedCalls::new("another connection").await;
        let late = if is_repeatable {
            repeatable(agent())
        } else {
            session(agent(), NOW)
        };
        let before = calls.runs("EVALSHA");
        calls.abandon_one("EVALSHA", calls.late.store.create(&late)).await;
        calls.wait_until(async || calls.runs("EVALSHA") > before).await;
        assert_eq!(calls.read(&late.record).await, None, "the creation has not run");
        calls.release("EVALSHA").await;
        calls.wait_until_revoked(&late.record).await;
        assert!(!calls.lists(&late.record).await);
    }
}

/// The creation has run, and its reply is lost. The repetition receives its session before the revocation runs.
#[tokio::test]
async fn session_that_a_repetition_received_is_not_revoked() {
    let calls = DelayedCalls::new("late revocation").await;
    let agent = agent();
    let first = repeatable(agent);
    assert_eq!(calls.late.store.create(&first).await.unwrap(), CREATED);
    // As a caller that stopped waiting: the same creation again, held on its way, and its revocation behind it.
    calls.abandon("EVALSHA", calls.late.store.create(&first)).await;
    let repeated = calls.prompt.store.create(&repeatable(agent)).await.unwrap();
    assert!(
        matches!(repeated, CreateOutcome::Repeated { id, .. } if id == first.record.id),
        "{repeated:?}"
    );
    calls.release("EVALSHA").await;
    calls.late.store.ping().await.unwrap();
    assert_eq!(calls.read(&first.record).await.as_ref(), Some(&first.record));
    assert!(calls.lists(&first.record).await);
}

#[tokio::test]
async fn late_reservation_does_not_replace_another() {
    let calls = DelayedCalls::new("late reservation").await;
    let reservation = || {
        AgentReservation::new(
            retry(AgentId::from_uuid(Default::default()), "key-number-1", "a", NOW),
            agent(),
            NOW,
        )
    };
    // Loads the script.
    let other = AgentReservation::new(retry(agent(), "key-number-2", "a", NOW), agent(), NOW);
    calls.prompt.store.reserve(&other).await.unwrap();
    let (late, prompt) = (reservation(), reservation());
    calls.abandon("EVALSHA", calls.late.store.reserve(&late)).await;
    assert_eq!(calls.prompt.store.reserve(&prompt).await.unwrap(), prompt);
    calls.release("EVALSHA").await;
    assert_eq!(calls.prompt.store.reserve(&reservation()).await.unwrap(), prompt);
}
