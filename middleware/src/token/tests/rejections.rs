use super::{
    interop::{build, footer, payload},
    *,
};
use crate::test_support::key;

const BASE64_URL: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn golden() -> String {
    sign(&claims()).expose().to_owned()
}

#[track_caller]
fn assert_rejected(bearer: &str) {
    let outcome = verifier().verify(bearer);
    assert_eq!(outcome.map(drop), Err(ErrorKind::InvalidToken), "{bearer}");
}

/// The token with one character replaced.
fn replaced(token: &str, at: usize, by: char) -> String {
    let mut mutated = token.to_owned();
    mutated.replace_range(at..=at, by.encode_utf8(&mut [0; 4]));
    mutated
}

#[test]
fn changed_character_anywhere_invalidates_the_token() {
    let token = golden();
    for (at, before) in token.char_indices() {
        let neighbour = char::from(before as u8 ^ 1);
        for by in [neighbour, '.', ' ', 'é'] {
            if by != before {
                assert_rejected(&replaced(&token, at, by));
            }
        }
    }
}

#[test]
fn last_character_of_each_part_has_one_valid_form() {
    let token = golden();
    let ends = token.match_indices('.').skip(2).map(|(dot, _)| dot - 1);
    for at in ends.chain([token.len() - 1]) {
        for by in BASE64_URL.chars().filter(|by| !token[at..].starts_with(*by)) {
            assert_rejected(&replaced(&token, at, by));
        }
    }
}

#[test]
fn added_character_anywhere_invalidates_the_token() {
    let token = golden();
    for at in 0..=token.len() {
        for added in ['A', '.', '=', '\0'] {
            let mut mutated = token.clone();
            mutated.insert(at, added);
            assert_rejected(&mutated);
        }
    }
}

#[test]
fn truncated_token_is_rejected() {
    let token = golden();
    for at in 0..token.len() {
        assert_rejected(&token[..at]);
        assert_rejected(&token[at + 1..]);
    }
}

#[test]
fn token_of_another_form_is_rejected_despite_a_valid_signature() {
    let token = golden();
    let body = token.strip_prefix("wai_sess_v4.public.").unwrap();
    let (body, footer_part) = body.split_once('.').unwrap();
    for bearer in [
        format!("wai_sess_v4.local.{body}.{footer_part}"),
        format!("wai_sess_v2.public.{body}.{footer_part}"),
        format!("wai_sess_V4.public.{body}.{footer_part}"),
        format!("wai_sess_v4.public.{body}"),
        format!("wai_sess_v4.public.{body}."),
        format!("wai_sess_v4.public..{footer_part}"),
        format!("wai_sess_v4.public.{body}.{footer_part}.{footer_part}"),
        format!("wai_sess_v4.public.{body}..{footer_part}"),
        token.to_uppercase(),
        token.replace("wai_sess_", ""),
        token.replace("wai_sess_", "wai_sess_wai_sess_"),
        token.replace("wai_sess_", "key_sess_"),
        build(&payload().to_string(), None, None),
        build(&payload().to_string(), Some(&footer()), Some("implicit")),
    ] {
        assert_rejected(&bearer);
    }
}

#[test]
fn footer_must_name_the_key_within_256_characters() {
    let escaped = KID.replacen('k', "\\u006b", 1);
    let of_len = |len: usize| {
        let short = json!({ "kid": KID, "x": "" }).to_string();
        json!({ "kid": KID, "x": "x".repeat(len - short.len()) }).to_string()
    };
    // 192 bytes have 256 characters in base64.
    let accepted = build(&payload().to_string(), Some(&of_len(192)), None);
    assert!(verifier().verify(&accepted).is_ok());
    for footer in [
        of_len(193),
        KID.to_owned(),
        format!("\"{KID}\""),
        json!({ "KID": KID }).to_string(),
        json!({ "kid": null }).to_string(),
        json!({ "kid": [KID] }).to_string(),
        json!({ "kid": SigningKey::generate().unwrap().verifying_key().id() }).to_string(),
        format!("{{\"kid\":\"{escaped}\"}}"),
        format!("{{\"kid\":\"{KID}\"}} {{}}"),
        format!("{{\"kid\":\"{KID}\",\"kid\":\"{KID}\"}}"),
        "[".repeat(192),
    ] {
        assert_rejected(&build(&payload().to_string(), Some(&footer), None));
    }
}

