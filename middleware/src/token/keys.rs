//! Ed25519 keys as PASERK strings.

use std::fmt;

use pasetors::{
    keys::{AsymmetricKeyPair, AsymmetricPublicKey, AsymmetricSecretKey, Generate},
    paserk::{FormatAsPaserk, Id},
    version4::V4,
};

use crate::file_text;

/// The error of a key that cannot be parsed or generated. It never contains the key.
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
    #[error("the random generator failed: no key was generated")]
    NoRandomness,
}

/// A secret key, which signs tokens. Only [`to_paserk`](Self::to_paserk) reveals it.
#[derive(Clone)]
pub struct SigningKey {
    secret: AsymmetricSecretKey<V4>,
    verifying: VerifyingKey,
    /// Footer of all tokens that this key signs.
    footer: String,
}

/// A public key, which verifies tokens and cannot sign them.
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

    /// Generates a key with the operating system's random generator.
    ///
    /// # Errors
    /// `NoRandomness`, when the generator fails.
    pub fn generate() -> Result<Self, KeyError> {
        let pair = AsymmetricKeyPair::<V4>::generate().map_err(|_| KeyError::NoRandomness)?;
        Ok(Self::new(pair.secret, pair.public))
    }

    /// Parses `k4.secret.…`.
    ///
    /// ASCII whitespace around the key and a UTF-8 byte order mark at the start are ignored, so the content of a file can be
    /// passed as it is. [`KeySet`](super::KeySet) parses files with several keys.
    ///
    /// # Errors
    /// `NotASecretKey`.
    pub fn from_paserk(text: &str) -> Result<Self, KeyError> {
        let secret = AsymmetricSecretKey::<V4>::try_from(file_text::trim(text))
            .map_err(|_| KeyError::NotASecretKey)?;
        let public = AsymmetricPublicKey::<V4>::try_from(&secret).map_err(|_| KeyError::NotASecretKey)?;
        Ok(Self::new(secret, public))
    }

    /// Formats the key as `k4.secret.…`. Store it where only the signing service can read it.
    #[must_use]
    pub fn to_paserk(&self) -> String {
        let mut text = String::new();
        // Writing to a `String` cannot fail.
        let _ = self.secret.fmt(&mut text);
        text
    }

    /// The public half, which verifies the tokens of this key.
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

    /// Parses `k4.public.…`. It ignores the same whitespace and byte order mark as [`SigningKey::from_paserk`].
    ///
    /// # Errors
    /// `NotAPublicKey`.
    pub fn from_paserk(text: &str) -> Result<Self, KeyError> {
        AsymmetricPublicKey::<V4>::try_from(file_text::trim(text))
            .map(Self::new)
            .map_err(|_| KeyError::NotAPublicKey)
    }

    /// Formats the key as `k4.public.…`.
    #[must_use]
    pub fn to_paserk(&self) -> String {
        let mut text = String::new();
        let _ = self.public.fmt(&mut text);
        text
    }

    /// The key's PASERK id, `k4.pid.…`. A token contains it as `kid` in the footer.
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
