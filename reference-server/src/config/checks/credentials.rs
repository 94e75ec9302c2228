//! Keys and the master password.

use tower_session_auth::{
    KeySet,
    master_auth::{AdminKeys, Credentials},
};

use super::Checks;
use crate::config::{Settings, admin_keys};

/// With a wrong hash, the result has no credential: the hash is then not reported as missing too.
pub(super) fn master_password(settings: &Settings, checks: &mut Checks<'_>) -> Option<Credentials> {
    let hash = settings.master_password_hash.as_deref()?;
    let password = Credentials::master_password(hash);
    let password = password.map_err(|error| checks.wrong("master_password_hash", error));
    Some(password.unwrap_or_default())
}

pub(super) fn keys(settings: &Settings, checks: &mut Checks<'_>) -> Option<KeySet> {
    let path = settings.key_file.as_deref()?;
    KeySet::from_file(path)
        .map_err(|error| checks.wrong("key_file", error))
        .ok()
}

pub(super) fn admin_keys(settings: &Settings, checks: &mut Checks<'_>) -> AdminKeys {
    let Some(path) = &settings.admin_keys_file else {
        return AdminKeys::none();
    };
    admin_keys::read(path).unwrap_or_else(|issues| {
        for issue in issues {
            checks.wrong("admin_keys_file", issue);
        }
        AdminKeys::none()
    })
}
