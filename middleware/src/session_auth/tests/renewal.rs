//! A layer for renewal leaves "is it the current token" and "is it time" to the manager.

use super::*;
use crate::{
    ErrorKind,
    store::StoreError,
    testing::{Answer, LIFETIME, kind, other_agent, pass},
};

fn layer(answer: Answer) -> SessionAuthLayer<Stub> {
    SessionAuthLayer::for_renewal(verifier(), Stub::answering(answer)).clock(ManualClock::new(NOW))
}

#[tokio::test]
async fn current_superseded_and_expired_tokens_pass_as_presented_ones() {
    for (record, now) in [
        (record(&claims()), 0),
        (renewed(), 0),
        (record(&claims()), 2 * LIFETIME),
    ] {
        let layer = layer(Ok(Some(record.clone()))).clock(ManualClock::new(NOW.plus(now)));
        let given = pass(&layer, request(&claims())).await.unwrap();
        let presented = given.extensions().get::<PresentedSession>().unwrap();
        assert_eq!(presented.session_id(), claims().session_id);
        assert_eq!(*presented.record(), record);
        assert_eq!(*presented.token().claims(), claims());
        assert!(given.extensions().get::<AuthenticatedSession>().is_none());
    }
}

#[tokio::test]
async fn a_session_that_does_not_stand_is_refused() {
    let other_agents = SessionRecord {
        agent_id: other_agent(),
        ..record(&claims())
    };
    let revoked_and_renewed = SessionRecord {
        revoked_at: Some(NOW),
        ..renewed()
    };
    for (answer, expected, status) in [
        (Ok(None), ErrorKind::SessionNotFound, 401),
        (Ok(Some(revoked())), ErrorKind::SessionRevoked, 401),
        (Ok(Some(revoked_and_renewed)), ErrorKind::SessionRevoked, 401),
        (Ok(Some(other_agents)), ErrorKind::InvalidToken, 401),
        (Err(StoreError::Timeout), ErrorKind::StoreUnavailable, 503),
    ] {
        let refusal = pass(&layer(answer), request(&claims())).await.unwrap_err();
        assert_eq!(kind(&refusal), expected);
        assert_eq!(refusal.status(), status, "{expected:?}");
    }
}

#[tokio::test]
async fn a_token_that_proves_nothing_is_refused() {
    let refusal = pass(&layer(Ok(Some(record(&claims())))), Request::new(()))
        .await
        .unwrap_err();
    assert_eq!(kind(&refusal), ErrorKind::InvalidToken);
}
