//! Interoperability: another PASETO library verifies our tokens, and this crate verifies its tokens.

use rusty_paseto::core::{
    Footer, ImplicitAssertion, Key, Paseto, PasetoAsymmetricPrivateKey, PasetoAsymmetricPublicKey, Payload,
    Public, V4,
};

use super::*;
use crate::test_support::{PUBLIC, SECRET};

fn decode(paserk: &str) -> Vec<u8> {
    let (_, bytes) = paserk.rsplit_once('.').unwrap();
    URL_SAFE_NO_PAD.decode(bytes).unwrap()
}

/// A token with any content, signed by the test key, with the prefix.
pub(super) fn build(payload: &str, footer: Option<&str>, implicit_assertion: Option<&str>) -> String {
    let key = decode(SECRET);
    let key = PasetoAsymmetricPrivateKey::<V4, Public>::try_from(key.as_slice()).unwrap();
    let mut paseto = Paseto::<V4, Public>::builder();
    paseto.set_payload(Payload::from(payload));
    if let Some(footer) = footer {
        paseto.set_footer(Footer::from(footer));
    }
    if let Some(assertion) = implicit_assertion {
        paseto.set_implicit_assertion(ImplicitAssertion::from(assertion));
    }
    DEFAULT_PREFIX.to_owned() + &paseto.try_sign(&key).unwrap()
}

pub(super) fn footer() -> String {
    json!({ "kid": KID }).to_string()
}

/// The payload of the test claims.
pub(super) fn payload() -> Value {
    contents(sign(&claims()).expose()).0
}

#[test]
fn other_library_verifies_our_tokens() {
    let token = sign(&claims());
    let paseto = token.expose().strip_prefix(DEFAULT_PREFIX).unwrap();
    let key = Key::<32>::try_from(decode(PUBLIC).as_slice()).unwrap();
    let key = PasetoAsymmetricPublicKey::<V4, Public>::from(&key);
    let footer = footer();
    let read = Paseto::<V4, Public>::try_verify(paseto, &key, Footer::from(footer.as_str()), None).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&read).unwrap(), payload());
}

#[test]
fn this_crate_verifies_tokens_of_the_other_library() {
    let token = build(&payload().to_string(), Some(&footer()), None);
    assert_eq!(*verifier().verify(&token).unwrap().claims(), claims());
}

/// A token with one claim set to a value, or without that claim.
fn with(member: &str, value: Option<Value>) -> String {
    let mut payload = payload();
    let members = payload.as_object_mut().unwrap();
    match value {
        Some(value) => members.insert(member.to_owned(), value),
        None => members.remove(member),
    };
    build(&payload.to_string(), Some(&footer()), None)
}

#[test]
fn times_may_have_an_offset_and_a_fraction_is_truncated() {
    for exp in [
        "2025-10-09T08:55:00Z",
        "2025-10-09T08:55:00+00:00",
        "2025-10-09T10:55:00+02:00",
        "2025-10-09T08:55:00.999Z",
    ] {
        let verified = verifier().verify(&with("exp", Some(json!(exp)))).unwrap();
        assert_eq!(verified.claims().expires_at, claims().expires_at, "{exp}");
    }
}

#[test]
fn token_is_not_valid_before_its_nbf() {
    let token = with("nbf", Some(json!("2025-10-09T08:53:30Z")));
    let verified = verifier().verify(&token).unwrap();
    let invalid = Err(ErrorKind::InvalidToken);
    for (now, expected) in [(9, invalid), (10, Ok(())), (11, Ok(()))] {
        assert_eq!(verified.check_expiry(NOW.plus(now)), expected, "{now}");
    }
}

#[test]
fn unknown_members_are_ignored() {
    let token = with("jti", Some(json!("x")));
    assert!(verifier().verify(&token).is_ok());
    let footer = json!({ "kid": KID, "wpk": "x" }).to_string();
    let token = build(&payload().to_string(), Some(&footer), None);
    assert!(verifier().verify(&token).is_ok());
}

#[test]
fn signed_payload_with_a_missing_or_malformed_claim_is_rejected() {
    for member in ["iss", "sub", "agt", "gen", "iat", "exp"] {
        for value in [
            None,
            Some(json!(null)),
            Some(json!(true)),
            Some(json!("x")),
            Some(json!(-1)),
        ] {
            let rejected = verifier().verify(&with(member, value.clone()));
            assert_eq!(
                rejected.unwrap_err(),
                ErrorKind::InvalidToken,
                "{member}: {value:?}"
            );
        }
    }
    for (member, value) in [
        ("exp", json!("1969-12-31T23:59:59Z")),
        ("exp", json!("2025-10-09")),
        ("exp", json!(1_760_000_100)),
        ("nbf", json!("soon")),
        ("gen", json!(4_294_967_296_u64)),
        ("gen", json!(0.5)),
        ("sub", json!("0199c82cc0007abc8def0123456789ab")),
        ("aud", json!(["api"])),
    ] {
        let rejected = verifier().verify(&with(member, Some(value.clone())));
        assert_eq!(
            rejected.unwrap_err(),
            ErrorKind::InvalidToken,
            "{member}: {value}"
        );
    }
    for payload in ["", "null", "[]", "{}", "x"] {
        let token = build(payload, Some(&footer()), None);
        assert!(verifier().verify(&token).is_err(), "{payload}");
    }
}
