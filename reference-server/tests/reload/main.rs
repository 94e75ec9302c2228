//! Reloading the configuration of a running server: on SIGHUP, and when a file changes.

#![allow(clippy::expect_used, clippy::disallowed_methods, clippy::panic)]

mod admin_keys;
mod deployment;
#[cfg(unix)]
mod documented;
mod network;
mod settings;
#[path = "../support/mod.rs"]
mod support;

use deployment::Deployment;
use session_auth_tests::server::cheap_hash;

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
