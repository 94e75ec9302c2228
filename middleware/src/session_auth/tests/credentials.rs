//! The form of the `Authorization` header.

use super::*;
use crate::{
    ErrorKind,
    test_support::{detail, kind, pass},
};

fn layer() -> SessionAuthLayer<Stub> {
    access(Stub::answering(Ok(Some(record(&claims())))))
}

fn token() -> String {
    sign(&claims()).expose().to_owned()
}

fn with_headers(values: &[&[u8]]) -> Request<()> {
    let mut request = Request::new(());
    for value in values {
        let value = HeaderValue::from_bytes(value).unwrap();
        request.headers_mut().append(header::AUTHORIZATION, value);
    }
    request
}

const DEFAULT: &str = "The session token is not valid.";
const TAB: &str = "A tab follows Bearer, where a space must be.";
const COLON: &str = "A colon follows Bearer, where a space must be.";
const NO_SPACE: &str = "A space is missing between Bearer and the token.";
const NO_SCHEME: &str = "The scheme Bearer is missing before the token.";
const QUOTES: &str = "The token is in quotes or brackets. Send it without them.";
const SEVERAL: &str = "The Authorization header must hold one token and nothing else.";
const EMPTY: &str = "The Authorization header has no token after Bearer.";
const NOT_ASCII: &str = "The Authorization header has characters outside ASCII.";

#[tokio::test]
async fn scheme_is_bearer_in_any_case_followed_by_spaces() {
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer ", "Bearer   "] {
        for end in ["", " ", "  "] {
            let value = format!("{scheme} {}{end}", token());
            let outcome = pass(&layer(), with_headers(&[value.as_bytes()])).await;
            assert!(outcome.is_ok(), "{value:?}");
        }
    }
}

#[tokio::test]
async fn malformed_credentials_are_invalid_and_the_detail_names_the_mistake() {
    let token = token();
    for (value, expected) in [
        ("Bearer".to_owned(), EMPTY),
        ("Bearer ".to_owned(), EMPTY),
        ("Bearer   ".to_owned(), EMPTY),
        (format!("Bearer {token} {token}"), SEVERAL),
        (format!("Bearer {token}, {token}"), SEVERAL),
        (format!("Bearer {token},"), SEVERAL),
        (format!("Bearer {token}\t"), SEVERAL),
        (format!("Bearer \t{token}"), SEVERAL),
        (format!("Bearer Bearer {token}"), SEVERAL),
        (format!("Bearer \"{token}\""), QUOTES),
        (format!("Bearer '{token}'"), QUOTES),
        (format!("Bearer <{token}>"), QUOTES),
        (format!("Bearer token={token}"), DEFAULT),
        ("Bearer x".to_owned(), DEFAULT),
        (format!("Bearer {token}x"), DEFAULT),
        (format!("Bearer {token}\u{e9}"), NOT_ASCII),
        (format!("Bearer: {token}"), COLON),
        (format!("bearer:{token}"), COLON),
        ("Bearer:".to_owned(), COLON),
        (format!("Bearer\t{token}"), TAB),
        ("BEARER\tx".to_owned(), TAB),
        (format!("Bearer{token}"), NO_SPACE),
        (format!("Bearer={token}"), NO_SPACE),
        (token.clone(), NO_SCHEME),
        (format!(" {token}"), NO_SCHEME),
        (format!("\"{token}\""), NO_SCHEME),
        (format!("Basic {token}"), NO_SCHEME),
        (format!("Token {token}"), NO_SCHEME),
    ] {
        let rejection = pass(&layer(), with_headers(&[value.as_bytes()]))
            .await
            .unwrap_err();
        assert_eq!(rejection.status(), 401, "{value}");
        assert_eq!(kind(&rejection), ErrorKind::InvalidToken, "{value}");
        assert_eq!(challenge(&rejection), CHALLENGE_INVALID, "{value}");
        assert_eq!(detail(&rejection), expected, "{value}");
    }
}

#[tokio::test]
async fn credentials_of_another_scheme_count_as_a_missing_token() {
    for value in [
        "",
        "Basic dXNlcjpwYXNz",
        "Basic",
        "Token x",
        "Digest username=\"a\", realm=\"b\"",
        "Bearerx",
        "BearerToken x",
        "Bear x",
        "Basic v4.public.x",
    ] {
        let rejection = pass(&layer(), with_headers(&[value.as_bytes()]))
            .await
            .unwrap_err();
        assert_eq!(rejection.status(), 401, "{value}");
        assert_eq!(kind(&rejection), ErrorKind::InvalidToken, "{value}");
        assert_eq!(challenge(&rejection), CHALLENGE_MISSING, "{value}");
        assert_eq!(
            detail(&rejection),
            "This request needs a session token: Authorization: Bearer …",
            "{value}"
        );
    }
}

#[tokio::test]
async fn several_headers_are_invalid_even_if_each_one_is_valid() {
    let valid = format!("Bearer {}", token());
    for values in [
        [valid.as_bytes(), valid.as_bytes()],
        [valid.as_bytes(), b"Basic x"],
        [b"", valid.as_bytes()],
    ] {
        let rejection = pass(&layer(), with_headers(&values)).await.unwrap_err();
        assert_eq!(kind(&rejection), ErrorKind::InvalidToken);
        assert_eq!(challenge(&rejection), CHALLENGE_INVALID);
        assert_eq!(detail(&rejection), "There is more than one Authorization header.");
    }
}

#[tokio::test]
async fn request_without_a_token_is_challenged_without_an_error() {
    let rejection = pass(&layer(), Request::new(())).await.unwrap_err();
    assert_eq!(rejection.status(), 401);
    assert_eq!(kind(&rejection), ErrorKind::InvalidToken);
    assert_eq!(challenge(&rejection), CHALLENGE_MISSING);
}

#[tokio::test]
async fn no_detail_repeats_the_token() {
    let token = token();
    for value in [
        format!("Bearer\t{token}"),
        format!("Bearer{token}"),
        format!("Bearer \"{token}\""),
        format!("Bearer {token} {token}"),
        format!("Bearer {token}x"),
        token.clone(),
    ] {
        let rejection = pass(&layer(), with_headers(&[value.as_bytes()])).await;
        let rejection = rejection.unwrap_err();
        assert!(!detail(&rejection).contains("v4.public"), "{value}");
    }
}

#[tokio::test]
async fn header_has_at_most_4096_bytes() {
    let rest = "Bearer ".len() + token().len() - crate::token::DEFAULT_PREFIX.len();
    for (len, admitted) in [(4096, true), (4097, false)] {
        let prefix = "p".repeat(len - rest);
        let signer = crate::test_support::signer().prefix(prefix.as_str());
        let token = signer.sign(&claims()).unwrap();
        let record = SessionRecord {
            token_hash: token.hash(),
            ..record(&claims())
        };
        let layer = SessionAuthLayer::new(verifier().prefix(prefix), Stub::answering(Ok(Some(record))))
            .clock(ManualClock::new(NOW));
        let value = format!("Bearer {}", token.expose());
        assert_eq!(value.len(), len);
        let outcome = pass(&layer, with_headers(&[value.as_bytes()])).await;
        assert_eq!(outcome.is_ok(), admitted, "{len}");
        if let Err(rejection) = outcome {
            assert_eq!(challenge(&rejection), CHALLENGE_INVALID);
            let expected = "The Authorization header is longer than 4096 bytes.";
            assert_eq!(detail(&rejection), expected);
        }
    }
}
