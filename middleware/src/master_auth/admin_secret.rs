use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

/// The prefix of the secrets of admin keys.
pub const ADMIN_KEY_PREFIX: &str = "wai_admin_";

/// The secret of an admin key: `wai_admin_` and 256 random bits in base64url (RFC 4648, section 5, without padding).
///
/// Send it to its owner and keep only the [hash](Self::hash_hex). `Debug` redacts it.
///
/// ```
/// use tower_session_auth::master_auth::AdminSecret;
///
/// let secret = AdminSecret::generate()?;
/// assert!(secret.expose().starts_with("wai_admin_"));
/// assert_eq!(secret.hash_hex().len(), 64);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct AdminSecret(String);

impl AdminSecret {
    /// Generates a secret.
    ///
    /// # Errors
    /// If the operating system has no randomness.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut random = [0; 32];
        getrandom::fill(&mut random)?;
        Ok(Self(format!(
            "{ADMIN_KEY_PREFIX}{}",
            URL_SAFE_NO_PAD.encode(random)
        )))
    }

    /// The bearer string.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The SHA-256 of the whole bearer string in lower-case hex, for [`AdminKeyEntry`](super::AdminKeyEntry).
    #[must_use]
    pub fn hash_hex(&self) -> String {
        let hash: [u8; 32] = Sha256::digest(&self.0).into();
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for AdminSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminSecret(..)")
    }
}
