//! Who passes, who does not, and what both are told.

use super::*;
use crate::{
    AuthError, ErrorKind,
    clock::Timestamp,
    session::Constraints,
    store::StoreError,
    testing::{Answer, LIFETIME, TTL, header, json, kind, other_agent, pass},
};

const CHALLENGE: Option<&str> = Some("Bearer realm=\"session\", error=\"invalid_token\"");

fn expired() -> Claims {
    Claims {
        expires_at: NOW,
        ..claims()
    }
}

#[tokio::test]
async fn every_reason_is_told_apart_and_keeps_the_request_from_the_inner_service() {
    let other_agents = SessionRecord {
        agent_id: other_agent(),
        ..record(&claims())
    };
    let cut_short = SessionRecord {
        expires_at: NOW,
        ..record(&claims())
    };
    let rows: Vec<(Answer, ErrorKind, u16, Option<&str>)> = vec![
        (Ok(None), ErrorKind::SessionNotFound, 401, CHALLENGE),
        (Ok(Some(revoked())), ErrorKind::SessionRevoked, 401, CHALLENGE),
        (Ok(Some(renewed())), ErrorKind::TokenSuperseded, 401, CHALLENGE),
        (Ok(Some(other_agents)), ErrorKind::InvalidToken, 401, CHALLENGE),
        (Ok(Some(cut_short)), ErrorKind::TokenExpired, 401, CHALLENGE),
        (Err(StoreError::Timeout), ErrorKind::StoreUnavailable, 503, None),
        (
            Err(StoreError::Unavailable("OOM".into())),
            ErrorKind::StoreUnavailable,
            503,
            None,
        ),
        (
            Err(StoreError::Unexpected("?".into())),
            ErrorKind::StoreUnavailable,
            503,
            None,
        ),
    ];
    for (answer, expected, status, challenge) in rows {
        let refusal = pass(&access(Stub::answering(answer)), request(&claims()))
            .await
            .unwrap_err();
        assert_eq!(kind(&refusal), expected);
        assert_eq!(refusal.status(), status, "{expected:?}");
        assert_eq!(
            header(&refusal, header::WWW_AUTHENTICATE),
            challenge,
            "{expected:?}"
        );
        assert_eq!(
            header(&refusal, header::CACHE_CONTROL),
            Some("no-store"),
            "{expected:?}"
        );
        let retry_after = (expected == ErrorKind::StoreUnavailable).then_some("1");
        assert_eq!(header(&refusal, header::RETRY_AFTER), retry_after, "{expected:?}");
        assert_eq!(json(refusal).await["code"], expected.code());
    }
}

#[tokio::test]
async fn an_unproven_token_is_refused_without_a_question_to_the_store() {
    let foreign = crate::token::TokenSigner::new(crate::SigningKey::generate().unwrap());
    let foreign = foreign.sign(&claims()).unwrap();
    let mut forged = request(&claims());
    let bearer = HeaderValue::try_from(format!("Bearer {}", foreign.expose())).unwrap();
    forged.headers_mut().insert(header::AUTHORIZATION, bearer);
    for (request, challenge) in [
        (forged, CHALLENGE),
        (Request::new(()), Some("Bearer realm=\"session\"")),
    ] {
        let store = Stub::answering(Ok(Some(record(&claims()))));
        let refusal = pass(&access(store.clone()), request).await.unwrap_err();
        assert_eq!(kind(&refusal), ErrorKind::InvalidToken);
        assert_eq!(refusal.status(), 401);
        assert_eq!(header(&refusal, header::WWW_AUTHENTICATE), challenge);
        assert_eq!(store.reads(), []);
    }
}

#[tokio::test]
async fn an_expired_token_is_told_so_unless_its_session_was_revoked() {
    for (answer, expected) in [
        (Ok(None), ErrorKind::TokenExpired),
        (Ok(Some(record(&expired()))), ErrorKind::TokenExpired),
        (Ok(Some(renewed())), ErrorKind::TokenExpired),
        (Ok(Some(revoked())), ErrorKind::SessionRevoked),
        (Err(StoreError::Timeout), ErrorKind::StoreUnavailable),
    ] {
        let refusal = pass(&access(Stub::answering(answer)), request(&expired()))
            .await
            .unwrap_err();
        assert_eq!(kind(&refusal), expected);
    }
}

