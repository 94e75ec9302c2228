//! The precise reason of each invalid token: for the log, never for the client.

use http::{HeaderName, Request, header, request::Parts};

use super::{
    interop::{build, footer, payload},
    *,
};
use crate::{AuthError, RejectionReason as Reason};

fn request(values: &[&str]) -> Parts {
    let mut request = Request::new(());
    for value in values {
        let value = http::HeaderValue::from_bytes(value.as_bytes()).unwrap();
        request.headers_mut().append(header::AUTHORIZATION, value);
    }
    request.into_parts().0
}

fn bearer(token: &str) -> Parts {
    request(&[&format!("Bearer {token}")])
}

fn rejection(verifier: &TokenVerifier, request: &Parts) -> AuthError {
    verifier.verify_request(request).unwrap_err()
}

/// The token of the test claims with other claims, signed by the accepted key.
fn with_claim(name: &str, value: Value) -> String {
    let mut payload = payload();
    payload[name] = value;
    build(&payload.to_string(), Some(&footer()), None)
}

fn in_query() -> Parts {
    let uri = format!("/?token={}", sign(&claims()).expose());
    Request::get(uri).body(()).unwrap().into_parts().0
}

/// The token with one character of its signature replaced.
fn forged() -> String {
    let token = sign(&claims()).expose().to_owned();
    let at = token.rfind('.').unwrap() - 10;
    let by = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
    let mut forged = token;
    forged.replace_range(at..=at, by);
    forged
}

#[test]
fn each_mistake_has_its_own_reason_and_all_have_one_kind() {
    let valid = sign(&claims()).expose().to_owned();
    let paseto = valid.strip_prefix(DEFAULT_PREFIX).unwrap();
    let long = format!("Bearer {}", "x".repeat(MAX_HEADER_LEN));
    let unknown = TokenSigner::new(SigningKey::generate().unwrap());
    let unknown = unknown.sign(&claims()).unwrap();
    for (request, reason) in [
        (request(&[]), Reason::MissingToken),
        (request(&["Basic dXNlcjpwYXNz"]), Reason::OtherScheme),
        (request(&["Bearer x", "Bearer x"]), Reason::DuplicateHeader),
        (request(&[&long]), Reason::HeaderTooLong),
        (request(&["Bearer"]), Reason::MalformedHeader),
        (
            request(&[&format!("Bearer \"{valid}\"")]),
            Reason::MalformedHeader,
        ),
        (request(&[&valid]), Reason::MalformedHeader),
        (request(&["Bearer é"]), Reason::MalformedHeader),
        (in_query(), Reason::TokenInQuery),
        (bearer(paseto), Reason::WrongPrefix),
        (bearer("wai_sess_x"), Reason::MalformedToken),
        (bearer(&build("{}", None, None)), Reason::MalformedToken),
        (bearer(&build("{}", Some("{}"), None)), Reason::MalformedFooter),
        (bearer(unknown.expose()), Reason::UnknownKey),
        (bearer(&forged()), Reason::BadSignature),
        (bearer(&build("{}", Some(&footer()), None)), Reason::BadClaims),
        (bearer(&with_claim("exp", json!("soon"))), Reason::BadClaims),
        (
            bearer(&with_claim("iss", json!("elsewhere"))),
            Reason::WrongIssuer,
        ),
        (bearer(&with_claim("aud", json!("api"))), Reason::WrongAudience),
    ] {
        let error = rejection(&verifier(), &request);
        assert_eq!((error.kind(), error.reason()), (ErrorKind::InvalidToken, reason));
        assert_eq!(reason.kind(), ErrorKind::InvalidToken);
    }
}

#[test]
fn key_id_is_known_from_the_footer_on_and_session_and_agent_after_the_signature() {
    let unknown_key = SigningKey::generate().unwrap();
    let unknown_kid = unknown_key.verifying_key().id().to_owned();
    let unknown = TokenSigner::new(unknown_key).sign(&claims()).unwrap();
    let no_key_id = build("{}", Some(r#"{"kid":"k4.pid.hunter2"}"#), None);
    for (token, kid, signed) in [
        (unknown.expose().to_owned(), Some(unknown_kid.as_str()), false),
        (no_key_id, None, false),
        (forged(), Some(KID), false),
        (with_claim("iss", json!("elsewhere")), Some(KID), true),
        (with_claim("aud", json!("api")), Some(KID), true),
        (with_claim("exp", json!("soon")), Some(KID), true),
    ] {
        let error = rejection(&verifier(), &bearer(&token));
        assert_eq!(error.key_id(), kid);
        let session = signed.then(|| claims().session_id);
        let agent = signed.then(|| claims().agent_id);
        assert_eq!((error.session_id(), error.agent_id()), (session, agent));
    }
}

#[test]
fn key_id_is_found_in_the_header_of_the_verifier() {
    let name = HeaderName::from_static("x-session-token");
    let verifier = verifier().header(name.clone());
    let mut request = Request::new(());
    let token = sign(&claims());
    request
        .headers_mut()
        .insert(name, token.expose().parse().unwrap());
    let error = verifier.with_key_id_of(ErrorKind::SessionRevoked.into(), request.headers());
    assert_eq!(error.key_id(), Some(KID));
    let error = verifier.with_key_id_of(ErrorKind::SessionRevoked.into(), &http::HeaderMap::new());
    assert_eq!(error.key_id(), None);
}
