//! Another header than `Authorization` for the token.

use http::HeaderName;

use super::*;
use crate::{
    ErrorKind,
    test_support::{detail, kind, pass},
};

const NAME: HeaderName = HeaderName::from_static("x-session-token");

fn layer() -> SessionAuthLayer<Stub> {
    access(Stub::answering(Ok(Some(record(&claims()))))).header(NAME)
}

fn token() -> String {
    sign(&claims()).expose().to_owned()
}

fn with_headers(headers: &[(HeaderName, &str)]) -> Request<()> {
    let mut request = Request::new(());
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).unwrap();
        request.headers_mut().append(name.clone(), value);
    }
    request
}

#[tokio::test]
async fn other_header_holds_the_token_with_or_without_the_scheme() {
    let token = token();
    for value in [
        token.clone(),
        format!("Bearer {token}"),
        format!("bearer   {token}"),
        format!(" {token} "),
    ] {
        let admitted = pass(&layer(), with_headers(&[(NAME, &value)])).await.unwrap();
        let session: &AuthenticatedSession = admitted.extensions().get().unwrap();
        assert_eq!(session.session_id, claims().session_id, "{value:?}");
        assert!(admitted.headers()[NAME].is_sensitive(), "{value:?}");
    }
}

#[tokio::test]
async fn bare_token_with_a_prefix_that_begins_like_the_scheme_is_admitted() {
    let signer = crate::test_support::signer().prefix("bearer_");
    let token = signer.sign(&claims()).unwrap();
    let record = SessionRecord {
        token_hash: token.hash(),
        ..record(&claims())
    };
    let verifier = verifier().prefix("bearer_").header(NAME);
    let layer =
        SessionAuthLayer::new(verifier, Stub::answering(Ok(Some(record)))).clock(ManualClock::new(NOW));
    let outcome = pass(&layer, with_headers(&[(NAME, token.expose())])).await;
    assert!(outcome.is_ok());
}

#[tokio::test]
async fn authorization_header_is_ignored_beside_another_header() {
    let token = token();
    let bearer = format!("Bearer {token}");
    for authorization in ["Basic x", "Bearer x", "Bearer", &bearer] {
        let sent = with_headers(&[(header::AUTHORIZATION, authorization), (NAME, &token)]);
        assert!(pass(&layer(), sent).await.is_ok(), "{authorization}");

        let rejection = pass(&layer(), with_headers(&[(header::AUTHORIZATION, authorization)])).await;
        let rejection = rejection.unwrap_err();
        assert_eq!(kind(&rejection), ErrorKind::InvalidToken, "{authorization}");
        assert_eq!(challenge(&rejection), CHALLENGE_MISSING, "{authorization}");
        assert_eq!(
            detail(&rejection),
            "This request needs a session token: x-session-token: Bearer …"
        );
    }
}

#[tokio::test]
async fn malformed_value_of_another_header_is_invalid_and_the_detail_names_the_header() {
    let token = token();
    let several = "The x-session-token header must hold one token and nothing else.";
    let quotes = "The token is in quotes or brackets. Send it without them.";
    let invalid = "The session token is not valid.";
    for (value, expected) in [
        (
            "Bearer".to_owned(),
            "The x-session-token header has no token after Bearer.",
        ),
        (format!("{token} {token}"), several),
        (format!("{token},{token}"), several),
        (format!("\"{token}\""), quotes),
        (format!("Bearer \"{token}\""), quotes),
        ("x".to_owned(), invalid),
        (format!("{token}x"), invalid),
        (
            format!("Bearer\t{token}"),
            "A tab follows Bearer, where a space must be.",
        ),
        (
            format!("Bearer: {token}"),
            "A colon follows Bearer, where a space must be.",
        ),
        (
            "p".repeat(4097),
            "The x-session-token header is longer than 4096 bytes.",
        ),
    ] {
        let rejection = pass(&layer(), with_headers(&[(NAME, &value)])).await.unwrap_err();
        assert_eq!(kind(&rejection), ErrorKind::InvalidToken, "{value}");
        assert_eq!(challenge(&rejection), CHALLENGE_INVALID, "{value}");
        assert_eq!(detail(&rejection), expected, "{value}");
    }
}

#[tokio::test]
async fn several_other_headers_are_invalid_even_if_each_one_is_valid() {
    let token = token();
    let sent = with_headers(&[(NAME, &token), (NAME, &token)]);
    let rejection = pass(&layer(), sent).await.unwrap_err();
    assert_eq!(kind(&rejection), ErrorKind::InvalidToken);
    assert_eq!(challenge(&rejection), CHALLENGE_INVALID);
    assert_eq!(
        detail(&rejection),
        "There is more than one x-session-token header."
    );
}

#[test]
fn verifier_with_another_header_shares_keys_with_the_original() {
    let verifier = verifier();
    let other = verifier.clone().header(NAME);
    let (parts, ()) = with_headers(&[(NAME, &token())]).into_parts();
    assert_eq!(other.verify_request(&parts).unwrap().claims(), &claims());
    assert_eq!(
        verifier.verify_request(&parts).unwrap_err().kind(),
        ErrorKind::InvalidToken
    );
    verifier.set_keys([]);
    assert!(other.verify_request(&parts).is_err());
}

#[tokio::test]
async fn every_value_that_can_hold_a_token_is_redacted() {
    let name = http::HeaderName::from_static("x-session-token");
    let layer = access(Stub::answering(Ok(Some(record(&claims()))))).header(name.clone());
    let mut sent = Request::new(());
    let token = HeaderValue::from_str(sign(&claims()).expose()).unwrap();
    sent.headers_mut().insert(&name, token);
    for _ in 0..2 {
        sent.headers_mut()
            .append(header::AUTHORIZATION, HeaderValue::from_static("Basic x"));
    }
    let admitted = pass(&layer, sent).await.unwrap();
    assert!(admitted.headers()[name].is_sensitive());
    let others = admitted.headers().get_all(header::AUTHORIZATION);
    assert!(others.iter().all(HeaderValue::is_sensitive));
}
