use std::{fmt, sync::Arc};

use super::{
    AdminKeys,
    password::{InvalidPasswordHash, MasterPassword},
};
use crate::error::AdminSchemes;

/// The credentials of administrators: a master password, admin keys, or both.
///
/// ```
/// use tower_session_auth::{
///     MasterAuthLayer,
///     master_auth::{AdminKeyEntry, AdminKeys, AdminSecret, Credentials},
/// };
///
/// let secret = AdminSecret::generate()?;
/// let keys = AdminKeys::from_entries([AdminKeyEntry::new("deploy", secret.hash_hex(), ["open"])])?;
/// let layer = MasterAuthLayer::from_credentials(Credentials::keys(keys));
///
/// // Later: the key is removed, and its next request is rejected.
/// layer.replace_credentials(Credentials::default());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The default has no credential: it rejects every request.
#[derive(Clone, Default)]
pub struct Credentials {
    pub(super) password: Option<Arc<MasterPassword>>,
    pub(super) keys: AdminKeys,
}

impl Credentials {
    /// A master password, as an Argon2id PHC string. ASCII whitespace around it and a byte order mark are ignored.
    ///
    /// # Errors
    /// When the text is not a complete Argon2id PHC string.
    pub fn master_password(phc: &str) -> Result<Self, InvalidPasswordHash> {
        Ok(Self {
            password: Some(Arc::new(MasterPassword::new(phc)?)),
            keys: AdminKeys::none(),
        })
    }

    /// Admin keys without a master password.
    #[must_use]
    pub const fn keys(keys: AdminKeys) -> Self {
        Self { password: None, keys }
    }

    /// Replaces the admin keys.
    #[must_use]
    pub fn with_keys(mut self, keys: AdminKeys) -> Self {
        self.keys = keys;
        self
    }

    /// Takes the verifier of `before` if it has the same hash, so that the verified password stays cached.
    pub(super) fn keep_password_of(mut self, before: &Self) -> Self {
        if let (Some(new), Some(old)) = (&self.password, &before.password)
            && new.is_same(old)
        {
            self.password = Some(old.clone());
        }
        self
    }

    /// True if both verify the master password by the same verifier.
    pub(super) fn has_password_of(&self, other: &Self) -> bool {
        match (&self.password, &other.password) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        }
    }

    pub(super) fn schemes(&self, basic: bool) -> AdminSchemes {
        AdminSchemes {
            // Without any credential, the challenge must still name a scheme (RFC 9110, section 15.5.2).
            master_password: self.password.is_some() || self.keys.is_empty(),
            bearer: !self.keys.is_empty(),
            basic: basic && !self.keys.is_empty(),
            key_was_sent: false,
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("master_password", &self.password.is_some())
            .field("keys", &self.keys)
            .finish()
    }
}
