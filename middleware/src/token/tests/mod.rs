mod interop;
mod keys;
mod reasons;
mod rejections;
mod signature_cache;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::*;
use crate::{
    ErrorKind,
    clock::Timestamp,
    test_support::{KID, NOW, claims, sign, signer, verifier},
};

/// The last second of the year 9999, the end of the range of RFC 3339.
const LAST_SECOND: Timestamp = Timestamp(253_402_300_799);

const SIGNATURE_LEN: usize = 64;

/// The token of the test claims, signed by the test key.
const GOLDEN: &str = "wai_sess_v4.public.eyJpc3MiOiJ0b3dlci1zZXNzaW9uLWF1dGgiLCJzdWIiOiIwMTk5YzgyYy1jMDAwLTdhYmMtOGRlZi0wM\
    TIzNDU2Nzg5YWIiLCJhZ3QiOiI2ZjFjN2E1Mi0yZjM5LTRiMGUtOWM1NS0wYjdmM2UzZDJhMTEiLCJnZW4iOjAsImlhdCI6IjIwM\
    jUtMTAtMDlUMDg6NTM6MjBaIiwiZXhwIjoiMjAyNS0xMC0wOVQwODo1NTowMFoifW73ZFW3ZtdyLIEtZWP-Y1H7aIzdzjeQI06J1\
    5URy2gOGjNOegshnK4D6R42VbSnXAC1ujOJRgupnoLwVW5YzAg.eyJraWQiOiJrNC5waWQueWg0LWJKWWpPWUFHNkNXeTB6c2ZQb\
    XBLeWx4Uzd1QVdyeHFWbUJOMktBaUoifQ";

/// Payload and footer of a bearer string, unverified.
fn contents(bearer: &str) -> (Value, Value) {
    let paseto = bearer.strip_prefix("wai_sess_v4.public.").unwrap();
    let (body, footer) = paseto.split_once('.').unwrap();
    let body = URL_SAFE_NO_PAD.decode(body).unwrap();
    let footer = URL_SAFE_NO_PAD.decode(footer).unwrap();
    let payload = &body[..body.len() - SIGNATURE_LEN];
    (
        serde_json::from_slice(payload).unwrap(),
        serde_json::from_slice(&footer).unwrap(),
    )
}

#[test]
fn same_claims_give_the_same_token_byte_for_byte() {
    let token = sign(&claims());
    assert_eq!(token.expose(), sign(&claims()).expose());
    // A constant, since a repeated renewal may need the token of an earlier process or version.
    assert_eq!(token.expose(), GOLDEN);
}

#[test]
fn other_claims_give_another_token_and_another_hash() {
    let first = sign(&claims());
    let next = sign(&Claims {
        generation: 1,
        ..claims()
    });
    assert_ne!(first.expose(), next.expose());
    assert_ne!(first.hash(), next.hash());
}

#[test]
fn hash_is_sha_256_of_the_whole_bearer_string() {
    let sha_256_of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let hex: String = TokenHash::of("abc")
        .as_bytes()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert_eq!(hex, sha_256_of_abc);

    let token = sign(&claims());
    let verified = verifier().verify(token.expose()).unwrap();
    assert_eq!(token.hash(), TokenHash::of(token.expose()));
    assert_eq!(*verified.hash(), token.hash());
}

#[test]
fn verified_token_has_the_signed_claims() {
    for claims in [
        claims(),
        Claims {
            generation: u32::MAX,
            ..claims()
        },
        Claims {
            issued_at: Timestamp(0),
            expires_at: LAST_SECOND,
            ..claims()
        },
    ] {
        let verified = verifier().verify(sign(&claims).expose()).unwrap();
        assert_eq!(*verified.claims(), claims);
    }
}

#[test]
fn time_outside_rfc_3339_is_not_signed() {
    for expires_at in [LAST_SECOND.plus(1), Timestamp(u64::MAX)] {
        let claims = Claims {
            expires_at,
            ..claims()
        };
        assert_eq!(signer().sign(&claims).unwrap_err(), SignError);
    }
}

#[test]
fn payload_has_the_documented_claims_and_no_others() {
    let without_audience = json!({
        "iss": "tower-session-auth",
        "sub": "0199c82c-c000-7abc-8def-0123456789ab",
        "agt": "6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a11",
        "gen": 0,
        "iat": "2025-10-09T08:53:20Z",
        "exp": "2025-10-09T08:55:00Z",
    });
    let mut with_audience = without_audience.clone();
    with_audience["aud"] = json!("api");
    with_audience["iss"] = json!("elsewhere");
    for (signer, payload) in [
        (signer(), without_audience),
        (
            signer().issuer("elsewhere").audience("api".to_owned()),
            with_audience,
        ),
    ] {
        let token = signer.sign(&claims()).unwrap();
        assert_eq!(contents(token.expose()), (payload, json!({ "kid": KID })));
    }
}

#[test]
fn token_expires_at_the_second_of_exp() {
    let expired = Err(ErrorKind::TokenExpired);
    let verified = verifier().verify(sign(&claims()).expose()).unwrap();
    for (now, expected) in [(0, Ok(())), (99, Ok(())), (100, expired), (101, expired)] {
        assert_eq!(verified.check_expiry(NOW.plus(now)), expected, "{now}");
    }
}
