//! Commands that run after their callers gave up.

use std::time::Duration;

use session_auth_tests::{
    fixtures::{CREATED, NOW, agent, renewal, session},
    redis::TestRedis,
};
use tokio::time::{sleep, timeout};
use tower_session_auth::store::{AgentStore as _, RegisterOutcome, SessionStore as _, SwapOutcome};

use super::{
    delayed::{DelayedCalls, agent_record},
    timed_store::TimedStore,
};

#[tokio::test]
async fn token_is_replaced_once_when_the_reply_was_lost() {
    let mut redis = TestRedis::start();
    let subject = TimedStore::new("lost answer", redis.url());
    let record = subject.add().await;
    // Loads the script: a paused server could not.
    let swap = renewal(&record, "0", NOW);
    subject.store.replace_token(&swap).await.unwrap();
    let record = swap.next;

    redis.pause();
    let swap = renewal(&record, "1", NOW);
    subject
        .call(subject.store.replace_token(&swap))
        .await
        .unwrap_err();
    redis.resume();
    subject.becomes(record.id, Some(&record), Some(&swap.next)).await;
    let again = renewal(&record, "2", NOW);
    for swap in [&swap, &again] {
        let swapped = subject.call(subject.store.replace_token(swap)).await;
        assert!(matches!(swapped.unwrap(), SwapOutcome::Mismatch(_)));
    }
    assert_eq!(subject.read(record.id).await.unwrap(), Some(swap.next));
}

#[tokio::test]
async fn late_replacement_changes_nothing_after_another_one() {
    let calls = DelayedCalls::new("late replacement").await;
    let record = calls.prompt.add().await;
    let (late, prompt) = (renewal(&record, "late", NOW), renewal(&record, "prompt", NOW));
    calls
        .abandon("EVALSHA", calls.late.store.replace_token(&late))
        .await;
    assert_eq!(
        calls.read(&record).await.as_ref(),
        Some(&record),
        "the command has not run"
    );
    let swapped = calls.prompt.store.replace_token(&prompt).await.unwrap();
    assert_eq!(swapped, SwapOutcome::Replaced);
    calls.release("EVALSHA").await;
    assert_eq!(calls.read(&record).await, Some(prompt.next));
}

#[tokio::test]
async fn late_replacement_changes_nothing_after_a_revocation() {
    let calls = DelayedCalls::new("late replacement").await;
    let record = calls.prompt.add().await;
    let late = renewal(&record, "late", NOW);
    calls
        .abandon("EVALSHA", calls.late.store.replace_token(&late))
        .await;
    assert!(calls.prompt.store.revoke(record.id, NOW).await.unwrap().is_some());
    let revoked = calls.read(&record).await;
    calls.release("EVALSHA").await;
    assert_eq!(calls.read(&record).await, revoked);
    assert!(!calls.lists(&record).await);
}

/// Otherwise the retry window could close before the renewal ran. Redis checks the limit with its own clock.
#[tokio::test]
async fn command_that_runs_past_its_time_limit_changes_nothing() {
    let calls = DelayedCalls::new("much too late").await;
    let record = calls.prompt.add().await;
    let swap = renewal(&record, "late", NOW);
    calls
        .abandon("EVALSHA", calls.late.store.replace_token(&swap))
        .await;
    sleep(Duration::from_millis(1_100)).await;
    calls.release("EVALSHA").await;
    assert_eq!(calls.read(&record).await.as_ref(), Some(&record));
    // The next replacement succeeds.
    let swapped = calls.prompt.store.replace_token(&swap).await;
    assert_eq!(swapped.unwrap(), SwapOutcome::Replaced);

    let late = session(agent(), NOW);
    calls.abandon("EVALSHA", calls.late.store.create(&late)).await;
    sleep(Duration::from_millis(1_100)).await;
    calls.release("EVALSHA").await;
    assert_eq!(calls.read(&late.record).await, None);
}

#[tokio::test]
async fn cancelled_creation_is_revoked_when_it_runs_late() {
    let calls = DelayedCalls::new("cancelled creation").await;
    let late = session(agent(), NOW);
    calls.hold("EVALSHA");
    let given_up = timeout(Duration::from_millis(50), calls.late.store.create(&late));
    assert!(given_up.await.is_err(), "the caller has given up");
    calls.release("EVALSHA").await;
    calls.wait_until_revoked(&late.record).await;
}

/// As at the end of a program: no runtime is left to revoke the session.
#[test]
fn creation_can_be_dropped_outside_a_runtime() {
    let redis = TestRedis::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let subject = runtime.block_on(async { TimedStore::new("dropped outside", redis.url()) });
    let session = session(agent(), NOW);
    let mut creation = Box::pin(subject.store.create(&session));
    runtime.block_on(async {
        let once = std::future::poll_fn(|cx| std::task::Poll::Ready(creation.as_mut().poll(cx).is_pending()));
        assert!(once.await);
    });
    drop(creation);
}

#[tokio::test]
async fn late_revocation_revokes_the_session_despite_a_renewal() {
    let calls = DelayedCalls::new("late revocation").await;
    let record = calls.prompt.add().await;
    calls
        .abandon("EVALSHA", calls.late.store.revoke(record.id, NOW))
        .await;
    let swap = renewal(&record, "1", NOW);
    let swapped = calls.prompt.store.replace_token(&swap).await.unwrap();
    assert_eq!(swapped, SwapOutcome::Replaced);
    calls.release("EVALSHA").await;
    assert_eq!(calls.read(&record).await.unwrap().revoked_at, Some(NOW));
}

