mod cause;
mod grpc;
mod reason;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use super::*;
use crate::{
    error::{AuthError, ErrorKind, ValidationIssue},
    test_support::{self, header},
};

type Make = fn(ErrorKind) -> AuthError;

const PLAIN: Make = AuthError::new;
const TOKEN: Make = AuthError::for_token;
const MISSING: Make = |_| AuthError::missing_token();

const BEARER: Option<&str> = Some("Bearer realm=\"api\"");
const BEARER_INVALID: Option<&str> = Some("Bearer realm=\"api\", error=\"invalid_token\"");
const INSUFFICIENT: Option<&str> = Some("Bearer realm=\"api\", error=\"insufficient_scope\"");
const INSUFFICIENT_AB: Option<&str> =
    Some("Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"a b\"");
const MASTER: Option<&str> = Some("MasterPassword realm=\"api\"");

struct Row(
    ErrorKind,
    Make,
    &'static str,
    u16,
    bool,
    Option<&'static str>,
    Option<u64>,
);

/// The table of the wire contract: kind, constructor of the error, code, status, retryable, `WWW-Authenticate`, `Retry-After`.
#[rustfmt::skip]
const CONTRACT: &[Row] = &[
    Row(ErrorKind::InvalidToken, TOKEN, "INVALID_TOKEN", 401, false, BEARER_INVALID, None),
    Row(ErrorKind::InvalidToken, MISSING, "INVALID_TOKEN", 401, false, BEARER, None),
    Row(ErrorKind::TokenExpired, TOKEN, "TOKEN_EXPIRED", 401, false, BEARER_INVALID, None),
    Row(ErrorKind::SessionRevoked, TOKEN, "SESSION_REVOKED", 401, false, BEARER_INVALID, None),
    Row(ErrorKind::TokenSuperseded, TOKEN, "TOKEN_SUPERSEDED", 401, false, BEARER_INVALID, None),
    Row(ErrorKind::SessionStateLost, TOKEN, "SESSION_STATE_LOST", 401, false, BEARER_INVALID, None),
    Row(ErrorKind::SessionNotFound, TOKEN, "SESSION_NOT_FOUND", 401, false, BEARER_INVALID, None),
    Row(ErrorKind::SessionNotFound, PLAIN, "SESSION_NOT_FOUND", 404, false, None, None),
    Row(ErrorKind::InvalidMasterPassword, PLAIN, "INVALID_MASTER_PASSWORD", 401, false, MASTER, None),
    Row(ErrorKind::MasterPasswordLocked, PLAIN, "MASTER_PASSWORD_LOCKED", 429, true, None, None),
    Row(ErrorKind::Forbidden, PLAIN, "FORBIDDEN", 403, false, None, None),
    Row(ErrorKind::InsufficientScope, PLAIN, "INSUFFICIENT_SCOPE", 403, false, INSUFFICIENT, None),
    Row(ErrorKind::InsufficientScope, |_| AuthError::insufficient_scope("a \"b\\"), "INSUFFICIENT_SCOPE", 403, false, INSUFFICIENT_AB, None),
    Row(ErrorKind::AgentNotFound, PLAIN, "AGENT_NOT_FOUND", 404, false, None, None),
    Row(ErrorKind::SessionLimitExceeded, PLAIN, "SESSION_LIMIT_EXCEEDED", 403, false, None, None),
    Row(ErrorKind::SessionRenewalMismatch, TOKEN, "SESSION_RENEWAL_MISMATCH", 403, false, None, None),
    Row(ErrorKind::RenewalLimitReached, TOKEN, "RENEWAL_LIMIT_REACHED", 403, false, None, None),
    Row(ErrorKind::SessionAbsoluteLifetimeExceeded, TOKEN, "SESSION_ABSOLUTE_LIFETIME_EXCEEDED", 403, false, None, None),
    Row(ErrorKind::RenewalTooEarly, TOKEN, "RENEWAL_TOO_EARLY", 403, true, None, None),
    Row(ErrorKind::ValidationFailed, PLAIN, "VALIDATION_FAILED", 400, false, None, None),
    Row(ErrorKind::StoreUnavailable, PLAIN, "STORE_UNAVAILABLE", 503, true, None, Some(1)),
    Row(ErrorKind::NotFound, PLAIN, "NOT_FOUND", 404, false, None, None),
    Row(ErrorKind::MethodNotAllowed, PLAIN, "METHOD_NOT_ALLOWED", 405, false, None, None),
    Row(ErrorKind::PayloadTooLarge, PLAIN, "PAYLOAD_TOO_LARGE", 413, false, None, None),
    Row(ErrorKind::UnsupportedMediaType, PLAIN, "UNSUPPORTED_MEDIA_TYPE", 415, false, None, None),
    Row(ErrorKind::RequestTimeout, PLAIN, "REQUEST_TIMEOUT", 408, true, None, None),
    Row(ErrorKind::Overloaded, PLAIN, "OVERLOADED", 503, true, None, Some(1)),
    Row(ErrorKind::InternalError, PLAIN, "INTERNAL_ERROR", 500, false, None, None),
];