#[test]
fn only_tokens_of_the_accepted_keys_verify() {
    let [old, new, foreign] = [(); 3].map(|()| SigningKey::generate().unwrap());
    let accepted = [&old, &new].map(|key| key.verifying_key().clone());
    let verifier = TokenVerifier::new(accepted);
    for (key, accepted) in [(old, true), (new, true), (foreign, false), (key(), false)] {
        let token = TokenSigner::new(key).sign(&claims()).unwrap();
        assert_eq!(verifier.verify(token.expose()).is_ok(), accepted);
    }
    let nothing = TokenVerifier::new([]);
    assert!(nothing.verify(&golden()).is_err());
}

#[test]
fn token_that_names_another_accepted_key_is_rejected() {
    let other = SigningKey::generate().unwrap();
    let verifier = TokenVerifier::new([&key(), &other].map(|key| key.verifying_key().clone()));
    let footer = json!({ "kid": other.verifying_key().id() }).to_string();
    let named_wrongly = build(&payload().to_string(), Some(&footer), None);
    assert!(verifier.verify(&golden()).is_ok());
    assert!(verifier.verify(&named_wrongly).is_err());
}

#[test]
fn prefix_issuer_and_audience_must_match_the_verifier() {
    type Configure = fn(TokenSigner, TokenVerifier) -> (TokenSigner, TokenVerifier);
    let rows: &[(&str, bool, Configure)] = &[
        ("as they are", true, |s, v| (s, v)),
        ("same prefix", true, |s, v| (s.prefix("a_"), v.prefix("a_"))),
        ("no prefix", true, |s, v| (s.prefix(""), v.prefix(""))),
        ("foreign prefix", false, |s, v| (s.prefix("a_"), v.prefix("b_"))),
        ("longer prefix", false, |s, v| (s.prefix("a_b_"), v.prefix("a_"))),
        ("same issuer", true, |s, v| (s.issuer("a"), v.issuer("a"))),
        ("foreign issuer", false, |s, v| (s.issuer("a"), v)),
        ("issuer in other case", false, |s, v| {
            (s.issuer("a"), v.issuer("A"))
        }),
        ("same audience", true, |s, v| {
            (s.audience("a".to_owned()), v.audience("a".to_owned()))
        }),
        ("foreign audience", false, |s, v| {
            (s.audience("a".to_owned()), v.audience("b".to_owned()))
        }),
        ("audience missing", false, |s, v| (s, v.audience("a".to_owned()))),
        ("audience empty", false, |s, v| {
            (s.audience(String::new()), v.audience("a".to_owned()))
        }),
        ("audience where none is expected", false, |s, v| {
            (s.audience("a".to_owned()), v)
        }),
    ];
    for (name, accepted, configure) in rows {
        let (signer, verifier) = configure(signer(), verifier());
        let outcome = verifier.verify(signer.sign(&claims()).unwrap().expose());
        assert_eq!(outcome.is_ok(), *accepted, "{name}");
    }
}

#[test]
fn token_has_at_most_4096_bytes() {
    let bare = signer().prefix("").sign(&claims()).unwrap().expose().len();
    for (len, accepted) in [(4096, true), (4097, false)] {
        let prefix = "p".repeat(len - bare);
        let token = signer().prefix(prefix.as_str()).sign(&claims()).unwrap();
        assert_eq!(token.expose().len(), len);
        let outcome = verifier().prefix(prefix).verify(token.expose());
        assert_eq!(outcome.is_ok(), accepted, "{len}");
    }
}
