//! Proving tokens: from a bearer string to claims that can be trusted.

use std::{collections::HashMap, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use pasetors::{
    Public,
    token::UntrustedToken,
    version4::{PublicToken, V4},
};
use serde::Deserialize;

use super::{
    Claims, DEFAULT_ISSUER, DEFAULT_PREFIX, MAX_HEADER_LEN, TokenHash, VerifyingKey, claims::Payload,
};
use crate::{clock::Timestamp, error::ErrorKind};

/// The longest footer that is decoded, in base64 characters; ours has 82.
const MAX_FOOTER_LEN: usize = 256;

/// Proves tokens with public keys alone.
///
/// In this order: prefix and length, the footer's key id among the accepted keys (before any cryptography), the signature,
/// issuer and audience. Expiry is judged apart, by [`ProvenToken::unexpired`], since it needs a clock.
#[derive(Debug, Clone)]
pub struct TokenVerifier {
    inner: Arc<Rules>,
}

#[derive(Debug, Clone)]
struct Rules {
    keys: HashMap<String, VerifyingKey>,
    prefix: String,
    issuer: String,
    audience: Option<String>,
}

/// A token whose signature, issuer and audience were checked.
#[derive(Debug, Clone, Copy)]
pub struct ProvenToken {
    claims: Claims,
    not_before: Option<Timestamp>,
    hash: TokenHash,
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
        let keys = keys.into_iter().map(|key| (key.id().to_owned(), key)).collect();
        Self {
            inner: Arc::new(Rules {
                keys,
                prefix: DEFAULT_PREFIX.to_owned(),
                issuer: DEFAULT_ISSUER.to_owned(),
                audience: None,
            }),
        }
    }

    /// Another prefix than [`DEFAULT_PREFIX`].
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.inner).prefix = prefix.into();
        self
    }

    /// Another `iss` claim than [`DEFAULT_ISSUER`].
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.inner).issuer = issuer.into();
        self
    }

    /// The `aud` claim that tokens must have. Without one, a token that has any is refused: it is meant for somebody else.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.inner).audience = Some(audience.into());
        self
    }

    /// Proves a bearer string. Every failure is [`ErrorKind::InvalidToken`].
    ///
    /// # Errors
    /// `InvalidToken`.
    pub fn verify(&self, bearer: &str) -> Result<ProvenToken, ErrorKind> {
        self.prove(bearer).ok_or(ErrorKind::InvalidToken)
    }

    fn prove(&self, bearer: &str) -> Option<ProvenToken> {
        let rules = &*self.inner;
        if bearer.len() > MAX_HEADER_LEN {
            return None;
        }
        let paseto = bearer.strip_prefix(&rules.prefix)?;
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
        let key = rules.keys.get(kid)?;

        let untrusted = UntrustedToken::<Public, V4>::try_from(paseto).ok()?;
        let trusted = PublicToken::verify(key.public(), &untrusted, Some(&footer), None).ok()?;

        let payload: Payload = serde_json::from_str(trusted.payload()).ok()?;
        if payload.iss != rules.issuer || payload.aud != rules.audience {
            return None;
        }
        Some(ProvenToken {
            claims: payload.claims()?,
            not_before: payload.not_before()?,
            hash: TokenHash::of(bearer),
        })
    }

    /// Whether a text holds what looks like one of these tokens. Used to find tokens in places where they must not be.
    pub(crate) fn is_within(&self, text: &str) -> bool {
        text.split_once(PublicToken::HEADER)
            .is_some_and(|(before, _)| before.ends_with(&self.inner.prefix))
    }
}

fn decode_footer(footer: &str) -> Option<Vec<u8>> {
    if footer.len() > MAX_FOOTER_LEN {
        return None;
    }
    URL_SAFE_NO_PAD.decode(footer).ok()
}

impl ProvenToken {
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
    pub fn unexpired(&self, now: Timestamp) -> Result<(), ErrorKind> {
        if self.not_before.is_some_and(|at| now < at) {
            return Err(ErrorKind::InvalidToken);
        }
        if now >= self.claims.expires_at {
            return Err(ErrorKind::TokenExpired);
        }
        Ok(())
    }
}
