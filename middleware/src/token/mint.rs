//! Signing tokens.

use pasetors::version4::PublicToken;

use super::{
    Claims, DEFAULT_ISSUER, DEFAULT_PREFIX, SessionToken, SigningKey, TokenHash, TokenVerifier, VerifyingKey,
    claims::Payload,
};

/// Signs tokens. Signing is deterministic: the same claims give the same token, byte for byte.
#[derive(Debug, Clone)]
pub struct TokenSigner {
    key: SigningKey,
    retired: Vec<SigningKey>,
    prefix: String,
    issuer: String,
    audience: Option<String>,
    cache_in: Option<TokenVerifier>,
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
            key,
            retired: Vec::new(),
            prefix: DEFAULT_PREFIX.to_owned(),
            issuer: DEFAULT_ISSUER.to_owned(),
            audience: None,
            cache_in: None,
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

    /// Keys that sign nothing new, but can still repeat a token that they signed: without them, a renewal cannot be repeated
    /// across a rotation of the signing key.
    #[must_use]
    pub fn retired(mut self, keys: impl IntoIterator<Item = SigningKey>) -> Self {
        self.retired.extend(keys);
        self
    }

    /// Tells a verifier of this process of every new token, so that it need not check a signature that was made beside it. It
    /// remembers those that its own keys and rules accept, among its [proven tokens](TokenVerifier::signature_cache_capacity).
    #[must_use]
    pub fn cache_in(mut self, verifier: &TokenVerifier) -> Self {
        self.cache_in = Some(verifier.clone());
        self
    }

    /// The public keys of all its keys, for a verifier of its tokens.
    pub fn verifying_keys(&self) -> impl Iterator<Item = VerifyingKey> + '_ {
        self.keys().map(|key| key.verifying_key().clone())
    }

    /// Signs `claims`.
    ///
    /// # Errors
    /// When a time lies past the year 9999.
    pub fn sign(&self, claims: &Claims) -> Result<SessionToken, SignError> {
        let token = self.sign_with(&self.key, claims)?;
        if let Some(verifier) = &self.cache_in {
            verifier.take_in(&token, claims, self);
        }
        Ok(token)
    }

    /// Whether a verifier with these rules would accept what it signs.
    pub(super) fn agrees_with(&self, prefix: &str, issuer: &str, audience: Option<&str>) -> bool {
        self.prefix == prefix && self.issuer == issuer && self.audience.as_deref() == audience
    }

    /// The id of the key of new tokens.
    pub(super) fn key_id(&self) -> &str {
        self.key.verifying_key().id()
    }

    /// Signs `claims` once more: the token with this hash, whichever of the keys it was signed with. `None` when none of them
    /// gives it.
    ///
    /// # Errors
    /// When a time lies past the year 9999.
    pub fn sign_again(&self, claims: &Claims, hash: &TokenHash) -> Result<Option<SessionToken>, SignError> {
        for key in self.keys() {
            let token = self.sign_with(key, claims)?;
            if token.hash() == *hash {
                return Ok(Some(token));
            }
        }
        Ok(None)
    }

    fn keys(&self) -> impl Iterator<Item = &SigningKey> {
        std::iter::once(&self.key).chain(&self.retired)
    }

    fn sign_with(&self, key: &SigningKey, claims: &Claims) -> Result<SessionToken, SignError> {
        let payload = Payload::new(claims, &self.issuer, self.audience.as_deref()).ok_or(SignError)?;
        let payload = serde_json::to_vec(&payload).map_err(|_| SignError)?;
        let footer = key.footer().as_bytes();
        let paseto = PublicToken::sign(key.secret(), &payload, Some(footer), None).map_err(|_| SignError)?;
        Ok(SessionToken(self.prefix.clone() + &paseto))
    }
}
