use super::*;
use crate::test_support::{self, key};

fn has_cached(verifier: &TokenVerifier, token: &SessionToken) -> bool {
    verifier.has_cached(&token.hash())
}

#[test]
fn verified_token_is_cached_with_its_claims_and_hash() {
    let (verifier, token) = (verifier(), sign(&claims()));
    assert!(!has_cached(&verifier, &token));
    let first = verifier.verify(token.expose()).unwrap();
    assert!(has_cached(&verifier.clone(), &token), "clones share the cache");
    let again = verifier.verify(token.expose()).unwrap();
    assert_eq!(again.claims(), first.claims());
    assert_eq!(again.hash(), first.hash());
}

#[test]
fn rejected_token_is_not_cached() {
    let (verifier, token) = (verifier(), sign(&claims()));
    let forged = SessionToken::from_bearer(token.expose().replace(".eyJp", ".eyJq"));
    assert_eq!(verifier.verify(forged.expose()), Err(ErrorKind::InvalidToken));
    assert!(!has_cached(&verifier, &forged));
}

#[test]
fn replaced_keys_invalidate_the_tokens_that_they_verified() {
    let (verifier, token) = (verifier(), sign(&claims()));
    let clone = verifier.clone();
    clone.verify(token.expose()).unwrap();
    verifier.set_keys([SigningKey::generate().unwrap().verifying_key().clone()]);
    assert_eq!(clone.verify(token.expose()), Err(ErrorKind::InvalidToken));
    verifier.set_keys([key().verifying_key().clone()]);
    assert!(!has_cached(&clone, &token), "the token must be verified again");
    clone.verify(token.expose()).unwrap();
}

#[test]
fn added_keys_keep_the_cached_tokens_and_a_removed_key_drops_its_own() {
    let (verifier, token) = (verifier(), sign(&claims()));
    let other = SigningKey::generate().unwrap();
    verifier.verify(token.expose()).unwrap();
    let both = [&key(), &other].map(|key| key.verifying_key().clone());
    verifier.set_keys(both.clone());
    assert!(has_cached(&verifier, &token), "a key was added");
    verifier.set_keys(both);
    assert!(has_cached(&verifier, &token), "nothing has changed");
    verifier.set_keys([other.verifying_key().clone()]);
    assert_eq!(verifier.verify(token.expose()), Err(ErrorKind::InvalidToken));
    assert!(!has_cached(&verifier, &token));
}

#[test]
fn verifier_with_other_rules_has_a_cache_of_its_own() {
    let (verifier, token) = (verifier(), sign(&claims()));
    verifier.verify(token.expose()).unwrap();
    for other in [
        verifier.clone().issuer("other"),
        verifier.clone().audience("other"),
        verifier.clone().prefix("other_"),
    ] {
        assert_eq!(other.verify(token.expose()), Err(ErrorKind::InvalidToken));
    }
    verifier.verify(token.expose()).unwrap();
}

#[test]
fn full_cache_evicts_the_least_recently_used_tokens() {
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
    let cached = tokens.iter().filter(|token| has_cached(&verifier, token)).count();
    assert!(cached <= 32 && cached > 16, "{cached}");
    assert!(has_cached(&verifier, &tokens[0]), "the token in constant use");
    assert!(has_cached(&verifier, &tokens[199]), "the most recent token");
}

#[test]
fn capacity_0_turns_the_cache_off() {
    let verifier = verifier().signature_cache_capacity(0);
    let token = sign(&claims());
    verifier.verify(token.expose()).unwrap();
    assert!(!has_cached(&verifier, &token));
}

#[test]
fn signer_adds_new_tokens_to_the_cache_of_its_verifier() {
    let verifier = verifier();
    let signed = signer().cache_in(&verifier).sign(&claims()).unwrap();
    assert!(has_cached(&verifier, &signed));
    let cached = verifier.verify(signed.expose()).unwrap();
    let verified = test_support::verifier().verify(sign(&claims()).expose()).unwrap();
    assert_eq!(cached, verified, "the same as with a signature check");
}

#[test]
fn signer_adds_no_token_that_the_verifier_rejects() {
    let verifier = verifier();
    for other in [
        TokenSigner::new(SigningKey::generate().unwrap()),
        signer().issuer("other"),
        signer().audience("other"),
        signer().prefix("other_"),
    ] {
        let token = other.cache_in(&verifier).sign(&claims()).unwrap();
        assert!(!has_cached(&verifier, &token));
        assert_eq!(verifier.verify(token.expose()), Err(ErrorKind::InvalidToken));
    }

    let signer = signer().cache_in(&verifier);
    verifier.set_keys([]);
    let token = signer.sign(&claims()).unwrap();
    assert_eq!(verifier.verify(token.expose()), Err(ErrorKind::InvalidToken));
}
