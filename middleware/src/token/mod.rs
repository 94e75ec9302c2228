//! Session tokens: `wai_sess_` + PASETO v4.public.
//!
//! | part | content |
//! |---|---|
//! | prefix | `wai_sess_` by default; configurable |
//! | payload | `iss`, `sub` (session id), `agt` (agent id), `gen` (generation), `iat`, `exp` (RFC 3339), `aud` when configured |
//! | footer | `{"kid":"k4.pid.…"}`: the PASERK id of the signing key, parsed only to choose the key |
//!
//! Only the signature functions of `pasetors` are used, since its claim validation reads the real clock.

mod claims;
mod credentials;
mod footer;
mod hash;
mod key_file;
mod key_source;
mod keys;
mod published_keys;
mod signer;
#[cfg(test)]
mod tests;
mod verified;
mod verifier;

pub use claims::Claims;
pub(crate) use credentials::RejectedToken;
pub use hash::TokenHash;
pub(crate) use hash::secret_hash;
pub use key_file::{KeyFileError, KeyFileFault, KeySet, VerifyingKeys};
pub(crate) use key_source::Refreshing;
#[cfg(feature = "key-follower")]
pub(crate) use key_source::{KeyLookup, KeySource};
pub use keys::{KeyError, SigningKey, VerifyingKey};
pub use published_keys::{
    InvalidPublishedKeys, KeyStatus, PUBLISHED_KEYS_MAX_AGE, PublishedKey, PublishedKeys,
};
pub use signer::{SignError, TokenSigner};
pub use verified::VerifiedToken;
pub use verifier::TokenVerifier;

use std::fmt;

use subtle::ConstantTimeEq;

/// The default prefix of tokens.
pub const DEFAULT_PREFIX: &str = "wai_sess_";

/// The default `iss` claim of tokens.
pub const DEFAULT_ISSUER: &str = "tower-session-auth";

/// The longest header value that is examined, in bytes.
const MAX_HEADER_LEN: usize = 4096;

/// A bearer token. `Debug` redacts it.
#[derive(Clone)]
pub struct SessionToken(String);

impl SessionToken {
    /// A received token, as its owner stores it. It is not verified: see [`TokenVerifier`].
    #[must_use]
    pub fn from_bearer(bearer: impl Into<String>) -> Self {
        Self(bearer.into())
    }

    /// The bearer string. Send it only to its owner.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The hash under which the store keeps this token.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }
}

impl PartialEq for SessionToken {
    /// Compares in constant time, except for the length.
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for SessionToken {}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(..)")
    }
}
