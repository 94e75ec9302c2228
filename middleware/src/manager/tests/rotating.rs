//! Rotation by an administrator, and reuse as the manager sees it.

use super::*;
use crate::{security::SecurityEvents, session::OnReuse};

#[tokio::test]
async fn a_rotation_replaces_the_token_and_nothing_else() {
    let mut setup = setup();
    setup.sessions.policy.rotation.previous_token_overlap = 60;
    let first = setup.open().await;
    setup.advance(TTL / 2);
    let second = setup.renew(&first.token).await.unwrap();
    assert_eq!(second.record.previous_token_hash, Some(first.token.hash()));
    setup.advance(100);
    let rotated = setup.sessions.rotate(first.record.id).await.unwrap();
    let expected = SessionRecord {
        token_hash: rotated.token.hash(),
        generation: 2,
        previous_token_hash: None,
        rotated_generation: Some(2),
        ..second.record.clone()
    };
    assert_eq!(rotated.record, expected);
    assert_eq!(setup.sessions.get(first.record.id).await.unwrap(), expected);

    for dead in [&first.token, &second.token] {
        assert_eq!(setup.refusal(dead).await, Some(ErrorKind::TokenSuperseded));
        assert_kind(setup.renew(dead).await, ErrorKind::SessionRenewalMismatch);
    }
    assert_eq!(setup.refusal(&rotated.token).await, None);
    // It can be renewed when the one before could have been.
    setup.advance(TTL / 2 - 101);
    assert_kind(setup.renew(&rotated.token).await, ErrorKind::RenewalTooEarly);
    setup.advance(1);
    let third = setup.renew(&rotated.token).await.unwrap();
    assert_eq!((third.record.generation, third.record.renewal_count), (3, 2));
}

#[tokio::test]
async fn only_a_live_session_is_rotated() {
    let setup = setup();
    let id = setup.open().await.record.id;
    let unknown = "0199c82c-c000-7abc-8def-0123456789ab".parse().unwrap();
    let error = setup.sessions.rotate(unknown).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.status().as_u16()),
        (ErrorKind::SessionNotFound, 404)
    );
    setup.advance(TTL - 1);
    assert!(setup.sessions.rotate(id).await.is_ok());
    setup.advance(1);
    assert_kind(setup.sessions.rotate(id).await, ErrorKind::TokenExpired);
    setup.sessions.revoke(id).await.unwrap();
    assert_kind(setup.sessions.rotate(id).await, ErrorKind::SessionRevoked);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_rotations_at_once_each_gives_a_token_and_the_last_one_counts() {
    let setup = setup();
    let id = setup.open().await.record.id;
    let rotations: Vec<_> = (0..64)
        .map(|_| {
            let sessions = setup.sessions.clone();
            tokio::spawn(async move { sessions.rotate(id).await.unwrap() })
        })
        .collect();
    let mut tokens = Vec::new();
    for rotation in rotations {
        tokens.push(rotation.await.unwrap());
    }
    let mut current = 0;
    for issued in tokens {
        current += u32::from(setup.refusal(&issued.token).await.is_none());
    }
    assert_eq!(current, 1);
    assert_eq!(setup.sessions.get(id).await.unwrap().generation, 64);
}

#[tokio::test]
async fn a_reused_token_at_the_renewal_is_counted_and_revokes_when_it_is_to() {
    for (on_reuse, revoked) in [(OnReuse::Reject, false), (OnReuse::Revoke, true)] {
        let events = SecurityEvents::new();
        let mut setup = setup();
        setup.sessions = setup.sessions.events(events.clone());
        setup.sessions.policy.rotation.on_reuse = on_reuse;
        let first = setup.open().await;
        setup.advance(TTL / 2);
        let presented = setup.present(&first.token).await;
        let second = setup.renew(&first.token).await.unwrap();
        // Lost races: one that read the session before, one that read it after, within the retry window.
        let lost = setup.sessions.renew(&presented, None).await;
        assert_kind(lost, ErrorKind::SessionRenewalMismatch);
        setup.advance(59);
        assert_kind(setup.renew(&first.token).await, ErrorKind::SessionRenewalMismatch);
        assert_eq!(events.token_reuse(), 0);
        assert_eq!(setup.refusal(&second.token).await, None);

        setup.advance(1);
        assert_kind(setup.renew(&first.token).await, ErrorKind::SessionRenewalMismatch);
        assert_eq!(events.token_reuse(), 1);
        let after = setup.refusal(&second.token).await;
        assert_eq!(
            after,
            revoked.then_some(ErrorKind::SessionRevoked),
            "{on_reuse:?}"
        );
    }
}
