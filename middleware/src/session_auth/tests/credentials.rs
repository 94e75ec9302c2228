//! Where a token may stand in a request, and how.

use super::*;
use crate::{
    ErrorKind,
    testing::{header, kind, pass},
};

const INVALID: &str = "Bearer realm=\"session\", error=\"invalid_token\"";
const MISSING: &str = "Bearer realm=\"session\"";

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

#[tokio::test]
async fn the_scheme_is_bearer_in_any_case() {
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer ", "Bearer   "] {
        let value = format!("{scheme} {}", token());
        let verdict = pass(&layer(), with_headers(&[value.as_bytes()])).await;
        assert!(verdict.is_ok(), "{scheme:?}");
    }
}

#[tokio::test]
async fn any_other_header_is_refused_and_its_challenge_has_an_error_when_the_scheme_is_ours() {
    let token = token();
    for (value, ours) in [
        ("Bearer".to_owned(), true),
        ("Bearer ".to_owned(), true),
        (format!("Bearer {token} {token}"), true),
        (format!("Bearer {token},"), true),
        (format!("Bearer \"{token}\""), true),
        (format!("Bearer token={token}"), true),
        (format!("Bearer Bearer {token}"), true),
        (format!("Bearer {token}\u{e9}"), true),
        (format!("Basic {token}"), false),
        (format!("Token {token}"), false),
        (format!("Bearer: {token}"), false),
        (format!("Bearer\t{token}"), false),
        (format!("Bearer{token}"), false),
        (format!(" {token}"), false),
        (token.clone(), false),
        (String::new(), false),
    ] {
        let refusal = pass(&layer(), with_headers(&[value.as_bytes()]))
            .await
            .unwrap_err();
        assert_eq!(refusal.status(), 401, "{value}");
        assert_eq!(kind(&refusal), ErrorKind::InvalidToken, "{value}");
        let challenge = if ours { INVALID } else { MISSING };
        assert_eq!(
            header(&refusal, header::WWW_AUTHENTICATE),
            Some(challenge),
            "{value}"
        );
    }
}

#[tokio::test]
async fn there_is_one_header_even_where_each_of_several_would_do() {
    let good = format!("Bearer {}", token());
    for values in [
        [good.as_bytes(), good.as_bytes()],
        [good.as_bytes(), b"Basic x"],
        [b"", good.as_bytes()],
    ] {
        let refusal = pass(&layer(), with_headers(&values)).await.unwrap_err();
        assert_eq!(kind(&refusal), ErrorKind::InvalidToken);
        assert_eq!(header(&refusal, header::WWW_AUTHENTICATE), Some(INVALID));
    }
}

#[tokio::test]
async fn a_request_without_a_token_is_challenged_without_an_error() {
    let refusal = pass(&layer(), Request::new(())).await.unwrap_err();
    assert_eq!(refusal.status(), 401);
    assert_eq!(kind(&refusal), ErrorKind::InvalidToken);
    assert_eq!(header(&refusal, header::WWW_AUTHENTICATE), Some(MISSING));
}

#[tokio::test]
async fn a_token_in_the_query_is_refused_even_beside_a_good_header() {
    let token = token();
    for (query, passes) in [
        (format!("access_token={token}"), false),
        ("access_token=x".to_owned(), false),
        ("access_token=".to_owned(), false),
        ("a=b&access_token=x&c=d".to_owned(), false),
        (format!("x={token}"), false),
        (token.clone(), false),
        ("access_token".to_owned(), false),
        (format!("a=b&x={token}"), false),
        ("x=wai_sess_v4.public.".to_owned(), false),
        ("x=wai_sess_".to_owned(), true),
        ("x=v4.public.abc".to_owned(), true),
        ("token=abc&my_access_token=x".to_owned(), true),
        (String::new(), true),
    ] {
        let mut request = request(&claims());
        *request.uri_mut() = format!("/path?{query}").parse().unwrap();
        let verdict = pass(&layer(), request).await.map_err(|refusal| {
            let challenge = header(&refusal, header::WWW_AUTHENTICATE);
            assert_eq!(challenge, Some(INVALID), "{query}");
            kind(&refusal)
        });
        let expected = if passes {
            Ok(())
        } else {
            Err(ErrorKind::InvalidToken)
        };
        assert_eq!(verdict.map(drop), expected, "{query}");
    }
}

#[tokio::test]
async fn a_token_with_the_configured_prefix_is_found_in_the_query() {
    let layer = SessionAuthLayer::new(verifier().prefix("key_"), Stub::silent());
    let detail = |query: &str| {
        let uri = format!("/?x={query}").parse().unwrap();
        let request = Request::builder().uri::<http::Uri>(uri).body(()).unwrap();
        async { pass(&layer, request).await.unwrap_err() }
    };
    let found = detail("key_v4.public.x").await;
    assert_eq!(header(&found, header::WWW_AUTHENTICATE), Some(INVALID));
    let missing = detail("wai_sess_v4.public.x").await;
    assert_ne!(header(&missing, header::WWW_AUTHENTICATE), Some(INVALID));
}

#[tokio::test]
async fn a_header_has_at_most_4096_bytes() {
    let rest = "Bearer ".len() + token().len() - crate::token::DEFAULT_PREFIX.len();
    for (len, passes) in [(4096, true), (4097, false)] {
        let prefix = "p".repeat(len - rest);
        let signer = crate::testing::signer().prefix(prefix.as_str());
        let token = signer.sign(&claims()).unwrap();
        let record = SessionRecord {
            token_hash: token.hash(),
            ..record(&claims())
        };
        let layer = SessionAuthLayer::new(verifier().prefix(prefix), Stub::answering(Ok(Some(record))))
            .clock(ManualClock::new(NOW));
        let value = format!("Bearer {}", token.expose());
        assert_eq!(value.len(), len);
        let verdict = pass(&layer, with_headers(&[value.as_bytes()])).await;
        assert_eq!(verdict.is_ok(), passes, "{len}");
    }
}
