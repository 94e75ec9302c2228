//! [`RenewalLayer`]: admits any verified token of a session that is not revoked. The manager decides the rest.

use super::*;
use crate::{
    ErrorKind, RejectionReason,
    store::StoreError,
    test_support::{Answer, LIFETIME, detail, json, kind, other_agent, pass, reason},
};

const ID: &str = "0199c82c-c000-7abc-8def-0123456789ab";
const OTHER_ID: &str = "0199c82c-c000-7abc-8def-0123456789ac";

fn layer(answer: Answer) -> RenewalLayer<Stub> {
    RenewalLayer::new(verifier(), Stub::answering(answer)).clock(ManualClock::new(NOW))
}

/// A layer over an active session.
fn active() -> RenewalLayer<Stub> {
    layer(Ok(Some(record(&claims()))))
}

fn request_to(path: &str) -> Request<()> {
    let mut request = request(&claims());
    *request.uri_mut() = path.parse().unwrap();
    request
}

#[tokio::test]
async fn current_superseded_and_expired_tokens_are_admitted_as_presented() {
    for (record, now) in [
        (record(&claims()), 0),
        (renewed(), 0),
        (record(&claims()), 2 * LIFETIME),
    ] {
        let layer = layer(Ok(Some(record.clone()))).clock(ManualClock::new(NOW.plus(now)));
        let admitted = pass(&layer, request(&claims())).await.unwrap();
        let presented = admitted.extensions().get::<PresentedSession>().unwrap();
        assert_eq!(presented.session_id(), claims().session_id);
        assert_eq!(*presented.record(), record);
        assert_eq!(*presented.token().claims(), claims());
        assert!(admitted.extensions().get::<AuthenticatedSession>().is_none());
        assert!(admitted.headers()[header::AUTHORIZATION].is_sensitive());
    }
}

#[tokio::test]
async fn token_of_a_missing_revoked_or_foreign_session_is_rejected() {
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
        let rejection = pass(&layer(answer), request(&claims())).await.unwrap_err();
        assert_eq!(kind(&rejection), expected);
        assert_eq!(rejection.status(), status, "{expected:?}");
    }
}

#[tokio::test]
async fn expired_token_of_a_removed_session_is_rejected_as_expired() {
    let layer = layer(Ok(None)).clock(ManualClock::new(claims().expires_at));
    let rejection = pass(&layer, request(&claims())).await.unwrap_err();
    assert_eq!(kind(&rejection), ErrorKind::TokenExpired);
}

#[tokio::test]
async fn request_without_a_token_is_rejected() {
    let rejection = pass(&active(), Request::new(())).await.unwrap_err();
    assert_eq!(kind(&rejection), ErrorKind::InvalidToken);
    assert_eq!(challenge(&rejection), CHALLENGE_MISSING);
}

#[tokio::test]
async fn id_in_the_path_must_be_that_of_the_tokens_session() {
    for (path, expected) in [
        (format!("/v1/sessions/{ID}/renew"), None),
        (format!("/{ID}/renew?a=b"), None),
        (
            format!("/v1/sessions/{OTHER_ID}/renew"),
            Some((ErrorKind::SessionNotFound, 404)),
        ),
        (
            format!("/{OTHER_ID}/renew?a=b"),
            Some((ErrorKind::SessionNotFound, 404)),
        ),
        (
            "/v1/sessions/x/renew".to_owned(),
            Some((ErrorKind::ValidationFailed, 400)),
        ),
        (
            "/v1/sessions//renew".to_owned(),
            Some((ErrorKind::ValidationFailed, 400)),
        ),
        (
            format!("/v1/sessions/{ID}0/renew"),
            Some((ErrorKind::ValidationFailed, 400)),
        ),
    ] {
        let rejection = pass(&active(), request_to(&path)).await.err();
        let outcome = rejection
            .as_ref()
            .map(|rejection| (kind(rejection), rejection.status().as_u16()));
        assert_eq!(outcome, expected, "{path}");
        // The token is valid, so the rejection must have no challenge.
        assert_eq!(rejection.as_ref().and_then(challenge), None, "{path}");
    }
}

#[tokio::test]
async fn renewal_at_the_path_of_another_session_has_its_own_reason() {
    let path = format!("/v1/sessions/{OTHER_ID}/renew");
    let rejection = pass(&active(), request_to(&path)).await.unwrap_err();
    assert_eq!(reason(&rejection), RejectionReason::OtherSession);
}

#[tokio::test]
async fn malformed_id_is_named_as_the_issue() {
    let rejection = pass(&active(), request_to("/v1/sessions/x/renew")).await;
    let body = json(rejection.unwrap_err()).await;
    assert_eq!(body["details"]["issues"][0]["path"], "id", "{body}");
}

#[tokio::test]
async fn path_of_another_form_is_not_checked() {
    for path in [
        "/".to_owned(),
        "/renew".to_owned(),
        "/v1/session/renew".to_owned(),
        "/x/renew".to_owned(),
        format!("/v1/sessions/{OTHER_ID}"),
        format!("/v1/sessions/{OTHER_ID}/renew/"),
        format!("/v1/sessions/{OTHER_ID}/renewal"),
        format!("/renew/{OTHER_ID}"),
        format!("/?path=/{OTHER_ID}/renew"),
    ] {
        let outcome = pass(&active(), request_to(&path)).await;
        assert!(outcome.is_ok(), "{path}");
    }
}

#[tokio::test]
async fn session_id_hook_replaces_the_search_in_the_path() {
    let layer = active().session_id(|request| {
        let id = request.headers.get("x-session-id")?;
        id.to_str().ok().map(str::to_owned)
    });
    for (id, expected) in [
        (None, None),
        (Some(ID), None),
        (Some(OTHER_ID), Some(ErrorKind::SessionNotFound)),
        (Some("x"), Some(ErrorKind::ValidationFailed)),
    ] {
        // The id in the path is another one. The hook does not read it.
        let mut request = request_to(&format!("/v1/sessions/{OTHER_ID}/renew"));
        let headers = request.headers_mut();
        headers.extend(id.map(|id| {
            (
                http::HeaderName::from_static("x-session-id"),
                HeaderValue::from_static(id),
            )
        }));
        let rejection = pass(&layer, request).await.err();
        assert_eq!(rejection.as_ref().map(kind), expected, "{id:?}");
    }
}

#[tokio::test]
async fn rejected_token_hides_the_mistake_in_the_path() {
    for (answer, expected) in [
        (Ok(None), ErrorKind::SessionNotFound),
        (Ok(Some(revoked())), ErrorKind::SessionRevoked),
        (Err(StoreError::Timeout), ErrorKind::StoreUnavailable),
    ] {
        let rejection = pass(&layer(answer), request_to("/x/renew")).await.unwrap_err();
        assert_eq!(kind(&rejection), expected);
    }
}

#[tokio::test]
async fn header_of_the_layer_carries_the_token() {
    let name = http::HeaderName::from_static("x-session-token");
    let layer = active().header(name.clone());
    let mut sent = Request::new(());
    let token = HeaderValue::from_str(sign(&claims()).expose()).unwrap();
    sent.headers_mut().insert(name.clone(), token);
    let admitted = pass(&layer, sent).await.unwrap();
    assert!(admitted.extensions().get::<PresentedSession>().is_some());
    assert!(admitted.headers()[name].is_sensitive());

    let rejection = pass(&layer, request(&claims())).await.unwrap_err();
    assert_eq!(challenge(&rejection), CHALLENGE_MISSING);
    assert!(detail(&rejection).contains("x-session-token"));
}
