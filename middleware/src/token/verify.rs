//! Proving tokens: from a bearer string to claims that can be trusted.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use pasetors::{
    Public,
    token::UntrustedToken,
    version4::{PublicToken, V4},
};
use serde::Deserialize;

use super::{
    Claims, DEFAULT_ISSUER, DEFAULT_PREFIX, MAX_HEADER_LEN, SessionToken, TokenHash, TokenSigner,
    VerifyingKey, claims::Payload, proven::VerifiedTokenCache,
};
use crate::{clock::Timestamp, error::ErrorKind};

/// The longest footer that is decoded, in base64 characters; ours has 82.
const MAX_FOOTER_LEN: usize = 256;

/// How many proven tokens are remembered, unless another number is configured.
const PROVEN_TOKENS: usize = 65_536;

/// Proves tokens with public keys alone.
///
/// In this order: prefix and length, the footer's key id among the accepted keys (before any cryptography), the signature,
/// issuer and audience. Expiry is judged apart, by [`VerifiedToken::check_expiry`], since it needs a clock.
///
/// What was proven is remembered by its hash, so that a signature is checked once per token: see
/// [`signature_cache_capacity`](Self::signature_cache_capacity). Clones share this memory, and their keys. What [`prefix`](Self::prefix) and the other methods
/// that take the verifier give back is another one, with a memory and keys of its own: call them before it is cloned, or made
/// [known to](TokenSigner::cache_in) a signer.
#[derive(Debug, Clone)]
pub struct TokenVerifier {
    /// Replaced as a whole: what was proven by the keys of before goes with them.
    rules: Arc<ArcSwap<Rules>>,
}

#[derive(Debug, Clone)]
struct Rules {
    keys: HashMap<String, VerifyingKey>,
    prefix: String,
    issuer: String,
    audience: Option<String>,
    proven: VerifiedTokenCache,
}

/// A token whose signature, issuer and audience were checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedToken {
    pub(super) claims: Claims,
    pub(super) not_before: Option<Timestamp>,
    pub(super) hash: TokenHash,
}

#[derive(Deserialize)]
struct Footer<'a> {
    #[serde(borrow)]
    kid: &'a str,
}