fn answer(error: &AuthError) -> Response<Full<Bytes>> {
    problem_response(error, "api", &HeaderMap::new())
}

async fn problem(error: &AuthError, request_headers: &HeaderMap) -> Value {
    test_support::json(problem_response(error, "api", request_headers)).await
}

#[test]
fn contract_has_every_kind() {
    for kind in ErrorKind::ALL {
        assert!(CONTRACT.iter().any(|row| row.0 == *kind), "{kind:?}");
    }
}

#[tokio::test]
async fn problem_response_follows_the_contract() {
    for Row(kind, make, code, status, retryable, challenge, retry_after) in CONTRACT {
        let error = make(*kind);
        let response = answer(&error);
        let retry_after = retry_after.map(|seconds| seconds.to_string());
        assert_eq!(response.status(), *status, "{code}");
        assert_eq!(header(&response, header::WWW_AUTHENTICATE), *challenge, "{code}");
        assert_eq!(
            header(&response, header::RETRY_AFTER),
            retry_after.as_deref(),
            "{code}"
        );
        assert_eq!(
            header(&response, header::CONTENT_TYPE),
            Some("application/problem+json"),
            "{code}"
        );
        assert_eq!(
            header(&response, header::CACHE_CONTROL),
            Some("no-store"),
            "{code}"
        );
        let in_extensions = response.extensions().get::<AuthError>();
        assert_eq!(in_extensions.map(AuthError::kind), Some(*kind), "{code}");

        let body = test_support::json(response).await;
        assert_eq!(body["code"], *code);
        assert_eq!(body["status"], *status, "{code}");
        assert_eq!(body["retryable"], *retryable, "{code}");
    }
}

