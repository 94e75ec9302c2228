//! Optional layers: they admit requests without a token.

use super::*;
use crate::{
    ErrorKind,
    store::StoreError,
    test_support::{Answer, kind, pass},
};

fn optional(answer: Answer) -> (SessionAuthLayer<Stub>, Stub) {
    let store = Stub::answering(answer);
    (access(store.clone()).optional(), store)
}

fn with_authorization(value: &str) -> Request<()> {
    let mut request = Request::new(());
    let value = HeaderValue::from_str(value).unwrap();
    request.headers_mut().append(header::AUTHORIZATION, value);
    request
}

#[tokio::test]
async fn request_without_a_token_is_admitted_without_a_session() {
    for sent in [Request::new(()), with_authorization("Basic dXNlcjpwYXNz")] {
        let (layer, store) = optional(Ok(Some(record(&claims()))));
        let admitted = pass(&layer, sent).await.unwrap();
        assert!(admitted.extensions().get::<AuthenticatedSession>().is_none());
        assert_eq!(store.reads(), []);
    }
}

#[tokio::test]
async fn request_with_a_valid_token_is_admitted_with_its_session() {
    let (layer, _) = optional(Ok(Some(record(&claims()))));
    let admitted = pass(&layer, request(&claims())).await.unwrap();
    let session: &AuthenticatedSession = admitted.extensions().get().unwrap();
    assert_eq!(session.session_id, claims().session_id);
}

#[tokio::test]
async fn request_with_an_invalid_token_is_rejected() {
    let token = sign(&claims()).expose().to_owned();
    let mut twice = request(&claims());
    let value = twice.headers()[header::AUTHORIZATION].clone();
    twice.headers_mut().append(header::AUTHORIZATION, value);
    let mut in_query = Request::new(());
    *in_query.uri_mut() = format!("/?x={token}").parse().unwrap();
    for sent in [
        with_authorization("Bearer"),
        with_authorization("Bearer x"),
        with_authorization(&format!("Bearer\t{token}")),
        with_authorization(&token),
        twice,
        in_query,
    ] {
        let shown = format!("{:?}", sent.headers());
        let (layer, store) = optional(Ok(Some(record(&claims()))));
        let rejection = pass(&layer, sent).await.expect_err(&shown);
        assert_eq!(kind(&rejection), ErrorKind::InvalidToken, "{shown}");
        assert_eq!(challenge(&rejection), CHALLENGE_INVALID, "{shown}");
        assert_eq!(store.reads(), []);
    }
}

#[tokio::test]
async fn request_with_a_token_of_an_ended_session_is_rejected() {
    let expired = SessionRecord {
        ttl: 0,
        ..record(&claims())
    };
    for (answer, expected) in [
        (Ok(None), ErrorKind::SessionNotFound),
        (Ok(Some(revoked())), ErrorKind::SessionRevoked),
        (Ok(Some(renewed())), ErrorKind::TokenSuperseded),
        (Ok(Some(expired)), ErrorKind::TokenExpired),
        (Err(StoreError::Timeout), ErrorKind::StoreUnavailable),
    ] {
        let (layer, _) = optional(answer);
        let rejection = pass(&layer, request(&claims())).await.unwrap_err();
        assert_eq!(kind(&rejection), expected);
    }
}

#[tokio::test]
async fn missing_token_is_rejected_unless_the_layer_is_optional() {
    let layer = access(Stub::answering(Ok(Some(record(&claims())))));
    assert!(pass(&layer, Request::new(())).await.is_err());
    assert!(pass(&layer.optional(), Request::new(())).await.is_ok());
}

/// Credentials of another scheme are for another service. Their bytes are not examined.
#[tokio::test]
async fn optional_layer_admits_credentials_of_another_scheme() {
    let layer = access(Stub::answering(Ok(Some(record(&claims()))))).optional();
    for value in [&b"Basic caf\xe9"[..], b"Basic eA==", b"Digest x"] {
        let mut request = Request::new(());
        let value = HeaderValue::from_bytes(value).unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, value);
        pass(&layer, request).await.unwrap();
    }
}

#[tokio::test]
async fn optional_layer_admits_an_empty_token_header() {
    let name = http::HeaderName::from_static("x-session-token");
    let layer = access(Stub::answering(Ok(Some(record(&claims()))))).optional();
    for name in [name, header::AUTHORIZATION] {
        let mut request = Request::new(());
        request.headers_mut().insert(&name, HeaderValue::from_static(""));
        pass(&layer.clone().header(name), request).await.unwrap();
    }
}

/// A service's session must not stand in for that of a user.
#[tokio::test]
async fn optional_layer_removes_the_session_of_an_outer_layer() {
    let layer = access(Stub::silent()).optional();
    let mut request = Request::new(());
    let outer = AuthenticatedSession::new(&record(&claims()), &claims());
    request.extensions_mut().insert(outer);
    let admitted = pass(&layer, request).await.unwrap();
    assert!(admitted.extensions().get::<AuthenticatedSession>().is_none());
}