impl TokenVerifier {
    /// A verifier that accepts tokens of these keys, with the default prefix and issuer and no audience.
    /// Several keys at once make a rotation without a cut.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = VerifyingKey>) -> Self {
        Self::with(Rules {
            keys: by_id(keys),
            prefix: DEFAULT_PREFIX.to_owned(),
            issuer: DEFAULT_ISSUER.to_owned(),
            audience: None,
            proven: VerifiedTokenCache::new(PROVEN_TOKENS),
        })
    }

    fn with(rules: Rules) -> Self {
        Self {
            rules: Arc::new(ArcSwap::from_pointee(rules)),
        }
    }

    /// Another verifier, with rules of its own.
    fn changed(&self, change: impl FnOnce(&mut Rules)) -> Self {
        let mut rules = Rules::clone(&self.rules.load());
        change(&mut rules);
        Self::with(rules)
    }

    /// Another prefix than [`DEFAULT_PREFIX`].
    #[must_use]
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        self.changed(|rules| rules.prefix = prefix.into())
    }

    /// Another `iss` claim than [`DEFAULT_ISSUER`].
    #[must_use]
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        self.changed(|rules| rules.issuer = issuer.into())
    }

    /// The `aud` claim that tokens must have. Without one, a token that has any is refused: it is meant for somebody else.
    #[must_use]
    pub fn audience(self, audience: impl Into<String>) -> Self {
        self.changed(|rules| rules.audience = Some(audience.into()))
    }

    /// Remembers so many proven tokens, of a sample the least recently used one gone; 65,536 by default, of some 150 bytes each. 0 checks
    /// each signature each time.
    #[must_use]
    pub fn signature_cache_capacity(self, most: usize) -> Self {
        self.changed(|rules| rules.proven = VerifiedTokenCache::new(most))
    }

    /// Accepts these keys from now on, and no others, in all clones of this verifier too. What was proven by the keys of before
    /// has to prove itself again.
    pub fn set_keys(&self, keys: impl IntoIterator<Item = VerifyingKey>) {
        let keys = by_id(keys);
        self.rules.rcu(|rules| Rules {
            keys: keys.clone(),
            ..Rules::clone(rules)
        });
    }

    /// Proves a bearer string. Every failure is [`ErrorKind::InvalidToken`].
    ///
    /// # Errors
    /// `InvalidToken`.
    pub fn verify(&self, bearer: &str) -> Result<VerifiedToken, ErrorKind> {
        self.prove(bearer.as_bytes()).ok_or(ErrorKind::InvalidToken)
    }

    pub(crate) fn prove(&self, bearer: &[u8]) -> Option<VerifiedToken> {
        let rules = self.rules.load();
        if bearer.len() > MAX_HEADER_LEN {
            return None;
        }
        let paseto = bearer.strip_prefix(rules.prefix.as_bytes())?;
        let hash = TokenHash::of_bytes(bearer);
        if let Some(token) = rules.proven.get(&hash) {
            return Some(token);
        }
        let token = rules.prove(std::str::from_utf8(paseto).ok()?, hash)?;
        // Into the memory of the rules that proved it: those that replaced them meanwhile have their own.
        rules.proven.insert(&token);
        Some(token)
    }

    /// Remembers a token that was just signed, if it would prove it.
    pub(super) fn take_in(&self, token: &SessionToken, claims: &Claims, signer: &TokenSigner) {
        let rules = self.rules.load();
        if rules.keys.contains_key(signer.key_id())
            && signer.agrees_with(&rules.prefix, &rules.issuer, rules.audience.as_deref())
        {
            rules.proven.insert(&VerifiedToken {
                claims: *claims,
                not_before: None,
                hash: token.hash(),
            });
        }
    }

    #[cfg(test)]
    pub(super) fn remembers(&self, hash: &TokenHash) -> bool {
        self.rules.load().proven.get(hash).is_some()
    }

    /// Whether a text holds what looks like one of these tokens. Used to find tokens in places where they must not be.
    pub(crate) fn contains_token(&self, text: &str) -> bool {
        text.split_once(PublicToken::HEADER)
            .is_some_and(|(before, _)| before.ends_with(&self.rules.load().prefix))
    }
}

fn by_id(keys: impl IntoIterator<Item = VerifyingKey>) -> HashMap<String, VerifyingKey> {
    keys.into_iter().map(|key| (key.id().to_owned(), key)).collect()
}

impl Rules {
    fn prove(&self, paseto: &str, hash: TokenHash) -> Option<VerifiedToken> {
        let mut parts = paseto.split('.');
        let (Some("v4"), Some("public"), Some(_), Some(footer), None) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return None;
        };
        let footer = decode_footer(footer)?;
        let kid = serde_json::from_slice::<Footer<'_>>(&footer).ok()?.kid;
        let key = self.keys.get(kid)?;

        let untrusted = UntrustedToken::<Public, V4>::try_from(paseto).ok()?;
        let trusted = PublicToken::verify(key.public(), &untrusted, Some(&footer), None).ok()?;

        let payload: Payload = serde_json::from_str(trusted.payload()).ok()?;
        if payload.iss != self.issuer || payload.aud != self.audience {
            return None;
        }
        Some(VerifiedToken {
            claims: payload.claims()?,
            not_before: payload.not_before()?,
            hash,
        })
    }
}

fn decode_footer(footer: &str) -> Option<Vec<u8>> {
    if footer.len() > MAX_FOOTER_LEN {
        return None;
    }
    URL_SAFE_NO_PAD.decode(footer).ok()
}

impl VerifiedToken {
    /// What the token says.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The hash under which the store knows it.
    #[must_use]
    pub const fn hash(&self) -> &TokenHash {
        &self.hash
    }

    /// `TokenExpired` from the second `exp` on; `InvalidToken` before `nbf`.
    ///
    /// # Errors
    /// `TokenExpired`, `InvalidToken`.
    pub fn check_expiry(&self, now: Timestamp) -> Result<(), ErrorKind> {
        if self.not_before.is_some_and(|at| now < at) {
            return Err(ErrorKind::InvalidToken);
        }
        if now >= self.claims.expires_at {
            return Err(ErrorKind::TokenExpired);
        }
        Ok(())
    }
}
