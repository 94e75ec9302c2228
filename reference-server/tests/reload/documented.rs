//! The commands of the documentation that replace files of a running server.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
};

use http::Method;
use session_auth_tests::{free_address::free_address, raw_http::HEALTH};

use crate::{
    deployment::Deployment,
    network::{certificate, connect},
    support::{Folder, RunningServer, command, text},
};

const OPERATIONS: &str = include_str!("../../../docs/operations.md");
const KEYS: &str = include_str!("../../../docs/keys.md");
const PROGRAM: &str = env!("CARGO_BIN_EXE_session-auth-server");

/// Runs the first block of commands below a heading of a page, in this folder instead of `/etc/session-auth`.
fn run_documented(page: &str, heading: &str, folder: &Path, replaced: &[(&str, &str)]) {
    let (_, section) = page.split_once(&format!("{heading}\n")).expect("a heading");
    let block = section.split("```").nth(1).expect("a block");
    let (_, commands) = block.split_once('\n').expect("a language");
    let path = folder.to_str().expect("a path");
    let commands = commands.replace("/etc/session-auth", path);
    let commands = commands.replace("session-auth-server ", &format!("{PROGRAM} "));
    let commands = replaced.iter().fold(commands, |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    let output = Command::new("bash")
        .args(["-euc", &commands])
        .output()
        .expect("a shell");
    assert!(output.status.success(), "{commands}{}", text(&output.stderr));
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
}

#[tokio::test]
async fn documented_answer_to_a_stolen_key_rejects_its_tokens_and_is_logged_as_a_warning() {
    let mut deployment = Deployment::start("documented-stolen-key").await;
    // In the middle of a rotation, the file has two secrets.
    let added = deployment.add_key();
    deployment.reload();
    let stolen = deployment.api.session(&deployment.agent).await;
    deployment.api.access(&stolen.token).await.expect(200);
    let keys = deployment.folder.0.join("keys");
    set_mode(&keys, 0o640);
    assert_eq!(
        deployment
            .lines("keys were removed: their tokens are rejected from now on")
            .len(),
        0
    );

    run_documented(
        KEYS,
        "## A stolen key",
        &deployment.folder.0,
        &[("keys.txt", "keys")],
    );
    deployment
        .server
        .expect_log("keys were removed: their tokens are rejected from now on");
    deployment.server.expect_log("configuration reloaded");
    deployment
        .api
        .access(&stolen.token)
        .await
        .rejected(401, "INVALID_TOKEN");
    let signing = deployment.signing_key().await;
    let published = deployment
        .api
        .anonymous(Method::GET, "/v1/keys")
        .await
        .expect(200);
    let published = published.body["keys"].as_array().cloned().unwrap_or_default();
    let ids: Vec<_> = published.iter().map(|key| key["kid"].clone()).collect();
    assert_eq!(ids, [signing.as_str()], "no earlier key is accepted");
    assert_ne!(signing, added);
    assert_eq!(mode(&keys), 0o640);
    let lines = deployment.lines("keys were removed: their tokens are rejected from now on");
    assert_eq!(lines[0]["level"], "WARN");
    let change = lines[0]["change"].as_str().expect("a change");
    assert!(change.contains(&added), "{change}");
}

#[tokio::test]
async fn documented_commands_replace_the_certificate_without_a_rejected_reload() {
    let (folder, authority) = (Folder::new("documented-certificate"), Folder::new("authority"));
    let address = free_address();
    let (old, new) = (certificate(&folder), certificate(&authority));
    for (from, to) in [("cert.pem", "tls.crt"), ("key.pem", "tls.key")] {
        fs::rename(folder.join(from), folder.join(to)).expect("a file");
    }
    set_mode(&folder.join("tls.key"), 0o640);
    let path = |folder: &Folder, name| folder.join(name).display().to_string();
    let server = RunningServer::start(&mut command(&[
        "--listen",
        &address.to_string(),
        "--tls-cert-file",
        &path(&folder, "tls.crt"),
        "--tls-key-file",
        &path(&folder, "tls.key"),
    ]));
    server.expect_log("listening");
    let mut client = connect(address, &old).await.expect("the old certificate");
    assert!(client.request(HEALTH).await.contains("200 OK"));

    let (chain, key) = (path(&authority, "cert.pem"), path(&authority, "key.pem"));
    let files = [("NEW_CHAIN", chain.as_str()), ("NEW_KEY", key.as_str())];
    run_documented(OPERATIONS, "### Replace the certificate", &folder, &files);
    server.expect_log("configuration reloaded");
    let mut client = connect(address, &new).await.expect("the new certificate");
    assert!(client.request(HEALTH).await.contains("200 OK"));
    assert!(!server.log().contains("not reloaded"), "{}", server.log());
    assert_eq!(mode(&folder.join("tls.key")), 0o640);
    assert_eq!(mode(&folder.join("tls.crt")), 0o640);
}

#[tokio::test]
async fn documented_commands_change_the_master_password() {
    let deployment = Deployment::start("documented-password").await;
    let safe = Folder::new("safe");
    let hash = deployment.folder.join("hash");
    set_mode(&hash, 0o640);
    let replaced = [
        ("/root/session-auth", safe.to_str().expect("a path")),
        ("master.hash", "hash"),
    ];
    run_documented(
        OPERATIONS,
        "### Change the master password",
        &deployment.folder,
        &replaced,
    );
    deployment.server.expect_log("master password changed");
    let password = fs::read_to_string(safe.join("master.password")).expect("a password");
    let changed = deployment.api.with_password(password.trim());
    changed.master(Method::GET, "/v1/agents", None).await.expect(200);
    let old = deployment.api.master(Method::GET, "/v1/agents", None).await;
    old.rejected(401, "INVALID_MASTER_PASSWORD");
    assert_eq!(mode(&hash), 0o640);
    assert_eq!(mode(&safe.join("master.password")), 0o600);
}
