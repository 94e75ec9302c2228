//! Keys and the master password.

use tower_session_auth::{KeySet, MasterAuthLayer, master_auth::AdminKeys};

use super::Checks;
use crate::config::{Settings, admin_keys};

pub(super) fn master_password_hash(settings: &Settings, checks: &mut Checks<'_>) -> Option<String> {
    let hash = settings.master_password_hash.clone()?;
    if let Err(error) = MasterAuthLayer::new(&hash) {
        checks.wrong("master_password_hash", error);
    }
    Some(hash)
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
