//! Signing tokens.

use pasetors::version4::PublicToken;

use super::{Claims, DEFAULT_ISSUER, DEFAULT_PREFIX, SessionToken, SigningKey, claims::Payload};

/// Signs tokens. Signing is deterministic: the same claims give the same token, byte for byte.
#[derive(Debug, Clone)]
pub struct TokenSigner {
    key: SigningKey,
    footer: String,
    prefix: String,
    issuer: String,
    audience: Option<String>,
}

/// Claims that cannot be written as a token (a time past the year 9999).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the claims cannot be written as a token")]
pub struct SignError;

impl TokenSigner {
    /// A signer with the default prefix and issuer and no audience.
    #[must_use]
    pub fn new(key: SigningKey) -> Self {
        Self {
            footer: serde_json::json!({ "kid": key.verifying_key().id() }).to_string(),
            key,
            prefix: DEFAULT_PREFIX.to_owned(),
            issuer: DEFAULT_ISSUER.to_owned(),
            audience: None,
        }
    }

    /// Another prefix than [`DEFAULT_PREFIX`].
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Another `iss` claim than [`DEFAULT_ISSUER`].
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = issuer.into();
        self
    }

    /// The `aud` claim; none by default.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Signs `claims`.
    ///
    /// # Errors
    /// When a time lies past the year 9999.
    pub fn sign(&self, claims: &Claims) -> Result<SessionToken, SignError> {
        let payload = Payload::new(claims, &self.issuer, self.audience.as_deref()).ok_or(SignError)?;
        let payload = serde_json::to_vec(&payload).map_err(|_| SignError)?;
        let paseto = PublicToken::sign(self.key.secret(), &payload, Some(self.footer.as_bytes()), None)
            .map_err(|_| SignError)?;
        Ok(SessionToken(self.prefix.clone() + &paseto))
    }
}
