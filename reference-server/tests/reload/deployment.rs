//! A running server whose configuration is in files.

use std::time::{Duration, Instant};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use session_auth_tests::{
    api::Api,
    free_address::free_address,
    server::{PASSWORD, cheap_hash},
};
use tower_session_auth::SigningKey;

use crate::support::{Folder, RunningServer, command, wait_until_ready};

const APPLIED: &str = "configuration reloaded";
const REJECTED: &str = "configuration not reloaded: nothing was changed";

/// A server whose keys, password hash and configuration are in files. Its log lines are JSON.
pub(crate) struct Deployment {
    pub(crate) folder: Folder,
    pub(crate) server: RunningServer,
    pub(crate) api: Api,
    pub(crate) agent: String,
    config: String,
    keys: Vec<SigningKey>,
}

impl Deployment {
    pub(crate) async fn start(name: &str) -> Self {
        Self::start_with(name, |_| String::new()).await
    }

    /// Starts a server with further lines of configuration. The function can write files for them.
    pub(crate) async fn start_with(name: &str, more: impl FnOnce(&Folder) -> String) -> Self {
        let folder = Folder::new(name);
        let listen = free_address();
        let key = SigningKey::generate().expect("a key");
        let keys = folder.write("keys", &key.to_paserk());
        let hash = folder.write("hash", &cheap_hash());
        let config = format!(
            "listen = '{listen}'\nkey_file = '{keys}'\nmaster_password_hash_file = '{hash}'\n\
             max_sessions_per_agent = 1000\nlog_format = 'json'\n"
        );
        let path = folder.write("config.toml", &(config.clone() + &more(&folder)));
        let server = RunningServer::start(&mut command(&["--config", &path]));
        let api = Api::new(listen, PASSWORD);
        wait_until_ready(&api).await;
        let agent = api.agent().await;
        Self {
            folder,
            server,
            api,
            agent,
            config,
            keys: vec![key],
        }
    }

    /// Replaces the further lines of the configuration.
    pub(crate) fn configure(&self, more: &str) {
        let config = format!("{}{more}", self.config);
        self.folder.write("config.toml", &config);
    }

    /// Reloads the configuration, which has no mistake.
    pub(crate) fn reload(&self) {
        reload(&self.server);
    }

    /// Tries to reload a configuration with a mistake.
    pub(crate) fn reload_mistake(&self) {
        hang_up(&self.server, REJECTED);
    }

    /// The lines of the log that have this message.
    pub(crate) fn lines(&self, message: &str) -> Vec<Value> {
        let log = self.server.log();
        let lines = log.lines().map(|line| serde_json::from_str(line).expect("JSON"));
        lines.filter(|line: &Value| line["message"] == message).collect()
    }

    /// Adds a key, which signs from the next reload on.
    pub(crate) fn add_key(&mut self) -> String {
        self.keys.insert(0, SigningKey::generate().expect("a key"));
        let text: String = self.keys.iter().map(|key| key.to_paserk() + "\n").collect();
        // As an operator replaces a file: a reader never finds half of it.
        let path = self.folder.write("keys.new", &text);
        std::fs::rename(path, self.folder.0.join("keys")).expect("a file");
        self.keys[0].verifying_key().id().to_owned()
    }

    pub(crate) async fn signing_key(&self) -> String {
        let session = self
            .api
            .create(json!({ "agentId": self.agent }))
            .await
            .expect(201);
        let token = session.text("token");
        let (_, footer) = token.rsplit_once('.').expect("a footer");
        let footer = BASE64_URL_SAFE_NO_PAD.decode(footer).expect("base64");
        let footer: Value = serde_json::from_slice(&footer).expect("JSON");
        footer["kid"].as_str().expect("an id").to_owned()
    }

    pub(crate) async fn wait_until_signed_by(&self, key: &str) {
        let started = Instant::now();
        while self.signing_key().await != key {
            assert!(started.elapsed() < Duration::from_secs(10), "the key is not used");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Makes a server reload its configuration. Returns when the new one applies.
pub(crate) fn reload(server: &RunningServer) {
    hang_up(server, APPLIED);
}

/// Sends SIGHUP, and waits for one more line with this text.
fn hang_up(server: &RunningServer, outcome: &str) {
    let count = || server.log().matches(outcome).count();
    let (before, started) = (count(), Instant::now());
    server.signal("-HUP");
    while count() == before {
        let log = server.log();
        assert!(
            started.elapsed() < Duration::from_secs(15),
            "no {outcome:?}: {log}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}