#[tokio::test]
async fn problem_has_the_members_of_rfc_9457_and_the_extension_members() {
    let body = problem(
        &AuthError::for_token(ErrorKind::SessionRevoked),
        &HeaderMap::new(),
    )
    .await;
    let expected = json!({
        "type": "urn:tower-session-auth:problem:session-revoked",
        "title": "Session revoked",
        "status": 401,
        "detail": "The session was revoked.",
        "code": "SESSION_REVOKED",
        "retryable": false,
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn details_name_every_issue() {
    let error = AuthError::validation(vec![
        ValidationIssue::new("ttl", "must be between 300 and 604800"),
        ValidationIssue::new("agentId", "must be a UUID"),
    ]);
    let expected = json!({ "issues": [
        { "path": "ttl", "message": "must be between 300 and 604800" },
        { "path": "agentId", "message": "must be a UUID" },
    ]});
    assert_eq!(problem(&error, &HeaderMap::new()).await["details"], expected);
}

#[tokio::test]
async fn request_id_is_repeated_if_it_is_text() {
    for (id, repeated) in [
        (None, None),
        (Some(&b"req-1"[..]), Some("req-1")),
        (Some(b"r\xe9q"), None),
    ] {
        let mut headers = HeaderMap::new();
        headers.extend(id.map(|id| (X_REQUEST_ID, HeaderValue::from_bytes(id).unwrap())));
        let body = problem(&ErrorKind::NotFound.into(), &headers).await;
        assert_eq!(body.get("requestId").and_then(Value::as_str), repeated, "{id:?}");
    }
}

#[tokio::test]
async fn detail_and_retry_after_are_sent_as_given() {
    let error = AuthError::new(ErrorKind::MasterPasswordLocked)
        .with_detail("Wait for it.")
        .with_retry_after(300);
    assert_eq!(header(&answer(&error), header::RETRY_AFTER), Some("300"));
    assert_eq!(problem(&error, &HeaderMap::new()).await["detail"], "Wait for it.");
    assert_eq!(error.to_string(), "MASTER_PASSWORD_LOCKED: Wait for it.");
}

#[test]
fn only_an_error_about_a_token_or_its_scopes_has_a_bearer_challenge() {
    for kind in ErrorKind::ALL {
        let about_a_token = CONTRACT
            .iter()
            .any(|row| row.0 == *kind && [BEARER_INVALID, INSUFFICIENT].contains(&row.5));
        let response = answer(&AuthError::for_token(*kind));
        let challenge = header(&response, header::WWW_AUTHENTICATE);
        let challenged = challenge.is_some_and(|challenge| challenge.starts_with("Bearer "));
        assert_eq!(challenged, about_a_token, "{kind:?}");
    }
}

#[test]
fn realm_is_reduced_to_characters_that_need_no_escape() {
    for (realm, sent) in [
        (r#"a"b\c", error="x"#, "abc, error=x"),
        ("a\r\nb\0", "ab"),
        ("caf\u{e9}", "caf"),
        ("", ""),
    ] {
        let mut rejections = Rejections::default();
        rejections.set_realm(realm);
        let error = AuthError::missing_token();
        let expected = format!("Bearer realm=\"{sent}\"");
        for response in [
            rejections.respond(&error, &call(&HeaderMap::new())),
            problem_response(&error, realm, &HeaderMap::new()),
        ] {
            assert_eq!(header(&response, header::WWW_AUTHENTICATE), Some(&*expected));
        }
    }
}

#[test]
fn default_realm_is_session() {
    let response = Rejections::default().respond(&AuthError::missing_token(), &call(&HeaderMap::new()));
    assert_eq!(
        header(&response, header::WWW_AUTHENTICATE),
        Some("Bearer realm=\"session\"")
    );
}

#[test]
fn on_rejection_gets_the_request_headers_and_keeps_the_error_in_the_extensions() {
    let mut rejections = Rejections::default();
    rejections.replace(|error, headers| {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        response.headers_mut().clone_from(headers);
        response
            .headers_mut()
            .insert("x-code", HeaderValue::from_static(error.kind().code()));
        response
    });
    let mut request_headers = HeaderMap::new();
    request_headers.insert(X_REQUEST_ID, HeaderValue::from_static("req-1"));
    let response = rejections.respond(&ErrorKind::SessionRevoked.into(), &call(&request_headers));
    assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
    assert_eq!(header(&response, X_REQUEST_ID), Some("req-1"));
    assert_eq!(response.headers()["x-code"], "SESSION_REVOKED");
    assert!(response.extensions().get::<AuthError>().is_some());
}

#[tokio::test]
async fn response_body_is_that_of_the_inner_service_or_of_the_rejection() {
    for body in [
        ResponseBody::inner(Full::from("body")),
        ResponseBody::own(Full::from("body")),
    ] {
        assert_eq!(body.size_hint().exact(), Some(4));
        assert!(!body.is_end_stream());
        assert_eq!(body.collect().await.unwrap().to_bytes(), "body");
    }
    assert!(ResponseBody::<Full<Bytes>>::default().is_end_stream());
    assert!(ResponseBody::inner(Full::<Bytes>::default()).is_end_stream());
    assert!(ResponseBody::<Full<Bytes>>::own(Full::default()).is_end_stream());
}

/// A gRPC call with these headers: `POST` over HTTP/2.
fn call(headers: &HeaderMap) -> http::Request<()> {
    let mut request = http::Request::new(());
    *request.method_mut() = http::Method::POST;
    *request.version_mut() = http::Version::HTTP_2;
    *request.headers_mut() = headers.clone();
    request
}
