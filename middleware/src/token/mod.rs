//! Session tokens: `wai_sess_` + PASETO v4.public.
//!
//! | part | content |
//! |---|---|
//! | prefix | `wai_sess_` by default; configurable |
//! | payload | `iss`, `sub` (session id), `agt` (agent id), `gen` (generation), `iat`, `exp` (RFC 3339), `aud` when configured |
//! | footer | `{"kid":"k4.pid.…"}`: the PASERK id of the signing key, parsed only to choose the key |
//!
//! Only the low-level signature functions of `pasetors` are used: its claim validation reads the real clock.

mod claims;
mod hash;
mod key_file;
mod keys;
mod mint;
mod proven;
#[cfg(test)]
mod tests;
mod verify;

pub use claims::Claims;
pub use hash::TokenHash;
pub(crate) use hash::secret_hash;
pub use key_file::{KeyFileError, KeyFileFault, KeySet, VerifyingKeys};
pub use keys::{KeyError, SigningKey, VerifyingKey};
pub use mint::{SignError, TokenSigner};
pub use verify::{VerifiedToken, TokenVerifier};

use std::fmt;

use subtle::ConstantTimeEq;

/// The prefix of tokens unless another is configured.
pub const DEFAULT_PREFIX: &str = "wai_sess_";

/// The `iss` claim of tokens unless another is configured.
pub const DEFAULT_ISSUER: &str = "tower-session-auth";

/// The longest `Authorization` header value that is looked at, in bytes.
pub(crate) const MAX_HEADER_LEN: usize = 4096;

/// A bearer token. It neither prints nor logs itself.
#[derive(Clone)]
pub struct SessionToken(String);

impl SessionToken {
    /// A token that was received, as its owner keeps it. Whether it is one is for a [`TokenVerifier`] to say.
    #[must_use]
    pub fn from_bearer(bearer: impl Into<String>) -> Self {
        Self(bearer.into())
    }

    /// The bearer string, to be handed to its owner and to nobody else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The hash under which the store knows this token.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }
}

impl PartialEq for SessionToken {
    /// In constant time, but for the length.
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
