//! Rejections of gRPC requests.

use super::*;

const OTHER_MEDIA_TYPES: &[&str] = &[
    "application/grpcfoo",
    "application/grpc/foo",
    "application/grp",
    "application/json",
    "text/plain; application/grpc",
    "application/problem+grpc",
    "",
];

fn with_type(media_type: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(media_type).unwrap());
    headers
}

fn respond(error: &AuthError) -> Response<Full<Bytes>> {
    Rejections::default().respond(error, &call(&with_type("application/grpc")))
}

/// The status code of gRPC for each kind (`google.rpc.Code`).
fn grpc_status(kind: ErrorKind, status: u16) -> &'static str {
    match (kind, status) {
        (_, 401) => "16",
        (_, 403) => "7",
        (_, 429) => "8",
        (_, 503) => "14",
        (_, 400) => "3",
        (_, 404) => "5",
        (_, 405) => "12",
        (_, 408) => "4",
        (_, 413 | 415 | 500) => "13",
        _ => panic!("{kind:?} has no gRPC status in this table"),
    }
}

#[tokio::test]
async fn grpc_rejection_is_a_trailers_only_response() {
    for Row(kind, make, code, status, _, challenge, retry_after) in CONTRACT {
        let error = make(*kind);
        let response = respond(&error);
        assert_eq!(response.status(), 200, "{code}");
        let text = |name: &str| {
            let value = response.headers().get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(
            text("content-type").as_deref(),
            Some("application/grpc"),
            "{code}"
        );
        assert_eq!(
            text("grpc-status").as_deref(),
            Some(grpc_status(*kind, *status)),
            "{code}"
        );
        let message = text("grpc-message").unwrap();
        assert!(message.starts_with(&format!("{code}: ")), "{message}");
        assert_eq!(text("cache-control").as_deref(), Some("no-store"), "{code}");
        let challenge = challenge.map(|challenge| challenge.replace("api", "session"));
        assert_eq!(text("www-authenticate"), challenge, "{code}");
        let retry_after = retry_after.map(|seconds| seconds.to_string());
        assert_eq!(text("retry-after"), retry_after, "{code}");
        let in_extensions = response.extensions().get::<AuthError>();
        assert_eq!(in_extensions.map(AuthError::kind), Some(*kind), "{code}");
        assert!(response.body().is_end_stream(), "{code}");
    }
}

#[test]
fn status_codes_of_the_main_rejections_are_those_of_grpc() {
    for (kind, expected) in [
        (ErrorKind::InvalidToken, "16"),
        (ErrorKind::SessionRevoked, "16"),
        (ErrorKind::SessionRenewalMismatch, "7"),
        (ErrorKind::StoreUnavailable, "14"),
        (ErrorKind::MasterPasswordLocked, "8"),
    ] {
        let response = respond(&AuthError::for_token(kind));
        assert_eq!(response.headers()["grpc-status"], expected, "{kind:?}");
    }
    // A token of an unknown session is an authentication failure, not a missing resource.
    let response = respond(&AuthError::for_token(ErrorKind::SessionNotFound));
    assert_eq!(response.headers()["grpc-status"], "16");
    let response = respond(&AuthError::new(ErrorKind::SessionNotFound));
    assert_eq!(response.headers()["grpc-status"], "5");
}

#[test]
fn message_is_percent_encoded() {
    for (detail, sent) in [
        ("a b~!", "a b~!"),
        ("100%", "100%25"),
        ("a\nb\r\t\0\u{7f}", "a%0Ab%0D%09%00%7F"),
        ("caf\u{e9} …", "caf%C3%A9 %E2%80%A6"),
        ("", ""),
    ] {
        let error = AuthError::new(ErrorKind::SessionRevoked).with_detail(detail);
        let response = respond(&error);
        let expected = format!("SESSION_REVOKED: {sent}");
        assert_eq!(response.headers()["grpc-message"], *expected, "{detail:?}");
    }
}

#[test]
fn every_grpc_media_type_is_answered_with_itself() {
    for media_type in [
        "application/grpc",
        "application/grpc ; a=b",
        "application/grpc+proto",
        "application/grpc+json",
        "application/grpc;charset=utf-8",
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/grpc-web-text",
        "Application/GRPC+Proto",
    ] {
        let error = AuthError::missing_token();
        let response = Rejections::default().respond(&error, &call(&with_type(media_type)));
        assert_eq!(response.status(), 200, "{media_type}");
        assert_eq!(response.headers()["grpc-status"], "16", "{media_type}");
        assert_eq!(
            header(&response, header::CONTENT_TYPE),
            Some(media_type),
            "{media_type}"
        );
    }
}

#[test]
fn request_of_another_media_type_gets_a_problem_document() {
    let requests = OTHER_MEDIA_TYPES.iter().map(|media_type| with_type(media_type));
    for headers in requests.chain([HeaderMap::new()]) {
        let response = Rejections::default().respond(&AuthError::missing_token(), &call(&headers));
        assert_eq!(response.status(), 401, "{headers:?}");
        assert_eq!(
            header(&response, header::CONTENT_TYPE),
            Some("application/problem+json"),
            "{headers:?}"
        );
        assert!(!response.headers().contains_key("grpc-status"), "{headers:?}");
    }
}

#[test]
fn on_rejection_replaces_the_grpc_response_too() {
    let mut rejections = Rejections::default();
    rejections.replace(|_, _| {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        response
    });
    let response = rejections.respond(&AuthError::missing_token(), &call(&with_type("application/grpc")));
    assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
    assert!(!response.headers().contains_key("grpc-status"));
    assert!(response.extensions().get::<AuthError>().is_some());
}

#[test]
fn realm_of_the_layer_is_in_the_grpc_challenge() {
    let mut rejections = Rejections::default();
    rejections.set_realm("my\"api");
    let response = rejections.respond(&AuthError::missing_token(), &call(&with_type("application/grpc")));
    assert_eq!(
        header(&response, header::WWW_AUTHENTICATE),
        Some("Bearer realm=\"myapi\"")
    );
}

/// A proxy that asks an auth service judges by the HTTP status, and its client chooses the content type.
#[test]
fn rejection_is_a_401_unless_the_request_is_a_post_over_http_2() {
    let rejections = Rejections::default();
    for (method, version, status) in [
        (http::Method::POST, http::Version::HTTP_2, 200),
        (http::Method::GET, http::Version::HTTP_2, 401),
        (http::Method::POST, http::Version::HTTP_11, 401),
        (http::Method::HEAD, http::Version::HTTP_11, 401),
    ] {
        let mut request = call(&with_type("application/grpc"));
        *request.method_mut() = method;
        *request.version_mut() = version;
        let response = rejections.respond(&AuthError::missing_token(), &request);
        assert_eq!(response.status(), status, "{request:?}");
    }
    let mut only_problems = Rejections::default();
    only_problems.set_only_problems();
    let response = only_problems.respond(&AuthError::missing_token(), &call(&with_type("application/grpc")));
    assert_eq!(response.status(), 401);
}
