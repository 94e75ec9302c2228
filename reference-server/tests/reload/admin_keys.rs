//! Reloading the credentials of administrators: admin keys, and the hash of the master password.

use http::Method;
use session_auth_tests::server::{PASSWORD, cheap_hash_of};
use tower_session_auth::master_auth::AdminSecret;

use crate::{deployment::Deployment, support::Folder};

const FILE: &str = "admin-keys.toml";

fn secret() -> AdminSecret {
    AdminSecret::generate().expect("a secret")
}

/// The key file of these secrets. Each key may list sessions.
fn tables(secrets: &[&AdminSecret]) -> String {
    let table = |(place, secret): (usize, &&AdminSecret)| table(&format!("key-{place}"), secret, "list");
    secrets.iter().enumerate().map(table).collect()
}

fn table(name: &str, secret: &AdminSecret, right: &str) -> String {
    let hash = secret.hash_hex();
    format!("[[admin_key]]\nname = '{name}'\nhash = '{hash}'\nrights = ['{right}']\n")
}

/// Starts a server that accepts these admin keys.
async fn start(name: &str, secrets: &[&AdminSecret]) -> Deployment {
    let configuration =
        |folder: &Folder| format!("admin_keys_file = '{}'\n", folder.write(FILE, &tables(secrets)));
    Deployment::start_with(name, configuration).await
}

/// The status of a request with this admin key.
async fn status(deployment: &Deployment, secret: &AdminSecret) -> u16 {
    let api = &deployment.api;
    api.bearer(Method::GET, "/v1/sessions", secret.expose())
        .await
        .status
}

#[tokio::test]
async fn removed_admin_key_is_rejected_at_once_and_an_added_one_is_accepted() {
    let (kept, removed, added) = (secret(), secret(), secret());
    let deployment = start("reload-admin-keys", &[&kept, &removed]).await;
    let statuses = async || {
        let mut statuses = Vec::new();
        for secret in [&kept, &removed, &added] {
            statuses.push(status(&deployment, secret).await);
        }
        statuses
    };
    assert_eq!(statuses().await, [200, 200, 401]);
    deployment.folder.write(FILE, &tables(&[&kept, &added]));
    deployment.reload();
    assert_eq!(statuses().await, [200, 401, 200]);
}

#[tokio::test]
async fn each_administrator_that_a_reload_changes_has_a_log_line_with_the_name_alone() {
    let (alice, bob, carol) = (secret(), secret(), secret());
    let first = table("first", &secret(), "list");
    let configuration = |folder: &Folder| format!("admin_keys_file = '{}'\n", folder.write(FILE, &first));
    let deployment = Deployment::start_with("reload-admin-log", configuration).await;
    let logged = || {
        let messages = [
            "administrator added",
            "administrator removed",
            "administrator changed",
        ];
        messages.map(|message| {
            let lines = deployment.lines(message);
            let names = lines
                .iter()
                .map(|line| line["administrator"].as_str().expect("a name"));
            names.map(str::to_owned).collect::<Vec<_>>()
        })
    };
    let replace = |tables: &[String]| {
        deployment.folder.write(FILE, &tables.concat());
        deployment.reload();
    };
    let none = Vec::<String>::new;
    replace(&[table("alice", &alice, "list"), table("bob", &bob, "list")]);
    assert_eq!(
        logged(),
        [
            vec!["alice".to_owned(), "bob".to_owned()],
            vec!["first".to_owned()],
            none()
        ]
    );
    replace(&[table("carol", &carol, "list"), table("bob", &bob, "open")]);
    let [added, removed, changed] = logged();
    assert_eq!(added, ["alice", "bob", "carol"]);
    assert_eq!(removed, ["first", "alice"]);
    assert_eq!(changed, ["bob"]);
    // Nothing has changed since.
    deployment.reload();
    assert_eq!(logged(), [added, removed, changed]);
    assert_eq!(deployment.lines("master password changed").len(), 0);
    let log = deployment.server.log();
    for secret in [&alice, &bob, &carol] {
        assert!(!log.contains(&secret.hash_hex()), "a hash in the log");
    }
}

#[tokio::test]
async fn empty_or_missing_file_of_admin_keys_changes_nothing() {
    let (kept, other) = (secret(), secret());
    let mut deployment = start("reload-no-admin-keys", &[&kept]).await;
    let key = deployment.signing_key().await;
    let path = deployment.folder.0.join(FILE);
    for is_missing in [false, true] {
        if is_missing {
            std::fs::remove_file(&path).expect("a file");
        } else {
            deployment.folder.write(FILE, "");
        }
        deployment.add_key();
        deployment.reload_mistake();
        assert_eq!(status(&deployment, &kept).await, 200, "missing: {is_missing}");
        assert_eq!(deployment.signing_key().await, key, "all or nothing");
    }
    deployment.folder.write(FILE, &tables(&[&other]));
    deployment.reload();
    assert_eq!(status(&deployment, &kept).await, 401);
    assert_eq!(status(&deployment, &other).await, 200);
}

#[tokio::test]
async fn reloaded_password_hash_replaces_the_master_password_at_once() {
    const NEW: &str = "another horse battery staple";
    let deployment = Deployment::start("reload-password").await;
    let agents = async |password| {
        let api = deployment.api.with_password(password);
        api.master(Method::GET, "/v1/agents", None).await
    };
    // The old password was verified before: the server has its hash in memory.
    agents(PASSWORD).await.expect(200);
    agents(NEW).await.rejected(401, "INVALID_MASTER_PASSWORD");
    deployment.folder.write("hash", &cheap_hash_of(NEW));
    deployment.reload();
    agents(PASSWORD).await.rejected(401, "INVALID_MASTER_PASSWORD");
    agents(NEW).await.expect(200);
    assert_eq!(deployment.lines("master password changed").len(), 1);
}
