//! Admission and rejection: the extensions of admitted requests, and the responses to rejected ones.

use super::*;
use crate::{
    AuthError, ErrorKind,
    clock::Timestamp,
    session::{Constraints, Scopes},
    store::StoreError,
    test_support::{Answer, CapturedLogs, LIFETIME, TTL, json, kind, other_agent, pass},
};

fn expired() -> Claims {
    Claims {
        expires_at: NOW,
        ..claims()
    }
}

#[tokio::test]
async fn each_reason_has_its_own_error_and_keeps_the_request_from_the_inner_service() {
    let other_agents = SessionRecord {
        agent_id: other_agent(),
        ..record(&claims())
    };
    let expired = SessionRecord {
        ttl: 0,
        ..record(&claims())
    };
    let rows: Vec<(Answer, ErrorKind, u16, Option<&str>)> = vec![
        (Ok(None), ErrorKind::SessionNotFound, 401, CHALLENGE_INVALID),
        (
            Ok(Some(revoked())),
            ErrorKind::SessionRevoked,
            401,
            CHALLENGE_INVALID,
        ),
        (
            Ok(Some(renewed())),
            ErrorKind::TokenSuperseded,
            401,
            CHALLENGE_INVALID,
        ),
        (
            Ok(Some(other_agents)),
            ErrorKind::InvalidToken,
            401,
            CHALLENGE_INVALID,
        ),
        (Ok(Some(expired)), ErrorKind::TokenExpired, 401, CHALLENGE_INVALID),
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
        let rejection = pass(&access(Stub::answering(answer)), request(&claims()))
            .await
            .unwrap_err();
        assert_eq!(kind(&rejection), expected);
        assert_eq!(rejection.status(), status, "{expected:?}");
        assert_eq!(
            header(&rejection, header::WWW_AUTHENTICATE),
            challenge,
            "{expected:?}"
        );
        assert_eq!(
            header(&rejection, header::CACHE_CONTROL),
            Some("no-store"),
            "{expected:?}"
        );
        let retry_after = (expected == ErrorKind::StoreUnavailable).then_some("1");
        assert_eq!(
            header(&rejection, header::RETRY_AFTER),
            retry_after,
            "{expected:?}"
        );
        assert_eq!(json(rejection).await["code"], expected.code());
    }
}

#[tokio::test]
async fn token_that_is_not_verified_is_rejected_without_a_read() {
    let foreign = crate::token::TokenSigner::new(crate::SigningKey::generate().unwrap());
    let foreign = foreign.sign(&claims()).unwrap();
    let mut forged = request(&claims());
    let bearer = HeaderValue::try_from(format!("Bearer {}", foreign.expose())).unwrap();
    forged.headers_mut().insert(header::AUTHORIZATION, bearer);
    for (request, challenge) in [(forged, CHALLENGE_INVALID), (Request::new(()), CHALLENGE_MISSING)] {
        let store = Stub::answering(Ok(Some(record(&claims()))));
        let rejection = pass(&access(store.clone()), request).await.unwrap_err();
        assert_eq!(kind(&rejection), ErrorKind::InvalidToken);
        assert_eq!(rejection.status(), 401);
        assert_eq!(header(&rejection, header::WWW_AUTHENTICATE), challenge);
        assert_eq!(store.reads(), []);
    }
}

#[tokio::test]
async fn expired_token_is_rejected_as_expired_unless_its_session_was_revoked() {
    for (answer, expected) in [
        (Ok(None), ErrorKind::TokenExpired),
        (Ok(Some(record(&expired()))), ErrorKind::TokenExpired),
        (Ok(Some(renewed())), ErrorKind::TokenExpired),
        (Ok(Some(revoked())), ErrorKind::SessionRevoked),
        (Err(StoreError::Timeout), ErrorKind::StoreUnavailable),
    ] {
        let rejection = pass(&access(Stub::answering(answer)), request(&expired()))
            .await
            .unwrap_err();
        assert_eq!(kind(&rejection), expected);
    }
}

#[tokio::test]
async fn token_is_admitted_until_the_second_before_its_expiry() {
    let layer = SessionAuthLayer::new(verifier(), Stub::answering(Ok(Some(record(&claims())))));
    for (now, admitted) in [(TTL - 1, true), (TTL, false), (TTL + 1, false)] {
        let layer = layer.clone().clock(ManualClock::new(NOW.plus(now)));
        let outcome = pass(&layer, request(&claims())).await;
        assert_eq!(outcome.is_ok(), admitted, "{now}");
    }
}

#[tokio::test]
async fn admission_reads_the_tokens_session_once() {
    let store = Stub::answering(Ok(Some(record(&claims()))));
    pass(&access(store.clone()), request(&claims())).await.unwrap();
    assert_eq!(store.reads(), [claims().session_id]);
}

