//! Idempotency keys: they make it safe to repeat a renewal or a creation.

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

/// The text is not 8 to 255 visible ASCII characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 8 to 255 visible ASCII characters")]
pub struct InvalidIdempotencyKey;

/// The idempotency key of a renewal or a creation (header `Idempotency-Key`, draft-ietf-httpapi-idempotency-key-header).
///
/// A renewal whose response was lost can be repeated with the same key and token. Both together are a secret: use a random key.
/// A creation can be repeated with the same key and request: see [`CreationKey`](super::CreationKey). `Debug` redacts it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Generates a key of 128 random bits.
    ///
    /// # Errors
    /// If the operating system has no randomness.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)?;
        Ok(Self(uuid::Uuid::from_bytes(random).simple().to_string()))
    }

    /// Returns the key in the headers of a request, if it has one.
    ///
    /// # Errors
    /// `ValidationFailed` if the value is not a key, or there are several.
    pub fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, AuthError> {
        let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(AuthError::invalid_field(
                "Idempotency-Key",
                "must not be repeated",
            ));
        }
        let key = value.to_str().map_err(|_| InvalidIdempotencyKey);
        key.and_then(str::parse)
            .map(Some)
            .map_err(|error| AuthError::invalid_field("Idempotency-Key", error.to_string()))
    }

    /// The key, to send it.
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
        let is_valid = (8..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_valid {
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
    /// Proves that a request repeats a renewal: SHA-256 over the hash of the replaced token, the hash of the new token, and the
    /// idempotency key. A store keeps this hash and never the key.
    RetryHash
}

impl RetryHash {
    /// The hash of a renewal with `key` that replaced the token `old` with `new`.
    #[must_use]
    pub fn of(old: &TokenHash, new: &TokenHash, key: &IdempotencyKey) -> Self {
        let digest = Sha256::new()
            .chain_update(old.as_bytes())
            .chain_update(new.as_bytes())
            .chain_update(&key.0);
        Self(digest.finalize().into())
    }
}
