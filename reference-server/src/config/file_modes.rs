//! Warnings about files with secrets that others can read or write.
//!
//! They are no errors: container platforms mount secrets with mode 0444.

use std::path::Path;

use super::{Settings, origin::Origin, settings::SETTINGS};

/// Names each such file, and its mode. There are none on systems without these modes.
pub(super) fn warnings(settings: &Settings) -> Vec<String> {
    let named = [
        ("key_file", &settings.key_file),
        ("admin_keys_file", &settings.admin_keys_file),
        ("tls_key_file", &settings.tls_key_file),
        ("redis_client_key_file", &settings.redis_client_key_file),
    ];
    let named = named
        .into_iter()
        .filter_map(|(setting, path)| Some((setting, path.as_deref()?)));
    let values = SETTINGS.iter().filter(|setting| setting.secret);
    let values = values.filter_map(|setting| Some((setting.name, holder(settings, setting.name)?)));
    let mut warnings: Vec<_> = named
        .chain(values)
        .filter_map(|(setting, path)| warning(&settings.origins.name(setting), path))
        .collect();
    warnings.dedup();
    warnings
}

/// The file that holds the value of a setting, if the value is a secret.
fn holder<'a>(settings: &'a Settings, setting: &str) -> Option<&'a Path> {
    let given = settings.origins.get(setting)?;
    let is_url_without_password =
        setting == "redis_url" && !settings.redis_url.as_deref().unwrap_or_default().contains('@');
    match (&given.value_file, &given.origin) {
        (Some(file), _) => Some(file),
        (None, Origin::File { path, .. }) if !is_url_without_password => Some(path),
        _ => None,
    }
}

#[cfg(unix)]
fn warning(setting: &str, path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;

    // A file that cannot be read is an error already.
    let metadata = std::fs::metadata(path).ok()?;
    let mode = metadata.mode() & 0o777;
    let who = others(mode, metadata.uid())?;
    Some(format!(
        "{setting}: {} has mode {mode:04o}: {who} the secret in it",
        path.display()
    ))
}

#[cfg(not(unix))]
fn warning(_: &str, _: &Path) -> Option<String> {
    None
}

/// What others than the owner can do. A group may read a file of root: a server without privileges reads it in that way.
#[cfg(unix)]
const fn others(mode: u32, owner: u32) -> Option<&'static str> {
    match mode {
        _ if mode & 0o002 != 0 => Some("everyone can write"),
        _ if mode & 0o004 != 0 => Some("everyone can read"),
        _ if mode & 0o020 != 0 => Some("its group can write"),
        _ if mode & 0o040 != 0 && owner != 0 => Some("its group can read"),
        _ => None,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::others;

    #[test]
    fn only_the_owner_may_write_and_only_the_group_of_root_may_read() {
        for (mode, of_user, of_root) in [
            (0o600, None, None),
            (0o400, None, None),
            (0o640, Some("its group can read"), None),
            (0o440, Some("its group can read"), None),
            (0o620, Some("its group can write"), Some("its group can write")),
            (0o644, Some("everyone can read"), Some("everyone can read")),
            (0o444, Some("everyone can read"), Some("everyone can read")),
            (0o666, Some("everyone can write"), Some("everyone can write")),
        ] {
            assert_eq!(others(mode, 1000), of_user, "{mode:o}");
            assert_eq!(others(mode, 0), of_root, "{mode:o}");
        }
    }
}