#[tokio::test]
async fn admitted_request_carries_the_session_its_scopes_and_its_constraints() {
    let claims = Claims {
        generation: 3,
        issued_at: Timestamp(NOW.0 - 7),
        ..claims()
    };
    let constraints = Constraints::new(r#"{"paths":["/a"],"max":1.10}"#).unwrap();
    let scopes: Scopes = "reports:read".parse().unwrap();
    let mut record = SessionRecord {
        scopes: scopes.clone(),
        constraints: Some(constraints.clone()),
        ..record(&claims)
    };
    record.last_renewal.as_mut().unwrap().count = 2;
    let admitted = pass(&access(Stub::answering(Ok(Some(record)))), request(&claims))
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
        scopes,
        constraints: Some(constraints),
        layer: Default::default(),
    };
    assert_eq!(admitted.extensions().get(), Some(&expected));
    assert!(admitted.extensions().get::<PresentedSession>().is_none());
}

#[tokio::test]
async fn admitted_request_reaches_the_inner_service_unchanged() {
    let mut sent = request(&claims());
    *sent.method_mut() = http::Method::PATCH;
    *sent.uri_mut() = "/a?b=c".parse().unwrap();
    sent.headers_mut().insert("x-b", HeaderValue::from_static("d"));
    sent.extensions_mut().insert("an extension");
    let headers = sent.headers().clone();
    let admitted = pass(&access(Stub::answering(Ok(Some(record(&claims()))))), sent)
        .await
        .unwrap();
    assert_eq!(admitted.method(), http::Method::PATCH);
    assert_eq!(admitted.uri(), "/a?b=c");
    assert_eq!(*admitted.headers(), headers);
    assert_eq!(admitted.extensions().get(), Some(&"an extension"));
}

#[tokio::test]
async fn rejection_repeats_the_request_id_and_names_the_realm() {
    let mut sent = request(&claims());
    sent.headers_mut()
        .insert("x-request-id", HeaderValue::from_static("req-1"));
    let layer = access(Stub::answering(Ok(None))).realm("my\"api");
    let rejection = pass(&layer, sent).await.unwrap_err();
    assert_eq!(
        header(&rejection, header::WWW_AUTHENTICATE),
        Some("Bearer realm=\"myapi\", error=\"invalid_token\"")
    );
    assert_eq!(json(rejection).await["requestId"], "req-1");
}

#[tokio::test]
async fn on_rejection_replaces_the_response_and_keeps_the_error_in_its_extensions() {
    let layer = access(Stub::answering(Ok(None))).on_rejection(|error: &AuthError, _| {
        let mut response = http::Response::new(error.kind().code().into());
        *response.status_mut() = http::StatusCode::IM_A_TEAPOT;
        response
    });
    // The first request is rejected before the store is read, the second one afterwards.
    for (request, expected) in [
        (Request::new(()), ErrorKind::InvalidToken),
        (request(&claims()), ErrorKind::SessionNotFound),
    ] {
        let rejection = pass(&layer, request).await.unwrap_err();
        assert_eq!(rejection.status(), http::StatusCode::IM_A_TEAPOT);
        assert_eq!(kind(&rejection), expected);
        let body = http_body_util::BodyExt::collect(rejection.into_body())
            .await
            .unwrap();
        assert_eq!(body.to_bytes(), expected.code());
    }
}

#[tokio::test]
async fn authorization_header_of_an_admitted_request_is_marked_sensitive() {
    let admitted = pass(
        &access(Stub::answering(Ok(Some(record(&claims()))))),
        request(&claims()),
    )
    .await
    .unwrap();
    assert!(admitted.headers()[header::AUTHORIZATION].is_sensitive());
}

#[tokio::test]
async fn store_error_of_a_rejected_request_is_logged_once() {
    for (error, level) in [
        (StoreError::Timeout, tracing::Level::WARN),
        (StoreError::Unavailable("OOM".into()), tracing::Level::WARN),
        (StoreError::Unexpected("?".into()), tracing::Level::ERROR),
    ] {
        let cause = error.to_string();
        let logs = CapturedLogs::start();
        let layer = access(Stub::answering(Err(error)));
        let rejection = pass(&layer, request(&claims())).await.unwrap_err();
        assert_eq!(kind(&rejection), ErrorKind::StoreUnavailable);
        let events = logs.containing(&cause);
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(events[0].0, level, "{events:?}");
        assert!(events[0].1.contains("STORE_UNAVAILABLE"), "{events:?}");
        let body = json(rejection).await.to_string();
        assert!(!body.contains(&cause), "the cause is not sent: {body}");
    }
}