#[tokio::test]
async fn late_creation_is_revoked() {
    let calls = DelayedCalls::new("late creation").await;
    let mut late = session(agent(), NOW);
    late.limit = 1;
    calls.abandon("EVALSHA", calls.late.store.create(&late)).await;
    assert_eq!(calls.read(&late.record).await, None, "the command has not run");
    calls.release("EVALSHA").await;
    calls.wait_until_revoked(&late.record).await;
    assert!(!calls.lists(&late.record).await);

    let mut next = session(late.record.agent_id, NOW);
    next.limit = 1;
    let created = calls.prompt.store.create(&next).await.unwrap();
    assert_eq!(created, CREATED, "the session no longer counts");
}

#[tokio::test]
async fn late_creation_respects_the_limit() {
    let calls = DelayedCalls::new("late creation").await;
    let agent = agent();
    let (mut late, mut prompt) = (session(agent, NOW), session(agent, NOW));
    (late.limit, prompt.limit) = (1, 1);
    calls.abandon("EVALSHA", calls.late.store.create(&late)).await;
    let created = calls.prompt.store.create(&prompt).await.unwrap();
    assert_eq!(created, CREATED);
    calls.release("EVALSHA").await;
    assert_eq!(calls.read(&late.record).await, None);
}

#[tokio::test]
async fn late_creation_adds_nothing_to_a_deleted_agent() {
    let calls = DelayedCalls::new("late creation").await;
    let agent = calls.registered().await.id;
    let late = session(agent, NOW);
    calls.abandon("EVALSHA", calls.late.store.create(&late)).await;
    let deleted = calls.prompt.store.delete_agent(agent, NOW).await.unwrap();
    assert_eq!(deleted.map(|revoked| revoked.active), Some(0));
    calls.release("EVALSHA").await;
    assert_eq!(calls.read(&late.record).await, None);
    assert!(!calls.lists(&late.record).await);
}

#[tokio::test]
async fn late_agent_revocation_keeps_sessions_created_since() {
    let calls = DelayedCalls::new("late revocation").await;
    let before = calls.prompt.add().await;
    calls
        .abandon("EVALSHA", calls.late.store.revoke_agent(before.agent_id, NOW))
        .await;
    let after = session(before.agent_id, NOW);
    let created = calls.prompt.store.create(&after).await.unwrap();
    assert_eq!(created, CREATED);
    calls.release("EVALSHA").await;
    assert_eq!(calls.read(&after.record).await.as_ref(), Some(&after.record));
    assert!(calls.lists(&after.record).await);
}

/// The deletion was for the earlier registration.
#[tokio::test]
async fn late_deletion_keeps_an_agent_registered_again() {
    let calls = DelayedCalls::new("late deletion").await;
    let agent = calls.registered().await.id;
    calls
        .abandon("EVALSHA", calls.late.store.delete_agent(agent, NOW))
        .await;
    let deleted = calls.prompt.store.delete_agent(agent, NOW).await.unwrap();
    assert_eq!(deleted.map(|revoked| revoked.active), Some(0));
    let anew = agent_record(agent, NOW.plus(1));
    let registered = calls.prompt.store.register(&anew).await.unwrap();
    assert_eq!(registered, RegisterOutcome::Registered);
    calls.release("EVALSHA").await;
    assert_eq!(calls.prompt.store.agent(agent).await.unwrap(), Some(anew));
}

/// The registry is outside the agent's slot, so its update is a separate command.
#[tokio::test]
async fn late_end_of_a_deletion_keeps_active_sessions_listed() {
    let calls = DelayedCalls::new("late deletion").await;
    let agent = calls.registered().await.id;
    calls
        .abandon("ZREM", calls.late.store.delete_agent(agent, NOW))
        .await;
    let registered = calls
        .prompt
        .store
        .register(&agent_record(agent, NOW.plus(1)))
        .await;
    assert_eq!(registered.unwrap(), RegisterOutcome::Registered);
    let live = session(agent, NOW);
    assert_eq!(calls.prompt.store.create(&live).await.unwrap(), CREATED);
    calls.release("ZREM").await;
    calls.wait_until(async || calls.lists(&live.record).await).await;
}

#[tokio::test]
async fn deletion_of_an_unregistered_agent_revokes_its_sessions() {
    let calls = DelayedCalls::new("deletion").await;
    let live = calls.prompt.add().await;
    let deleted = calls.late.call(calls.late.store.delete_agent(live.agent_id, NOW));
    assert!(matches!(deleted.await, Ok(None)));
    assert!(!calls.lists(&live).await);
    let read = calls.prompt.read(live.id).await.unwrap().unwrap();
    assert_eq!(read.revoked_at, Some(NOW));
}

#[tokio::test]
async fn late_registration_does_not_restore_a_deleted_agent() {
    let calls = DelayedCalls::new("late registration").await;
    let late = agent_record(agent(), NOW);
    calls.abandon("EVALSHA", calls.late.store.register(&late)).await;
    let store = &calls.prompt.store;
    assert_eq!(store.register(&late).await.unwrap(), RegisterOutcome::Registered);
    let now = NOW.plus(1);
    assert_eq!(
        store
            .delete_agent(late.id, now)
            .await
            .unwrap()
            .map(|revoked| revoked.active),
        Some(0)
    );
    calls.release("EVALSHA").await;
    assert_eq!(store.agent(late.id).await.unwrap(), None);
}
