//! The request header that carries the session's token.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::token::SessionToken;

/// A header's name, and whether its value starts with the scheme `Bearer`.
#[derive(Debug, Clone)]
pub(super) struct TokenHeader {
    pub(super) name: HeaderName,
    pub(super) scheme: bool,
}

/// A token with characters that no header can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored token has characters that no HTTP header can carry")]
pub(super) struct UnusableToken;

impl Default for TokenHeader {
    fn default() -> Self {
        Self {
            name: header::AUTHORIZATION,
            scheme: true,
        }
    }
}

impl TokenHeader {
    /// Sets the header and replaces any that the request has.
    pub(super) fn insert(&self, headers: &mut HeaderMap, token: &SessionToken) -> Result<(), UnusableToken> {
        headers.insert(&self.name, self.value(token)?);
        Ok(())
    }

    pub(super) fn value(&self, token: &SessionToken) -> Result<HeaderValue, UnusableToken> {
        let token = token.expose();
        let value = if self.scheme {
            HeaderValue::try_from(format!("Bearer {token}"))
        } else {
            HeaderValue::from_str(token)
        };
        let mut value = value.map_err(|_| UnusableToken)?;
        value.set_sensitive(true);
        Ok(value)
    }
}
