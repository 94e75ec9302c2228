//! The files of the deployment: settings, signing keys, admin keys.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use tokio::sync::{Mutex, MutexGuard};
use tower_session_auth::{SigningKey, master_auth::AdminSecret};

use super::{Options, RETRY_WINDOW};
use crate::{folder::Folder, free_address::free_address};

/// Longer than several health checks of the balancer.
pub(super) const SHUTDOWN_DELAY_MS: u64 = 1_500;
const RIGHTS: &str = r#"["open", "list", "revoke", "rotate", "agents", "metrics"]"#;

/// A folder with the files. It is removed on drop.
pub(super) struct Files {
    folder: Folder,
    servers: Vec<ServerFiles>,
    /// The admin key at the start.
    pub(super) first_admin: AdminSecret,
    /// Held while files are changed and while a server starts, so that a server starts with complete files.
    changing: Mutex<()>,
}

pub(super) struct ServerFiles {
    pub(super) config: PathBuf,
    pub(super) log: PathBuf,
    pub(super) address: SocketAddr,
    pub(super) metrics: SocketAddr,
    pub(super) bounded: bool,
}

impl Files {
    pub(super) fn create(options: &Options, redis_url: &str) -> Self {
        let mut files = Self {
            folder: Folder::new("soak"),
            servers: Vec::new(),
            first_admin: new_admin(),
            changing: Mutex::default(),
        };
        let key = SigningKey::generate().expect("a key").to_paserk();
        fs::write(files.keys(), key).expect("a file");
        fs::write(files.admins(), admin_table(&files.first_admin)).expect("a file");
        files.servers = (0..options.servers)
            .map(|number| files.server_files(number, options, redis_url))
            .collect();
        files
    }

    fn server_files(&self, number: usize, options: &Options, redis_url: &str) -> ServerFiles {
        let bounded = number % 2 == 1;
        let files = ServerFiles {
            config: self.folder.join(format!("server-{number}.toml")),
            log: self.folder.join(format!("server-{number}.log")),
            address: free_address(),
            metrics: free_address(),
            bounded,
        };
        let text = format!(
            "listen = '{listen}'\nmetrics_listen = '{metrics}'\nredis_url = '{redis_url}'\nkey_file = '{keys}'\n\
             admin_keys_file = '{admins}'\nsession_ttl = {ttl}\nmin_ttl = 1\nmax_ttl = {ttl}\n\
             renewal_retry_window = {RETRY_WINDOW}\nexpired_retention = 30\nfreshness = '{freshness}'\n\
             shutdown_delay_ms = {SHUTDOWN_DELAY_MS}\nstore_timeout_ms = 5000\nlog = 'warn'\n",
            listen = files.address,
            metrics = files.metrics,
            keys = self.keys().display(),
            admins = self.admins().display(),
            ttl = options.ttl,
            freshness = if bounded { "bounded" } else { "strict" },
        );
        fs::write(&files.config, text).expect("a file");
        files
    }

    pub(super) fn keys(&self) -> PathBuf {
        self.folder.join("keys.txt")
    }

    pub(super) fn admins(&self) -> PathBuf {
        self.folder.join("admins.toml")
    }

    pub(super) fn servers(&self) -> &[ServerFiles] {
        &self.servers
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(|server| server.address).collect()
    }

    /// Waits until nobody else changes files or starts a server.
    pub(super) async fn lock(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    /// Writes the admin keys. A reader finds the old file or the new one.
    pub(super) fn write_admins(&self, admins: &[&AdminSecret]) {
        let tables: String = admins.iter().map(|secret| admin_table(secret)).collect();
        replace(&self.admins(), &tables);
    }
}

/// Replaces a file as an operator does: a reader never finds half of it.
pub(super) fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).expect("a file");
    fs::rename(new, path).expect("a file");
}

pub(super) fn new_admin() -> AdminSecret {
    AdminSecret::generate().expect("a secret")
}

/// The name is unique, as the file requires.
fn admin_table(secret: &AdminSecret) -> String {
    let hash = secret.hash_hex();
    let name = &hash[..16];
    format!("[[admin_key]]\nname = \"{name}\"\nhash = \"{hash}\"\nrights = {RIGHTS}\n")
}
