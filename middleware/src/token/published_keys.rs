//! The public keys that a session server publishes: the body of `GET /v1/keys`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{TokenVerifier, VerifyingKey};

/// How long a copy of the published keys may be used: the `max-age` of `GET /v1/keys`.
///
/// A new key must be published for longer than this before it signs. `session-auth-server keys rotate` waits twice as long.
pub const PUBLISHED_KEYS_MAX_AGE: Duration = Duration::from_secs(300);

/// The maximum number of published keys. A server has two during a rotation.
const MAX_KEYS: usize = 64;

/// The public keys whose tokens a session server accepts.
///
/// ```
/// use tower_session_auth::{SigningKey, TokenVerifier, token::{KeyStatus, PublishedKeys}};
///
/// let (signing, previous) = (SigningKey::generate()?, SigningKey::generate()?);
/// let verifier = TokenVerifier::new([&signing, &previous].map(|key| key.verifying_key().clone()));
/// let published = PublishedKeys::new(&verifier, signing.verifying_key().id());
/// assert_eq!(published.keys[0].kid, signing.verifying_key().id());
/// assert_eq!(published.keys[0].status, KeyStatus::Signing);
/// assert_eq!(published.keys[1].status, KeyStatus::Accepted);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PublishedKeys {
    /// The keys: the signing key first, then the others ordered by id.
    pub keys: Vec<PublishedKey>,
}

/// One published key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PublishedKey {
    /// The key's PASERK id, `k4.pid.…`.
    pub kid: String,
    /// The public key, `k4.public.…`.
    pub paserk: String,
    /// The use of the key by the server.
    pub status: KeyStatus,
}

/// The use of a key by the server that publishes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum KeyStatus {
    /// The server signs new tokens with it.
    Signing,
    /// The server accepts its tokens, and signs no new ones with it.
    Accepted,
    /// A status of a later version of the server.
    #[serde(other)]
    Unknown,
}

/// The reason why published keys cannot be used. It contains no text of the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPublishedKeys {
    /// Not JSON of this form.
    #[error("the response is not a list of keys")]
    NotKeys,
    /// There is no PASERK v4 key.
    #[error("the response has no key (k4.public.…)")]
    NoKey,
    /// More than 64 keys.
    #[error("the response has more than 64 keys")]
    TooMany,
    /// A key cannot be parsed, or its `kid` is that of another key. Keys are counted from 0.
    #[error("key {index} is not a public key with its id")]
    InvalidKey {
        /// The position of the key.
        index: usize,
    },
    /// A key is a secret key.
    #[error("key {index} is a secret key: the server publishes its secrets")]
    SecretKey {
        /// The position of the key.
        index: usize,
    },
}

impl PublishedKeys {
    /// The keys that a verifier accepts. `signing` is the id of the key that signs.
    #[must_use]
    pub fn new(verifier: &TokenVerifier, signing: &str) -> Self {
        let mut keys: Vec<_> = verifier
            .verifying_keys()
            .iter()
            .map(PublishedKey::accepted)
            .collect();
        if let Some(at) = keys.iter().position(|key| key.kid == signing) {
            keys[..=at].rotate_right(1);
            keys[0].status = KeyStatus::Signing;
        }
        Self { keys }
    }

    /// Parses the body of a response. Keys of other PASERK versions are skipped.
    ///
    /// # Errors
    /// See [`InvalidPublishedKeys`]. One invalid key rejects all: a part of the keys would reject the tokens of the others.
    pub fn parse(body: &[u8]) -> Result<Vec<VerifyingKey>, InvalidPublishedKeys> {
        let Self { keys } = serde_json::from_slice(body).map_err(|_| InvalidPublishedKeys::NotKeys)?;
        if keys.len() > MAX_KEYS {
            return Err(InvalidPublishedKeys::TooMany);
        }
        let mut parsed = Vec::new();
        for (index, key) in keys.iter().enumerate() {
            if key.paserk.contains(".secret.") {
                return Err(InvalidPublishedKeys::SecretKey { index });
            }
            if !key.paserk.starts_with("k4.") {
                continue;
            }
            match VerifyingKey::from_paserk(&key.paserk) {
                Ok(verifying) if verifying.id() == key.kid => parsed.push(verifying),
                _ => return Err(InvalidPublishedKeys::InvalidKey { index }),
            }
        }
        if parsed.is_empty() {
            return Err(InvalidPublishedKeys::NoKey);
        }
        Ok(parsed)
    }
}

impl PublishedKey {
    fn accepted(key: &VerifyingKey) -> Self {
        Self {
            kid: key.id().to_owned(),
            paserk: key.to_paserk(),
            status: KeyStatus::Accepted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        SigningKey,
        test_support::{KID, PUBLIC, SECRET, key},
    };

    fn body(keys: &[(&str, &str)]) -> Vec<u8> {
        let keys = keys
            .iter()
            .map(|(kid, paserk)| serde_json::json!({ "kid": kid, "paserk": paserk, "status": "later" }));
        serde_json::to_vec(&serde_json::json!({ "keys": keys.collect::<Vec<_>>(), "more": 1 })).unwrap()
    }

    #[test]
    fn published_keys_are_parsed_back_without_any_secret() {
        let other = SigningKey::generate().unwrap();
        let verifier = TokenVerifier::new([other.verifying_key().clone(), key().verifying_key().clone()]);
        let published = PublishedKeys::new(&verifier, KID);
        assert_eq!(published.keys[0].paserk, PUBLIC);
        let statuses = published.keys.iter().map(|key| key.status).collect::<Vec<_>>();
        assert_eq!(statuses, [KeyStatus::Signing, KeyStatus::Accepted]);
        let json = serde_json::to_string(&published).unwrap();
        assert!(!json.contains("secret"), "{json}");
        let parsed = PublishedKeys::parse(json.as_bytes()).unwrap();
        let ids: Vec<_> = parsed.iter().map(VerifyingKey::id).collect();
        assert_eq!(ids, [KID, other.verifying_key().id()]);
    }

    #[test]
    fn unknown_members_statuses_and_versions_are_ignored() {
        let parsed = PublishedKeys::parse(&body(&[("k5.pid.x", "k5.public.x"), (KID, PUBLIC)])).unwrap();
        assert_eq!(parsed.len(), 1);
    }

    #[test]
    fn one_invalid_key_rejects_all() {
        use InvalidPublishedKeys::{InvalidKey, NoKey, NotKeys, SecretKey, TooMany};
        let other = SigningKey::generate().unwrap();
        for (body, error) in [
            (b"<html>".to_vec(), NotKeys),
            (b"{}".to_vec(), NotKeys),
            (b"{\"keys\":{}}".to_vec(), NotKeys),
            (body(&[]), NoKey),
            (body(&[("k5.pid.x", "k5.public.x")]), NoKey),
            (
                body(&[(KID, PUBLIC), ("", "k4.public.x")]),
                InvalidKey { index: 1 },
            ),
            (
                body(&[(other.verifying_key().id(), PUBLIC)]),
                InvalidKey { index: 0 },
            ),
            (body(&[(KID, SECRET)]), SecretKey { index: 0 }),
            (body(&[(KID, PUBLIC); 65]), TooMany),
        ] {
            assert_eq!(PublishedKeys::parse(&body).unwrap_err(), error);
        }
    }
}
