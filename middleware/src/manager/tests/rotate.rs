//! Rotation by an administrator, and reuse of a token at the renewal.

use super::*;
use crate::{
    security::SecurityEvents,
    session::{LastRenewal, OnReuse},
};

#[tokio::test]
async fn rotation_replaces_only_token_and_generation() {
    let mut setup = setup();
    setup.sessions.policy.replaced_tokens.previous_token_overlap = 60;
    let first = setup.create().await;
    setup.advance(TTL / 2);
    let second = setup.renew(&first.token).await.unwrap();
    let renewal = second.record.last_renewal.clone().unwrap();
    assert_eq!(renewal.previous_token_hash, Some(first.token.hash()));
    setup.advance(100);
    let rotated = setup.sessions.rotate(first.record.id).await.unwrap();
    let expected = SessionRecord {
        token_hash: rotated.token.hash(),
        generation: 2,
        last_renewal: Some(LastRenewal {
            previous_token_hash: None,
            ..renewal
        }),
        rotated_generation: Some(2),
        ..second.record.clone()
    };
    assert_eq!(rotated.record, expected);
    assert_eq!(setup.sessions.get(first.record.id).await.unwrap(), expected);

    for replaced in [&first.token, &second.token] {
        assert_eq!(setup.rejection(replaced).await, Some(ErrorKind::TokenSuperseded));
        assert_kind(setup.renew(replaced).await, ErrorKind::SessionRenewalMismatch);
    }
    assert_eq!(setup.rejection(&rotated.token).await, None);
    // The rotation does not delay the next renewal.
    setup.advance(TTL / 2 - 101);
    assert_kind(setup.renew(&rotated.token).await, ErrorKind::RenewalTooEarly);
    setup.advance(1);
    let third = setup.renew(&rotated.token).await.unwrap();
    assert_eq!((third.record.generation, third.record.renewal_count()), (3, 2));
}

#[tokio::test]
async fn only_an_active_session_is_rotated() {
    let setup = setup();
    let id = setup.create().await.record.id;
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
async fn each_concurrent_rotation_gives_a_token_and_the_last_one_is_current() {
    let setup = setup();
    let id = setup.create().await.record.id;
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
        current += u32::from(setup.rejection(&issued.token).await.is_none());
    }
    assert_eq!(current, 1);
    assert_eq!(setup.sessions.get(id).await.unwrap().generation, 64);
}

#[tokio::test]
async fn reuse_in_a_renewal_is_counted_and_revokes_if_configured() {
    for (on_reuse, revoked) in [(OnReuse::Reject, false), (OnReuse::Revoke, true)] {
        let events = SecurityEvents::new();
        let mut setup = setup();
        setup.sessions = setup.sessions.events(events.clone());
        setup.sessions.policy.replaced_tokens.on_reuse = on_reuse;
        let first = setup.create().await;
        setup.advance(TTL / 2);
        let presented = setup.present(&first.token).await;
        let second = setup.renew(&first.token).await.unwrap();
        // Two lost races within the retry window: one read the session before the renewal, one after it.
        let lost = setup.sessions.renew(&presented, None).await;
        assert_kind(lost, ErrorKind::SessionRenewalMismatch);
        setup.advance(59);
        assert_kind(setup.renew(&first.token).await, ErrorKind::SessionRenewalMismatch);
        assert_eq!(events.token_reuse(), 0);
        assert_eq!(setup.rejection(&second.token).await, None);

        setup.advance(1);
        assert_kind(setup.renew(&first.token).await, ErrorKind::SessionRenewalMismatch);
        assert_eq!(events.token_reuse(), 1);
        let after = setup.rejection(&second.token).await;
        assert_eq!(
            after,
            revoked.then_some(ErrorKind::SessionRevoked),
            "{on_reuse:?}"
        );
    }
}
