use super::*;
use crate::test_support::{PUBLIC, SECRET, key};

#[test]
fn keys_survive_their_paserk_form() {
    assert_eq!(key().to_paserk(), SECRET);
    assert_eq!(key().verifying_key().to_paserk(), PUBLIC);
    let public = VerifyingKey::from_paserk(PUBLIC).unwrap();
    assert_eq!(public.to_paserk(), PUBLIC);
    assert_eq!(public.id(), KID);
    assert_eq!(key().verifying_key().id(), KID);
}

#[test]
fn whitespace_around_a_key_and_a_byte_order_mark_are_ignored() {
    for (before, after) in [("", "\n"), ("", "\r\n"), ("\u{feff}", "\n"), (" \t\n", " \n\n")] {
        let secret = SigningKey::from_paserk(&format!("{before}{SECRET}{after}")).unwrap();
        assert_eq!(secret.to_paserk(), SECRET, "{before:?} {after:?}");
        let public = VerifyingKey::from_paserk(&format!("{before}{PUBLIC}{after}")).unwrap();
        assert_eq!(public.to_paserk(), PUBLIC, "{before:?} {after:?}");
    }
}

#[test]
fn no_two_keys_are_generated_alike() {
    let [one, other] = [(); 2].map(|()| SigningKey::generate().unwrap());
    assert_ne!(one.to_paserk(), other.to_paserk());
    assert_ne!(one.verifying_key().id(), other.verifying_key().id());
    assert_eq!(
        SigningKey::from_paserk(&one.to_paserk()).unwrap().to_paserk(),
        one.to_paserk()
    );
}

#[test]
fn only_a_paserk_string_of_its_kind_is_a_key() {
    let cut = |text: &str| text[..text.len() - 1].to_owned();
    for text in [
        String::new(),
        "k4.secret.".to_owned(),
        PUBLIC.to_owned(),
        KID.to_owned(),
        cut(SECRET),
        format!("{SECRET}A"),
        format!("{SECRET}="),
        SECRET.replace("secret.", "secret. "),
        format!("\u{a0}{SECRET}"),
        format!("{SECRET}\u{feff}"),
        format!("{SECRET}\n{SECRET}"),
        SECRET.replace("k4", "k2"),
    ] {
        let rejected = SigningKey::from_paserk(&text).unwrap_err();
        assert_eq!(rejected, KeyError::NotASecretKey, "{text}");
    }
    for text in [
        String::new(),
        "k4.public.".to_owned(),
        SECRET.to_owned(),
        KID.to_owned(),
        cut(PUBLIC),
        format!("{PUBLIC}A"),
        PUBLIC.replace("public.", "public.\n"),
        format!("{PUBLIC}\n{PUBLIC}"),
        PUBLIC.replace("k4", "k3"),
    ] {
        let rejected = VerifyingKey::from_paserk(&text).unwrap_err();
        assert_eq!(rejected, KeyError::NotAPublicKey, "{text}");
    }
}

#[test]
fn a_secret_key_whose_public_half_is_anothers_is_rejected() {
    let other = SigningKey::generate().unwrap().to_paserk();
    let bytes = |paserk: &str| URL_SAFE_NO_PAD.decode(&paserk["k4.secret.".len()..]).unwrap();
    let mixed = [&bytes(SECRET)[..32], &bytes(&other)[32..]].concat();
    let mixed = format!("k4.secret.{}", URL_SAFE_NO_PAD.encode(mixed));
    assert_eq!(
        SigningKey::from_paserk(&mixed).unwrap_err(),
        KeyError::NotASecretKey
    );
}

#[test]
fn debug_output_shows_nothing_secret() {
    let token = sign(&claims());
    for (shown, expected) in [
        (format!("{token:?}"), "SessionToken(..)".to_owned()),
        (format!("{:?}", token.hash()), "TokenHash(..)".to_owned()),
        (format!("{:?}", key()), format!("SigningKey({KID})")),
        (
            format!("{:?}", key().verifying_key()),
            format!("VerifyingKey({KID})"),
        ),
    ] {
        assert_eq!(shown, expected);
    }
    let secret = &SECRET["k4.secret.".len()..];
    let shown = format!("{:?} {:?}", signer(), verifier());
    assert!(!shown.contains(secret) && shown.contains(KID), "{shown}");
}
