//! Signing tokens.

use std::sync::Arc;

use arc_swap::ArcSwap;
use pasetors::version4::PublicToken;

use super::{
    Claims, DEFAULT_ISSUER, DEFAULT_PREFIX, KeySet, SessionToken, SigningKey, TokenHash, TokenVerifier,
    VerifyingKey, claims::Payload,
};

/// Signs tokens. Signing is deterministic: the same claims produce the same token, byte for byte.
#[derive(Debug, Clone)]
pub struct TokenSigner {
    /// Replaced as a whole. Clones share them.
    keys: Arc<ArcSwap<Keys>>,
    prefix: String,
    issuer: String,
    audience: Option<String>,
    verifier: Option<TokenVerifier>,
}

#[derive(Debug, Clone)]
struct Keys {
    signing: SigningKey,
    previous: Vec<SigningKey>,
}

/// The claims cannot be written as a token: a time lies after the year 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the claims cannot be written as a token: a time lies after the year 9999")]
pub struct SignError;

impl TokenSigner {
    /// A signer with the default prefix and issuer and without an audience.
    #[must_use]
    pub fn new(key: SigningKey) -> Self {
        Self {
            keys: Arc::new(ArcSwap::from_pointee(Keys {
                signing: key,
                previous: Vec::new(),
            })),
            prefix: DEFAULT_PREFIX.to_owned(),
            issuer: DEFAULT_ISSUER.to_owned(),
            audience: None,
            verifier: None,
        }
    }

    /// Sets the prefix of tokens: [`DEFAULT_PREFIX`] by default.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the `iss` claim: [`DEFAULT_ISSUER`] by default.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = issuer.into();
        self
    }

    /// Sets the `aud` claim: none by default.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Adds keys that signed earlier tokens. They sign no new token, but they repeat a renewal whose token they signed. Without
    /// them, a renewal cannot be repeated across a change of the signing key.
    #[must_use]
    pub fn previous_keys(mut self, keys: impl IntoIterator<Item = SigningKey>) -> Self {
        let mut own = Keys::clone(&self.keys.load());
        own.previous.extend(keys);
        self.keys = Arc::new(ArcSwap::from_pointee(own));
        self
    }

    /// Signs with the keys of this set from now on, in all clones of this signer.
    pub fn set_keys(&self, keys: &KeySet) {
        self.keys.store(Arc::new(Keys {
            signing: keys.signing_key().clone(),
            previous: keys.previous_keys().to_vec(),
        }));
    }

    /// The id of the key that signs new tokens.
    #[must_use]
    pub fn signing_key_id(&self) -> String {
        self.keys.load().signing.verifying_key().id().to_owned()
    }

    /// Adds each new token to the [signature cache](TokenVerifier::signature_cache_capacity) of a verifier in the same process.
    /// The verifier then does not check the signatures of this process. A token is added only if the verifier's keys and rules
    /// accept it.
    #[must_use]
    pub fn cache_in(mut self, verifier: &TokenVerifier) -> Self {
        self.verifier = Some(verifier.clone());
        self
    }

    /// The public keys of all keys, for a verifier of the tokens.
    #[must_use]
    pub fn verifying_keys(&self) -> Vec<VerifyingKey> {
        self.keys
            .load()
            .iter()
            .map(|key| key.verifying_key().clone())
            .collect()
    }

    /// Signs `claims`.
    ///
    /// # Errors
    /// If a time lies after the year 9999.
    pub fn sign(&self, claims: &Claims) -> Result<SessionToken, SignError> {
        let keys = self.keys.load();
        let token = self.sign_with(&keys.signing, claims)?;
        if let Some(verifier) = &self.verifier {
            let key_id = keys.signing.verifying_key().id();
            verifier.cache_signed(&token, claims, key_id, self);
        }
        Ok(token)
    }

    /// Signs `claims` again: returns the token with this hash, with the key that signed it first. `None` if no configured key
    /// reproduces it.
    ///
    /// # Errors
    /// If a time lies after the year 9999.
    pub fn sign_again(&self, claims: &Claims, hash: &TokenHash) -> Result<Option<SessionToken>, SignError> {
        for key in self.keys.load().iter() {
            let token = self.sign_with(key, claims)?;
            if token.hash() == *hash {
                return Ok(Some(token));
            }
        }
        Ok(None)
    }

    /// True if a verifier with these rules accepts the tokens.
    pub(super) fn matches_rules(&self, prefix: &str, issuer: &str, audience: Option<&str>) -> bool {
        self.prefix == prefix && self.issuer == issuer && self.audience.as_deref() == audience
    }

    fn sign_with(&self, key: &SigningKey, claims: &Claims) -> Result<SessionToken, SignError> {
        let payload = Payload::new(claims, &self.issuer, self.audience.as_deref()).ok_or(SignError)?;
        let payload = serde_json::to_vec(&payload).map_err(|_| SignError)?;
        let footer = key.footer().as_bytes();
        let paseto = PublicToken::sign(key.secret(), &payload, Some(footer), None).map_err(|_| SignError)?;
        Ok(SessionToken(self.prefix.clone() + &paseto))
    }
}

impl Keys {
    fn iter(&self) -> impl Iterator<Item = &SigningKey> {
        std::iter::once(&self.signing).chain(&self.previous)
    }
}
