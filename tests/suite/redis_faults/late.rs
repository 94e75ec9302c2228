//! Commands that run later than their callers waited for them.

use std::time::Duration;

use session_auth_tests::{
    fixtures::{NOW, agent, renewal, session},
    redis::TestRedis,
};
use tokio::time::{sleep, timeout};
use tower_session_auth::{AgentStore as _, Created, Registered, SessionStore as _, Swapped};

use super::{
    held::{Held, named},
    subject::Subject,
};

#[tokio::test]
async fn a_token_is_replaced_once_even_when_the_answer_was_lost() {
    let mut redis = TestRedis::start();
    let subject = Subject::new("lost answer", redis.url());
    let record = subject.add().await;
    // It may wait for a hung server, so it must be known there.
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
        assert!(matches!(swapped.unwrap(), Swapped::Mismatch(_)));
    }
    assert_eq!(subject.read(record.id).await.unwrap(), Some(swap.next));
}

#[tokio::test]
async fn a_late_replacement_does_nothing_after_another_one() {
    let held = Held::new("late replacement").await;
    let record = held.prompt.add().await;
    let (late, prompt) = (renewal(&record, "late", NOW), renewal(&record, "prompt", NOW));
    held.abandon("EVALSHA", held.late.store.replace_token(&late))
        .await;
    assert_eq!(held.read(&record).await.as_ref(), Some(&record), "it has not run");
    let swapped = held.prompt.store.replace_token(&prompt).await.unwrap();
    assert_eq!(swapped, Swapped::Done);
    held.release("EVALSHA").await;
    assert_eq!(held.read(&record).await, Some(prompt.next));
}

#[tokio::test]
async fn a_late_replacement_does_nothing_after_a_revocation() {
    let held = Held::new("late replacement").await;
    let record = held.prompt.add().await;
    let late = renewal(&record, "late", NOW);
    held.abandon("EVALSHA", held.late.store.replace_token(&late))
        .await;
    assert!(held.prompt.store.revoke(record.id, NOW).await.unwrap());
    let revoked = held.read(&record).await;
    held.release("EVALSHA").await;
    assert_eq!(held.read(&record).await, revoked);
    assert!(!held.lists(&record).await);
}

/// Else the window in which it can be repeated could be over before it begins. The server's clock counts, and that is real.
#[tokio::test]
async fn what_comes_much_too_late_replaces_and_creates_nothing() {
    let held = Held::new("much too late").await;
    let record = held.prompt.add().await;
    let swap = renewal(&record, "late", NOW);
    held.abandon("EVALSHA", held.late.store.replace_token(&swap))
        .await;
    sleep(Duration::from_millis(1_100)).await;
    held.release("EVALSHA").await;
    assert_eq!(held.read(&record).await.as_ref(), Some(&record));
    // The next one is not.
    let swapped = held.prompt.store.replace_token(&swap).await;
    assert_eq!(swapped.unwrap(), Swapped::Done);

    let late = session(agent(), NOW);
    held.abandon("EVALSHA", held.late.store.create(&late)).await;
    sleep(Duration::from_millis(1_100)).await;
    held.release("EVALSHA").await;
    assert_eq!(held.read(&late.record).await, None);
}

#[tokio::test]
async fn a_late_creation_that_nobody_waited_for_is_taken_back() {
    let held = Held::new("given up").await;
    let late = session(agent(), NOW);
    held.hold("EVALSHA");
    let given_up = timeout(Duration::from_millis(50), held.late.store.create(&late));
    assert!(given_up.await.is_err(), "its caller has hung up");
    held.release("EVALSHA").await;
    let revoked = async || {
        held.read(&late.record)
            .await
            .is_some_and(|record| record.revoked_at == Some(NOW))
    };
    held.becomes_true(revoked).await;
}

/// As when a program ends: there is nothing left to take it back with.
#[test]
fn a_creation_may_be_dropped_outside_a_runtime() {
    let redis = TestRedis::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let subject = runtime.block_on(async { Subject::new("dropped outside", redis.url()) });
    let session = session(agent(), NOW);
    let mut creation = Box::pin(subject.store.create(&session));
    runtime.block_on(async {
        let once = std::future::poll_fn(|cx| std::task::Poll::Ready(creation.as_mut().poll(cx).is_pending()));
        assert!(once.await);
    });
    drop(creation);
}

#[tokio::test]
async fn a_late_revocation_revokes_whatever_token_is_current() {
    let held = Held::new("late revocation").await;
    let record = held.prompt.add().await;
    held.abandon("EVALSHA", held.late.store.revoke(record.id, NOW))
        .await;
    let swap = renewal(&record, "1", NOW);
    let swapped = held.prompt.store.replace_token(&swap).await.unwrap();
    assert_eq!(swapped, Swapped::Done);
    held.release("EVALSHA").await;
    assert_eq!(held.read(&record).await.unwrap().revoked_at, Some(NOW));
}

