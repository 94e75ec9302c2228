//! Files of named admin keys, and their secrets.

use std::path::PathBuf;

use session_auth_server::config::Settings;
use tower_session_auth::master_auth::AdminSecret;

use crate::folder::Folder;

/// A key file, removed on drop.
pub struct KeyFile {
    path: PathBuf,
    _folder: Folder,
}

impl KeyFile {
    /// Writes a file with one key for each pair of a name and the other fields. Returns the secrets too.
    /// # Panics
    /// If the file cannot be written.
    pub fn new<const N: usize>(keys: [(&str, String); N]) -> (Self, [String; N]) {
        let secrets = keys
            .each_ref()
            .map(|_| AdminSecret::generate().expect("a secret"));
        let tables = keys.iter().zip(&secrets).map(|((name, fields), secret)| {
            let hash = secret.hash_hex();
            format!("[[admin_key]]\nname = '{name}'\nhash = '{hash}'\n{fields}\n")
        });
        let folder = Folder::new("admin-keys");
        let path = folder.write("keys", &tables.collect::<String>());
        let file = Self {
            path: path.into(),
            _folder: folder,
        };
        (file, secrets.map(|secret| secret.expose().to_owned()))
    }

    /// Names the file in the settings of a server.
    pub fn set(&self, settings: &mut Settings) {
        settings.admin_keys_file = Some(self.path.clone());
    }
}

/// The field of a key with these rights.
pub fn rights(rights: &[&str]) -> String {
    format!("rights = {rights:?}")
}

/// An `Authorization` header of HTTP Basic.
pub fn basic(name: &str, secret: &str) -> String {
    format!("Basic {}", base64(&format!("{name}:{secret}")))
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let encode = |chunk: &[u8]| {
        let bits = chunk
            .iter()
            .fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte))
            << (8 * (3 - chunk.len()));
        (0..4)
            .map(|digit| match digit {
                _ if digit > chunk.len() => '=',
                _ => char::from(DIGITS[bits >> (18 - 6 * digit) & 63]),
            })
            .collect::<String>()
    };
    text.as_bytes().chunks(3).map(encode).collect()
}
