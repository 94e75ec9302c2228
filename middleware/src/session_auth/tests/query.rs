//! Tokens in the query of a request.

use super::*;
use crate::{
    ErrorKind,
    test_support::{detail, kind, pass},
};

#[tokio::test]
async fn token_in_the_query_is_rejected_even_beside_a_valid_header() {
    let token = sign(&claims()).expose().to_owned();
    let encoded = token.replace('_', "%5F").replace('.', "%2E");
    for (query, admitted) in [
        (format!("access_token={token}"), false),
        (format!("ACCESS_TOKEN={token}"), false),
        (format!("a=b&access_token={token}&c=d"), false),
        (format!("x={token}"), false),
        (format!("x={encoded}"), false),
        (format!("x=Bearer+{token}"), false),
        (token.clone(), false),
        (format!("{token}=x"), false),
        (format!("a=b&x={token}"), false),
        ("x=wai_sess_v4.public.".to_owned(), false),
        // An `access_token` of the application is no token of this verifier.
        ("access_token=x".to_owned(), true),
        ("access_token=".to_owned(), true),
        ("access_token".to_owned(), true),
        ("a=b&access_token=x&c=d".to_owned(), true),
        ("access_token=v4.public.abc".to_owned(), true),
        ("x=wai_sess_".to_owned(), true),
        ("x=v4.public.abc".to_owned(), true),
        ("token=abc&my_access_token=x".to_owned(), true),
        (String::new(), true),
    ] {
        let layer = access(Stub::answering(Ok(Some(record(&claims())))));
        let mut request = request(&claims());
        *request.uri_mut() = format!("/path?{query}").parse().unwrap();
        let outcome = pass(&layer, request).await.map_err(|rejection| {
            assert_eq!(challenge(&rejection), CHALLENGE_INVALID, "{query}");
            let expected = "A session token must not be sent in the query.";
            assert_eq!(detail(&rejection), expected, "{query}");
            kind(&rejection)
        });
        let expected = match admitted {
            true => Ok(()),
            false => Err(ErrorKind::InvalidToken),
        };
        assert_eq!(outcome.map(drop), expected, "{query}");
    }
}

#[tokio::test]
async fn parameters_of_the_application_reach_the_inner_service() {
    let layer = access(Stub::answering(Ok(Some(record(&claims())))));
    let mut request = request(&claims());
    *request.uri_mut() = "/path?access_token=x".parse().unwrap();
    let admitted = pass(&layer, request).await.unwrap();
    assert_eq!(admitted.uri().query(), Some("access_token=x"));
}

#[tokio::test]
async fn token_with_the_configured_prefix_is_found_in_the_query() {
    let layer = SessionAuthLayer::new(verifier().prefix("key_"), Stub::silent());
    let rejection = |query: &str| {
        let uri = format!("/?x={query}").parse().unwrap();
        let request = Request::builder().uri::<http::Uri>(uri).body(()).unwrap();
        async { pass(&layer, request).await.unwrap_err() }
    };
    let found = rejection("key_v4.public.x").await;
    assert_eq!(challenge(&found), CHALLENGE_INVALID);
    let missing = rejection("wai_sess_v4.public.x").await;
    assert_eq!(challenge(&missing), CHALLENGE_MISSING);
}

#[tokio::test]
async fn token_is_found_in_the_query_after_another_paseto_header() {
    let token = sign(&claims()).expose().to_owned();
    let layer = access(Stub::answering(Ok(Some(record(&claims())))));
    let mut request = request(&claims());
    *request.uri_mut() = format!("/path?x=v4.public.a+{token}").parse().unwrap();
    assert!(pass(&layer, request).await.is_err());
}
