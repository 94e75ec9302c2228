//! What lets a renewal be repeated: the key that its client chose, and the hash that is kept of it.

use std::{fmt, str::FromStr};

use http::HeaderMap;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{
    error::AuthError,
    token::{TokenHash, secret_hash},
};

/// The name of the header that carries an [`IdempotencyKey`].
pub const IDEMPOTENCY_KEY: http::HeaderName = http::HeaderName::from_static("idempotency-key");

/// A text that is not 8 to 255 visible ASCII characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 8 to 255 visible ASCII characters")]
pub struct InvalidIdempotencyKey;

/// Names a renewal, so that it can be repeated when its answer was lost (the header `Idempotency-Key`,
/// draft-ietf-httpapi-idempotency-key-header). Whoever has it and the token can repeat the renewal: it should be random,
/// and it does not print itself.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// A fresh key of 128 random bits.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)?;
        Ok(Self(uuid::Uuid::from_bytes(random).simple().to_string()))
    }

    /// The key of a request, if it has one.
    ///
    /// # Errors
    /// `ValidationFailed` when it is not a key, or there are several.
    pub fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, AuthError> {
        let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(AuthError::invalid("Idempotency-Key", "must not be repeated"));
        }
        let key = value.to_str().map_err(|_| InvalidIdempotencyKey);
        key.and_then(str::parse)
            .map(Some)
            .map_err(|error| AuthError::invalid("Idempotency-Key", error.to_string()))
    }

    /// The key, to be sent.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdempotencyKey {
    type Err = InvalidIdempotencyKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for IdempotencyKey {
    type Error = InvalidIdempotencyKey;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let good = (8..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if good {
            Ok(Self(text))
        } else {
            Err(InvalidIdempotencyKey)
        }
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotencyKey(..)")
    }
}

secret_hash! {
    /// SHA-256 over the hashes of the replaced token and of the one that replaced it, and the idempotency key of that renewal: all
    /// that is kept of the key.
    RetryHash
}

impl RetryHash {
    /// The hash of a renewal under `key` that put the token `new` in the place of `old`.
    #[must_use]
    pub fn of(old: &TokenHash, new: &TokenHash, key: &IdempotencyKey) -> Self {
        let digest = Sha256::new()
            .chain_update(old.as_bytes())
            .chain_update(new.as_bytes())
            .chain_update(&key.0);
        Self(digest.finalize().into())
    }
}
