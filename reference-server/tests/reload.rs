//! Reloading the configuration of a running server: on SIGHUP, and when a file changes.

#![allow(clippy::expect_used, clippy::disallowed_methods, clippy::panic)]

mod support;

use std::time::{Duration, Instant};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use session_auth_tests::{
    api::Api,
    server::{PASSWORD, cheap_hash},
};
use support::{Folder, RunningServer, command, free_port, wait_until_ready};
use tower_session_auth::SigningKey;

/// A server whose keys, password hash and configuration are in files.
struct Deployment {
    folder: Folder,
    server: RunningServer,
    api: Api,
    agent: String,
    keys: Vec<SigningKey>,
}

impl Deployment {
    async fn start(name: &str) -> Self {
        let folder = Folder::new(name);
        let listen = format!("127.0.0.1:{}", free_port());
        let key = SigningKey::generate().expect("a key");
        let keys = folder.write("keys", &key.to_paserk());
        let hash = folder.write("hash", &cheap_hash());
        let config = format!(
            "listen = '{listen}'\nkey_file = '{keys}'\nmaster_password_hash_file = '{hash}'\nmax_sessions_per_agent = 1000\n"
        );
        let config = folder.write("config.toml", &config);
        let server = RunningServer::start(&mut command(&["--config", &config]));
        let api = Api::new(listen.parse().expect("an address"), PASSWORD);
        wait_until_ready(&api).await;
        let agent = api.agent().await;
        Self {
            folder,
            server,
            api,
            agent,
            keys: vec![key],
        }
    }

    /// Adds a key, which signs from the next reload on.
    fn add_key(&mut self) -> String {
        self.keys.insert(0, SigningKey::generate().expect("a key"));
        let text: String = self.keys.iter().map(|key| key.to_paserk() + "\n").collect();
        // As an operator replaces a file: a reader never finds half of it.
        let path = self.folder.write("keys.new", &text);
        std::fs::rename(path, self.folder.0.join("keys")).expect("a file");
        self.keys[0].verifying_key().id().to_owned()
    }

    async fn signing_key(&self) -> String {
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

    async fn wait_until_signed_by(&self, key: &str) {
        let started = Instant::now();
        while self.signing_key().await != key {
            assert!(started.elapsed() < Duration::from_secs(10), "the key is not used");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn no_request_fails_during_20_reloads_that_change_the_signing_key() {
    let mut deployment = Deployment::start("reload-load").await;
    let first = deployment.api.session(&deployment.agent).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let load = (0..4).map(|_| {
        let (api, token, stopped) = (deployment.api.clone(), first.token.clone(), stopped.clone());
        tokio::spawn(async move {
            let mut requests = 0;
            while !*stopped.borrow() {
                api.access(&token).await.expect(200);
                requests += 1;
            }
            requests
        })
    });
    let load: Vec<_> = load.collect();
    for _ in 0..20 {
        let key = deployment.add_key();
        deployment.server.signal("-HUP");
        deployment.wait_until_signed_by(&key).await;
    }
    stop.send_replace(true);
    for task in load {
        assert!(task.await.expect("no failed request") > 20);
    }
}

#[tokio::test]
async fn changed_file_is_reloaded_without_a_signal() {
    let mut deployment = Deployment::start("reload-file").await;
    let key = deployment.add_key();
    deployment.wait_until_signed_by(&key).await;
}

#[tokio::test]
async fn configuration_with_a_mistake_changes_nothing() {
    let mut deployment = Deployment::start("reload-mistake").await;
    let before = deployment.signing_key().await;
    let key = deployment.add_key();
    deployment.folder.write("hash", "not a hash");
    for _ in 0..3 {
        deployment.server.signal("-HUP");
    }
    // The next look at the files finds the same mistake.
    deployment.server.expect_log("configuration not reloaded");
    assert_eq!(deployment.signing_key().await, before, "all or nothing");
    deployment.folder.write("hash", &cheap_hash());
    deployment.wait_until_signed_by(&key).await;
}