#[tokio::test]
async fn a_token_passes_until_the_second_before_its_expiry() {
    let layer = SessionAuthLayer::new(verifier(), Stub::answering(Ok(Some(record(&claims())))));
    for (now, passes) in [(TTL - 1, true), (TTL, false), (TTL + 1, false)] {
        let layer = layer.clone().clock(ManualClock::new(NOW.plus(now)));
        let verdict = pass(&layer, request(&claims())).await;
        assert_eq!(verdict.is_ok(), passes, "{now}");
    }
}

#[tokio::test]
async fn the_store_is_asked_once_for_the_tokens_session() {
    let store = Stub::answering(Ok(Some(record(&claims()))));
    pass(&access(store.clone()), request(&claims())).await.unwrap();
    assert_eq!(store.reads(), [claims().session_id]);
}

#[tokio::test]
async fn the_inner_service_finds_the_session_and_its_constraints() {
    let claims = Claims {
        generation: 3,
        issued_at: Timestamp(NOW.0 - 7),
        ..claims()
    };
    let constraints = Constraints::new(r#"{"paths":["/a"],"max":1.10}"#).unwrap();
    let record = SessionRecord {
        renewal_count: 2,
        last_renewed_at: Some(claims.issued_at),
        constraints: Some(constraints.clone()),
        ..record(&claims)
    };
    let given = pass(&access(Stub::answering(Ok(Some(record)))), request(&claims))
        .await
        .unwrap();
    let expected = AuthenticatedSession {
        previous_token: false,
        session_id: claims.session_id,
        agent_id: claims.agent_id,
        generation: 3,
        issued_at: claims.issued_at,
        expires_at: claims.expires_at,
        absolute_expires_at: NOW.plus(LIFETIME),
        renewal_count: 2,
        max_renewals: 30,
        last_renewed_at: Some(claims.issued_at),
        constraints: Some(constraints),
    };
    assert_eq!(given.extensions().get(), Some(&expected));
    assert!(given.extensions().get::<PresentedSession>().is_none());
}

#[tokio::test]
async fn the_request_reaches_the_inner_service_as_it_was_sent() {
    let mut sent = request(&claims());
    *sent.method_mut() = http::Method::PATCH;
    *sent.uri_mut() = "/a?b=c".parse().unwrap();
    sent.headers_mut().insert("x-b", HeaderValue::from_static("d"));
    sent.extensions_mut().insert("an extension");
    let headers = sent.headers().clone();
    let given = pass(&access(Stub::answering(Ok(Some(record(&claims()))))), sent)
        .await
        .unwrap();
    assert_eq!(given.method(), http::Method::PATCH);
    assert_eq!(given.uri(), "/a?b=c");
    assert_eq!(*given.headers(), headers);
    assert_eq!(given.extensions().get(), Some(&"an extension"));
}

#[tokio::test]
async fn a_refusal_repeats_the_request_id_and_names_the_realm() {
    let mut sent = request(&claims());
    sent.headers_mut()
        .insert("x-request-id", HeaderValue::from_static("req-1"));
    let layer = access(Stub::answering(Ok(None))).realm("my\"api");
    let refusal = pass(&layer, sent).await.unwrap_err();
    assert_eq!(
        header(&refusal, header::WWW_AUTHENTICATE),
        Some("Bearer realm=\"myapi\", error=\"invalid_token\"")
    );
    assert_eq!(json(refusal).await["requestId"], "req-1");
}

#[tokio::test]
async fn refusals_may_have_another_shape_and_still_carry_the_error() {
    let layer = access(Stub::answering(Ok(None))).on_rejection(|error: &AuthError, _| {
        let mut response = http::Response::new(error.kind().code().into());
        *response.status_mut() = http::StatusCode::IM_A_TEAPOT;
        response
    });
    // One refusal comes before the store was asked, one after it.
    for (request, expected) in [
        (Request::new(()), ErrorKind::InvalidToken),
        (request(&claims()), ErrorKind::SessionNotFound),
    ] {
        let refusal = pass(&layer, request).await.unwrap_err();
        assert_eq!(refusal.status(), http::StatusCode::IM_A_TEAPOT);
        assert_eq!(kind(&refusal), expected);
        let body = http_body_util::BodyExt::collect(refusal.into_body())
            .await
            .unwrap();
        assert_eq!(body.to_bytes(), expected.code());
    }
}

#[tokio::test]
async fn what_the_inner_service_gets_does_not_show_the_token_in_a_log() {
    let given = pass(
        &access(Stub::answering(Ok(Some(record(&claims()))))),
        request(&claims()),
    )
    .await
    .unwrap();
    assert!(given.headers()[header::AUTHORIZATION].is_sensitive());
}
