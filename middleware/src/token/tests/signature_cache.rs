use super::*;
use crate::testing::{self, key};

fn remembers(verifier: &TokenVerifier, token: &SessionToken) -> bool {
    verifier.remembers(&token.hash())
}

#[test]
fn a_token_is_remembered_once_it_was_proven_and_gives_the_same_again() {
    let (verifier, token) = (verifier(), sign(&claims()));
    assert!(!remembers(&verifier, &token));
    let first = verifier.verify(token.expose()).unwrap();
    assert!(remembers(&verifier.clone(), &token), "clones share it");
    let again = verifier.verify(token.expose()).unwrap();
    assert_eq!(again.claims(), first.claims());
    assert_eq!(again.hash(), first.hash());
}

#[test]
fn what_was_refused_is_not_remembered() {
    let (verifier, token) = (verifier(), sign(&claims()));
    let forged = SessionToken::from_bearer(token.expose().replace(".eyJp", ".eyJq"));
    assert_eq!(verifier.verify(forged.expose()), Err(ErrorKind::InvalidToken));
    assert!(!remembers(&verifier, &forged));
}

#[test]
fn a_key_that_is_retired_takes_its_proven_tokens_along() {
    let (verifier, token) = (verifier(), sign(&claims()));
    let clone = verifier.clone();
    clone.verify(token.expose()).unwrap();
    verifier.set_keys([SigningKey::generate().unwrap().verifying_key().clone()]);
    assert_eq!(clone.verify(token.expose()), Err(ErrorKind::InvalidToken));
    verifier.set_keys([key().verifying_key().clone()]);
    assert!(!remembers(&clone, &token), "it has to prove itself again");
    clone.verify(token.expose()).unwrap();
}

#[test]
fn other_rules_remember_nothing_of_these() {
    let (verifier, token) = (verifier(), sign(&claims()));
    verifier.verify(token.expose()).unwrap();
    for other in [
        verifier.clone().issuer("somebody else"),
        verifier.clone().audience("somebody else"),
        verifier.clone().prefix("other_"),
    ] {
        assert_eq!(other.verify(token.expose()), Err(ErrorKind::InvalidToken));
    }
    verifier.verify(token.expose()).unwrap();
}

#[test]
fn the_least_recently_used_tokens_go() {
    let verifier = verifier().signature_cache_capacity(32);
    let tokens: Vec<_> = (0..200)
        .map(|generation| {
            sign(&Claims {
                generation,
                ..claims()
            })
        })
        .collect();
    for token in &tokens {
        verifier.verify(token.expose()).unwrap();
        verifier.verify(tokens[0].expose()).unwrap();
    }
    let kept = tokens.iter().filter(|token| remembers(&verifier, token)).count();
    assert!(kept <= 32 && kept > 16, "{kept}");
    assert!(remembers(&verifier, &tokens[0]), "used all the time");
    assert!(remembers(&verifier, &tokens[199]), "the last one");
}

#[test]
fn a_memory_of_0_keeps_nothing() {
    let verifier = verifier().signature_cache_capacity(0);
    let token = sign(&claims());
    verifier.verify(token.expose()).unwrap();
    assert!(!remembers(&verifier, &token));
}

#[test]
fn what_a_signer_makes_is_known_to_its_verifier_at_once() {
    let verifier = verifier();
    let known = signer().cache_in(&verifier).sign(&claims()).unwrap();
    assert!(remembers(&verifier, &known));
    let known = verifier.verify(known.expose()).unwrap();
    let proven = testing::verifier().verify(sign(&claims()).expose()).unwrap();
    assert_eq!(known, proven, "as if its signature had been checked");
}

#[test]
fn what_a_verifier_would_refuse_is_not_known_to_it() {
    let verifier = verifier();
    for other in [
        TokenSigner::new(SigningKey::generate().unwrap()),
        signer().issuer("somebody else"),
        signer().audience("somebody else"),
        signer().prefix("other_"),
    ] {
        let token = other.cache_in(&verifier).sign(&claims()).unwrap();
        assert!(!remembers(&verifier, &token));
        assert_eq!(verifier.verify(token.expose()), Err(ErrorKind::InvalidToken));
    }

    let signer = signer().cache_in(&verifier);
    verifier.set_keys([]);
    let token = signer.sign(&claims()).unwrap();
    assert_eq!(verifier.verify(token.expose()), Err(ErrorKind::InvalidToken));
}