#[tokio::test]
async fn a_late_creation_is_taken_back() {
    let held = Held::new("late creation").await;
    let mut late = session(agent(), NOW);
    late.limit = 1;
    held.abandon("EVALSHA", held.late.store.create(&late)).await;
    assert_eq!(held.read(&late.record).await, None, "it has not run");
    held.release("EVALSHA").await;
    let revoked = async || {
        held.read(&late.record)
            .await
            .is_some_and(|record| record.revoked_at == Some(NOW))
    };
    held.becomes_true(revoked).await;
    assert!(!held.lists(&late.record).await);

    let mut next = session(late.record.agent_id, NOW);
    next.limit = 1;
    let created = held.prompt.store.create(&next).await.unwrap();
    assert_eq!(created, Created::Done, "its place is free");
}

#[tokio::test]
async fn a_late_creation_respects_the_limit() {
    let held = Held::new("late creation").await;
    let agent = agent();
    let (mut late, mut prompt) = (session(agent, NOW), session(agent, NOW));
    (late.limit, prompt.limit) = (1, 1);
    held.abandon("EVALSHA", held.late.store.create(&late)).await;
    let created = held.prompt.store.create(&prompt).await.unwrap();
    assert_eq!(created, Created::Done);
    held.release("EVALSHA").await;
    assert_eq!(held.read(&late.record).await, None);
}

#[tokio::test]
async fn a_late_creation_adds_nothing_to_an_agent_that_was_deleted() {
    let held = Held::new("late creation").await;
    let agent = held.registered().await.id;
    let late = session(agent, NOW);
    held.abandon("EVALSHA", held.late.store.create(&late)).await;
    let deleted = held.prompt.store.delete_agent(agent, NOW).await.unwrap();
    assert_eq!(deleted, Some(0));
    held.release("EVALSHA").await;
    assert_eq!(held.read(&late.record).await, None);
    assert!(!held.lists(&late.record).await);
}

#[tokio::test]
async fn a_late_revocation_of_all_leaves_later_sessions_alone() {
    let held = Held::new("late revocation").await;
    let before = held.prompt.add().await;
    held.abandon("EVALSHA", held.late.store.revoke_agent(before.agent_id, NOW))
        .await;
    let after = session(before.agent_id, NOW);
    let created = held.prompt.store.create(&after).await.unwrap();
    assert_eq!(created, Created::Done);
    held.release("EVALSHA").await;
    assert_eq!(held.read(&after.record).await.as_ref(), Some(&after.record));
    assert!(held.lists(&after.record).await);
}

/// Nobody asked to delete the agent that was registered after the deletion.
#[tokio::test]
async fn a_late_deletion_leaves_an_agent_alone_that_was_registered_anew() {
    let held = Held::new("late deletion").await;
    let agent = held.registered().await.id;
    held.abandon("EVALSHA", held.late.store.delete_agent(agent, NOW))
        .await;
    let deleted = held.prompt.store.delete_agent(agent, NOW).await.unwrap();
    assert_eq!(deleted, Some(0));
    let anew = named(agent, NOW.plus(1));
    let registered = held.prompt.store.register(&anew).await.unwrap();
    assert_eq!(registered, Registered::Done);
    held.release("EVALSHA").await;
    assert_eq!(held.prompt.store.agent(agent).await.unwrap(), Some(anew));
}

/// The registry stands outside the agent's slot.
#[tokio::test]
async fn a_late_end_of_a_deletion_unlists_no_live_session() {
    let held = Held::new("late deletion").await;
    let agent = held.registered().await.id;
    held.abandon("ZREM", held.late.store.delete_agent(agent, NOW))
        .await;
    let registered = held.prompt.store.register(&named(agent, NOW.plus(1))).await;
    assert_eq!(registered.unwrap(), Registered::Done);
    let live = session(agent, NOW);
    assert_eq!(held.prompt.store.create(&live).await.unwrap(), Created::Done);
    held.release("ZREM").await;
    held.becomes_true(async || held.lists(&live.record).await).await;
}

#[tokio::test]
async fn the_deletion_of_an_agent_that_is_not_registered_never_unlists_its_sessions() {
    let held = Held::new("deletion").await;
    let live = held.prompt.add().await;
    // Were the entry taken away and put back, it would be missing now.
    held.hold("ZADD");
    let deleted = held.late.call(held.late.store.delete_agent(live.agent_id, NOW));
    assert!(matches!(deleted.await, Ok(None)));
    assert!(held.lists(&live).await);
}

#[tokio::test]
async fn a_late_registration_brings_no_agent_back_that_was_deleted() {
    let held = Held::new("late registration").await;
    let late = named(agent(), NOW);
    held.abandon("EVALSHA", held.late.store.register(&late)).await;
    let store = &held.prompt.store;
    assert_eq!(store.register(&late).await.unwrap(), Registered::Done);
    let now = NOW.plus(1);
    assert_eq!(store.delete_agent(late.id, now).await.unwrap(), Some(0));
    held.release("EVALSHA").await;
    assert_eq!(store.agent(late.id).await.unwrap(), None);
}
