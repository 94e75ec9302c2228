//! Schemathesis tests a running server against the document that it serves.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use session_auth_tests::{
    admin_keys::{KeyFile, rights},
    folder::Folder,
    python,
    server::{PASSWORD, TestServer},
};

use crate::alone;

const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// The name of the admin key.
const KEY: &str = "tests";

/// The seconds by which the clock advances in each 100 ms, so that sessions become renewable and expire.
const STEP: u64 = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_behaves_as_its_document_says() {
    let _alone = alone();
    let python = tokio::task::spawn_blocking(|| python::with_packages(&[SCHEMATHESIS]));
    let python = python.await.expect("a Python interpreter");
    let all = ["open", "list", "revoke", "rotate", "agents", "introspect"];
    let (keys, [secret]) = KeyFile::new([(KEY, rights(&all))]);
    let server = TestServer::memory_with(|settings| {
        keys.set(settings);
        settings.trusted_proxies = Some(vec!["127.0.0.1/32".parse().expect("a network")]);
        (settings.min_ttl, settings.session_ttl, settings.max_ttl) = (Some(60), Some(120), Some(600));
        (settings.absolute_lifetime, settings.max_renewals) = (Some(3600), Some(3));
    })
    .await;
    let clock = server.clock.clone();
    let advancing = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            clock.advance(Duration::from_secs(STEP));
        }
    });
    let run = Run {
        python,
        api: server.api.base().to_owned(),
        secret,
    };
    let failures = tokio::task::spawn_blocking(move || {
        ["password", "key", "none"].map(|credential| run.failures(credential))
    });
    let failures = failures.await.expect("the runs").concat();
    advancing.abort();
    assert!(failures.is_empty(), "{failures}");
}

struct Run {
    python: PathBuf,
    /// The URL of the API.
    api: String,
    secret: String,
}

impl Run {
    /// The output of a run with this credential, if it found a failure.
    fn failures(&self, credential: &str) -> String {
        let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("isolated/openapi");
        // For the files that it writes.
        let folder = Folder::new("schemathesis");
        let output = Command::new(&self.python)
            .current_dir(&*folder)
            .args(["-m", "schemathesis.cli", "--config-file"])
            .arg(files.join("schemathesis.toml"))
            .arg("run")
            .arg(format!("{}/openapi.json", self.api))
            .env("SCHEMATHESIS_HOOKS", files.join("hooks.py"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("CREDENTIAL", credential)
            .env("MASTER_PASSWORD", PASSWORD)
            .env("ADMIN_KEY_NAME", KEY)
            .env("ADMIN_KEY", &self.secret)
            .env("API", &self.api)
            .output()
            .expect("schemathesis");
        let text = String::from_utf8_lossy(&output.stdout);
        println!("{credential}: {text}");
        if output.status.success() {
            return String::new();
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("with the credential {credential}: {text}{errors}\n")
    }
}
