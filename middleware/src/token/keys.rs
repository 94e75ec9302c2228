//! Ed25519 keys as PASERK strings.

use std::fmt;

use pasetors::{
    keys::{AsymmetricKeyPair, AsymmetricPublicKey, AsymmetricSecretKey, Generate},
    paserk::{FormatAsPaserk, Id},
    version4::V4,
};

/// A key that cannot be used. It never repeats the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not a `k4.secret.…` string of an Ed25519 key pair.
    #[error("not a PASERK k4.secret key")]
    NotASecretKey,
    /// Not a `k4.public.…` string.
    #[error("not a PASERK k4.public key")]
    NotAPublicKey,
    /// The operating system's random generator failed.
    #[error("no randomness to generate a key")]
    NoRandomness,
}

/// A secret key, which signs tokens. It has no form that shows it but [`to_paserk`](Self::to_paserk).
#[derive(Clone)]
pub struct SigningKey {
    secret: AsymmetricSecretKey<V4>,
    verifying: VerifyingKey,
    /// The footer of the tokens that it signs.
    footer: String,
}

/// A public key, which verifies tokens and can never mint one.
#[derive(Clone)]
pub struct VerifyingKey {
    public: AsymmetricPublicKey<V4>,
    id: String,
}

impl SigningKey {
    fn new(secret: AsymmetricSecretKey<V4>, public: AsymmetricPublicKey<V4>) -> Self {
        let verifying = VerifyingKey::new(public);
        Self {
            footer: serde_json::json!({ "kid": verifying.id() }).to_string(),
            secret,
            verifying,
        }
    }

    /// A fresh key from the operating system's random generator.
    ///
    /// # Errors
    /// `NoRandomness`.
    pub fn generate() -> Result<Self, KeyError> {
        let pair = AsymmetricKeyPair::<V4>::generate().map_err(|_| KeyError::NoRandomness)?;
        Ok(Self::new(pair.secret, pair.public))
    }

    /// Reads `k4.secret.…`.
    ///
    /// # Errors
    /// `NotASecretKey`.
    pub fn from_paserk(text: &str) -> Result<Self, KeyError> {
        let secret = AsymmetricSecretKey::<V4>::try_from(text).map_err(|_| KeyError::NotASecretKey)?;
        let public = AsymmetricPublicKey::<V4>::try_from(&secret).map_err(|_| KeyError::NotASecretKey)?;
        Ok(Self::new(secret, public))
    }

    /// Writes `k4.secret.…`, to be stored where nobody else can read it.
    #[must_use]
    pub fn to_paserk(&self) -> String {
        let mut text = String::new();
        // Writing to a `String` does not fail.
        let _ = self.secret.fmt(&mut text);
        text
    }

    /// The public half.
    #[must_use]
    pub const fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying
    }

    pub(super) fn footer(&self) -> &str {
        &self.footer
    }

    pub(super) const fn secret(&self) -> &AsymmetricSecretKey<V4> {
        &self.secret
    }
}

impl VerifyingKey {
    fn new(public: AsymmetricPublicKey<V4>) -> Self {
        let mut id = String::new();
        let _ = Id::from(&public).fmt(&mut id);
        Self { public, id }
    }

    /// Reads `k4.public.…`.
    ///
    /// # Errors
    /// `NotAPublicKey`.
    pub fn from_paserk(text: &str) -> Result<Self, KeyError> {
        AsymmetricPublicKey::<V4>::try_from(text)
            .map(Self::new)
            .map_err(|_| KeyError::NotAPublicKey)
    }

    /// Writes `k4.public.…`.
    #[must_use]
    pub fn to_paserk(&self) -> String {
        let mut text = String::new();
        let _ = self.public.fmt(&mut text);
        text
    }

    /// The key's PASERK id, `k4.pid.…`: the `kid` in a token's footer.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) const fn public(&self) -> &AsymmetricPublicKey<V4> {
        &self.public
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.verifying.id)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", self.id)
    }
}
