//! Chooses the Redis that the tests use, and prints the choice, once per process.

use std::{
    io::{Write as _, stderr},
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
    time::Duration,
};

use testcontainers::{core::client::docker_client_instance, runners::AsyncRunner as _};
use tokio::time::timeout;

use super::{
    container::{Container, block_on, image_request},
    process::Process,
    server::Server,
};
pub(super) use crate::program::{in_path, variable};

const PING_LIMIT: Duration = Duration::from_secs(5);
const PULL_LIMIT: Duration = Duration::from_secs(60);

pub(super) enum Backend {
    /// `client` is the command that removes the container if this process cannot.
    Container {
        image: String,
        client: PathBuf,
    },
    Binary(PathBuf),
}

impl Backend {
    /// # Panics
    /// If no Redis is available, with one line that says what to install.
    #[track_caller]
    pub(super) fn chosen() -> &'static Self {
        static CHOSEN: LazyLock<Result<Backend, String>> = LazyLock::new(choose);
        match &*CHOSEN {
            Ok(backend) => backend,
            Err(missing) => panic!("redis: {missing}"),
        }
    }

    /// The installed program, also if the tests use containers.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub(super) fn installed() -> PathBuf {
        match binary() {
            Ok(Self::Binary(path)) => path,
            Ok(Self::Container { .. }) => panic!("redis: a binary is needed"),
            Err(missing) => panic!("redis: {missing}"),
        }
    }

    pub(super) fn server(&self, port: u16, options: &[String]) -> Box<dyn Server> {
        match self {
            Self::Container { image, client } => Box::new(Container::new(image, client, port, options)),
            Self::Binary(path) => Box::new(Process::new(path, port, options)),
        }
    }

    fn announce(&self, because: &str) {
        let line = match self {
            Self::Container { image, .. } => format!("container {image}"),
            Self::Binary(path) => format!("binary {} {}", path.display(), version(path)),
        };
        // Not `eprintln!`, which the test runner captures. One write, because other test processes may write too.
        let _ = stderr().write_all(format!("redis: {line}{because}\n").as_bytes());
    }
}

fn choose() -> Result<Backend, String> {
    let forced = variable("TEST_REDIS");
    let (backend, because) = match forced.as_deref() {
        Some("container") => {
            let forced = container().map_err(|why| format!("TEST_REDIS=container, but {why}"))?;
            (forced, String::new())
        }
        Some("binary") => (binary()?, String::new()),
        Some(other) => {
            return Err(format!("TEST_REDIS is `container` or `binary`, not `{other}`"));
        }
        None => match container() {
            Ok(container) => (container, String::new()),
            Err(why) => {
                let binary = binary().map_err(|also| format!("{why}, and {also}"))?;
                (binary, format!(" ({why})"))
            }
        },
    };
    backend.announce(&because);
    Ok(backend)
}

fn container() -> Result<Backend, String> {
    let client = ["docker", "podman"]
        .into_iter()
        .find_map(in_path)
        .ok_or("there is no docker command")?;
    let image = variable("TEST_REDIS_IMAGE").unwrap_or_else(|| "redis:7-alpine".to_owned());
    block_on(async {
        let engine = docker_client_instance()
            .await
            .map_err(|error| error.to_string())?;
        timeout(PING_LIMIT, engine.ping())
            .await
            .map_err(|_| "the container engine does not answer in time")?
            .map_err(|_| "no container engine answers")?;
        if engine.inspect_image(&image).await.is_err() {
            let pulled = timeout(PULL_LIMIT, image_request(&image).pull_image()).await;
            if !pulled.is_ok_and(|pulled| pulled.is_ok()) {
                return Err(format!(
                    "the engine cannot pull {image}, build it with tests/redis-image"
                ));
            }
        }
        Ok(())
    })?;
    Ok(Backend::Container { image, client })
}

fn binary() -> Result<Backend, String> {
    let found = match variable("TEST_REDIS_BINARY") {
        Some(named) => in_path(&named).ok_or(format!("TEST_REDIS_BINARY `{named}` was not found")),
        None => ["redis-server", "valkey-server"]
            .into_iter()
            .find_map(in_path)
            .ok_or_else(|| {
                "no redis-server is in PATH: start Docker, install redis-server, or run tests/run, which installs it".to_owned()
            }),
    };
    found.map(Backend::Binary)
}

/// The number in `Redis server v=7.0.15 sha=…`.
fn version(server: &Path) -> String {
    let output = Command::new(server).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default()
        .split_whitespace()
        .find_map(|word| word.strip_prefix("v="))
        .unwrap_or("of an unknown version")
        .to_owned()
}
