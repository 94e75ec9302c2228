//! The key and the master password that a first run generates.

use argon2::{Argon2, PasswordHasher};
use tower_session_auth::{KeySet, SigningKey, master_auth::Credentials};

use super::{Config, ConfigErrors};

/// The parts of a configuration that were generated because they were not set.
#[derive(Clone)]
pub struct Generated {
    /// The master password, if it was generated. It is printed once and not stored.
    pub password: Option<String>,
    /// True if the signing key was generated.
    pub key: bool,
}

impl std::fmt::Debug for Generated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Generated(..)")
    }
}

impl Config {
    /// Continues with the generated parts of the configuration that this one replaces. A reload generates nothing.
    ///
    /// # Errors
    /// If a setting is missing that was set before, since it would be generated.
    pub(crate) fn continue_from(&mut self, before: &Self) -> Result<(), ConfigErrors> {
        let (new, old) = (Parts::of(&self.generated), Parts::of(&before.generated));
        let mut lost = Vec::new();
        if self.store.name() != before.store.name() {
            lost.push("redis_url: another kind of store needs a restart".to_owned());
        }
        if new.key && old.key {
            self.keys = before.keys.clone();
        } else if new.key {
            lost.push("key_file: is missing now; a reload generates no key".to_owned());
        }
        if new.password && old.password {
            self.master_password.clone_from(&before.master_password);
        } else if new.password {
            let missing =
                "master_password_hash and admin_keys_file: are missing now; a reload generates no password";
            lost.push(missing.to_owned());
        }
        self.generated.clone_from(&before.generated);
        if lost.is_empty() {
            Ok(())
        } else {
            Err(ConfigErrors(lost))
        }
    }
}

/// The parts that were generated.
struct Parts {
    key: bool,
    password: bool,
}

impl Parts {
    fn of(generated: &Option<Generated>) -> Self {
        Self {
            key: generated.as_ref().is_some_and(|generated| generated.key),
            password: generated
                .as_ref()
                .is_some_and(|generated| generated.password.is_some()),
        }
    }
}

/// The result of [`generate`].
pub(super) struct Fresh {
    pub(super) master_password: Option<Credentials>,
    pub(super) keys: Option<KeySet>,
    pub(super) generated: Generated,
}

pub(super) fn generate(password: bool, key: bool) -> Result<Fresh, String> {
    let no_randomness = "the operating system has no randomness for a key and a master password";
    let keys = key.then(SigningKey::generate).transpose();
    let keys = keys.map_err(|_| no_randomness)?.map(KeySet::single);
    let password = password.then(random_password).transpose();
    let password = password.map_err(|_| no_randomness)?;
    let master_password = password.as_deref().map(credentials).transpose()?;
    Ok(Fresh {
        master_password,
        keys,
        generated: Generated { password, key },
    })
}

fn credentials(password: &str) -> Result<Credentials, String> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    let hash = hash.map_err(|error| error.to_string())?.to_string();
    Credentials::master_password(&hash).map_err(|error| error.to_string())
}

/// 128 random bits in hex, which no shell changes.
fn random_password() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
