//! Replacing tokens.

use tower_session_auth::{
    session::RetryHash,
    store::{SwapOutcome, TokenSwap},
    token::TokenHash,
};

use super::steps::{Store, add, list};
use crate::fixtures::{NOW, TTL, agent, constraints, renewal, session};

pub async fn replacement_stores_exactly_the_next_record(store: impl Store) {
    for constraints in [None, constraints(64), constraints(65)] {
        let mut session = session(agent(), NOW);
        session.record.scopes = "a b:c".parse().unwrap();
        session.record.constraints = constraints;
        let mut current = add(&store, session).await;
        for count in 1..=3 {
            let swap = renewal(&current, &format!("{count}"), NOW.plus(u64::from(count)));
            assert_eq!(store.replace_token(&swap).await.unwrap(), SwapOutcome::Replaced);
            current = store.read(current.id).await.unwrap().unwrap();
            assert_eq!(current, swap.next);
            assert_eq!((current.generation, current.renewal_count()), (count, count));
        }
        assert_eq!(list(&store, Some(current.agent_id), 1).await, [current]);
    }
}

pub async fn rotation_increments_the_generation_but_not_the_renewal_count(store: impl Store) {
    let mut current = add(&store, session(agent(), NOW)).await;
    for (token, renewed, generation, renewals) in [
        ("a", false, 1, 0),
        ("b", true, 2, 1),
        ("c", false, 3, 1),
        ("d", true, 4, 2),
    ] {
        let mut swap = renewal(&current, token, NOW.plus(u64::from(generation)));
        if !renewed {
            swap.next.last_renewal.clone_from(&current.last_renewal);
        }
        assert_eq!(store.replace_token(&swap).await.unwrap(), SwapOutcome::Replaced);
        current = store.read(current.id).await.unwrap().unwrap();
        assert_eq!(current, swap.next);
        assert_eq!(
            (current.generation, current.renewal_count()),
            (generation, renewals)
        );
    }
}

pub async fn retry_hash_is_kept_until_the_next_replacement(store: impl Store) {
    let first = add(&store, session(agent(), NOW)).await;
    let key = "a-key-of-a-client".parse().unwrap();
    let mut swap = renewal(&first, "1", NOW);
    let retry = RetryHash::of(&first.token_hash, &swap.next.token_hash, &key);
    let last_renewal = swap.next.last_renewal.as_mut().unwrap();
    last_renewal.previous_token_hash = Some(first.token_hash);
    last_renewal.retry_hash = Some(retry);
    assert_eq!(store.replace_token(&swap).await.unwrap(), SwapOutcome::Replaced);
    let second = store.read(first.id).await.unwrap().unwrap();
    assert_eq!(second, swap.next);
    // A late replacement gets the current record.
    let late = store.replace_token(&renewal(&first, "2", NOW)).await.unwrap();
    assert_eq!(late, SwapOutcome::Mismatch(Box::new(second.clone())));

    let mut swap = renewal(&second, "3", NOW);
    swap.next.last_renewal.clone_from(&second.last_renewal);
    let last_renewal = swap.next.last_renewal.as_mut().unwrap();
    (last_renewal.previous_token_hash, last_renewal.retry_hash) = (None, None);
    swap.next.rotated_generation = Some(2);
    assert_eq!(store.replace_token(&swap).await.unwrap(), SwapOutcome::Replaced);
    assert_eq!(store.read(first.id).await.unwrap(), Some(swap.next));
}

pub async fn only_the_current_token_can_be_replaced(store: impl Store) {
    let first = add(&store, session(agent(), NOW)).await;
    let swap = renewal(&first, "1", NOW);
    assert_eq!(store.replace_token(&swap).await.unwrap(), SwapOutcome::Replaced);

    // The previous token, a repeated swap, and a token that never existed.
    let mut stranger = first.clone();
    stranger.token_hash = TokenHash::of("never");
    for wrong in [
        renewal(&first, "2", NOW),
        swap.clone(),
        renewal(&stranger, "2", NOW),
    ] {
        let current = Box::new(swap.next.clone());
        assert_eq!(
            store.replace_token(&wrong).await.unwrap(),
            SwapOutcome::Mismatch(current)
        );
        assert_eq!(store.read(first.id).await.unwrap(), Some(swap.next.clone()));
    }
}

pub async fn revoked_session_rejects_a_replacement(store: impl Store) {
    let record = add(&store, session(agent(), NOW)).await;
    assert!(store.revoke(record.id, NOW).await.unwrap().is_some());
    // The answer is `Revoked` for any token.
    let mut other = renewal(&record, "1", NOW);
    other.current.token_hash = TokenHash::of("never");
    for swap in [renewal(&record, "1", NOW), other] {
        assert_eq!(store.replace_token(&swap).await.unwrap(), SwapOutcome::Revoked);
    }
    let mut kept = record.clone();
    kept.revoked_at = Some(NOW);
    assert_eq!(store.read(record.id).await.unwrap(), Some(kept));
    assert_eq!(list(&store, Some(record.agent_id), 1).await, []);
}

pub async fn replacement_for_an_unknown_session_is_not_found(store: impl Store) {
    let record = session(agent(), NOW).record;
    let swap = renewal(&record, "1", NOW);
    assert_eq!(store.replace_token(&swap).await.unwrap(), SwapOutcome::NotFound);
    assert_eq!(store.read(record.id).await.unwrap(), None);
    assert_eq!(list(&store, Some(record.agent_id), 1).await, []);
}

pub async fn replacement_can_shorten_the_expiry(store: impl Store) {
    let record = add(&store, session(agent(), NOW)).await;
    let mut swap: TokenSwap = renewal(&record, "1", NOW.plus(TTL / 2));
    swap.next.absolute_expires_at = NOW.plus(TTL / 2 + 1);
    assert_eq!(swap.next.expires_at(), NOW.plus(TTL / 2 + 1));
    assert_eq!(store.replace_token(&swap).await.unwrap(), SwapOutcome::Replaced);
    // The session stops counting at its new, earlier expiry.
    let mut late = session(record.agent_id, NOW.plus(TTL / 2 + 1));
    late.limit = 1;
    add(&store, late).await;
}
