//! The final stage of `examples/deployment/Dockerfile`, built from the program under test, and run by a container engine.
//!
//! The build stage needs a registry and half of an hour, so a stage with the same files replaces it. Without an engine, the test says
//! so and passes.

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::{
    fs,
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use http::Method;
use serde_json::Value;
use session_auth_tests::{
    api::Api,
    server::{PASSWORD, cheap_hash},
};
use support::{Folder, text, wait_until_ready};

const DOCKERFILE: &str = include_str!("../../examples/deployment/Dockerfile");
const PROGRAM: &str = env!("CARGO_BIN_EXE_session-auth-server");
const ENGINE_LIMIT: Duration = Duration::from_secs(10);

/// Removes a container and its images when its input ends, also if this process is killed.
const REMOVE: &str = r#"
read -r _
docker rm --force --volumes "$1"
docker image rm --force "$1"
docker image prune --force --filter "label=$1"
"#;

/// A container and its image, both of this name. They are removed on drop.
struct Container {
    name: String,
    remover: Child,
}

impl Container {
    fn new() -> Self {
        let name = format!("session-auth-tests-image-{}", std::process::id());
        let remover = Command::new("sh")
            .args(["-c", REMOVE, "remover", &name])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C must not end it.
            .process_group(0)
            .spawn()
            .expect("a shell");
        Self { name, remover }
    }

    /// Builds the image from the context in a folder.
    fn build(&self, context: &Path) {
        let mut command = Command::new("docker");
        let has_buildx = Command::new("docker").args(["buildx", "version"]).output();
        if !has_buildx.is_ok_and(|output| output.status.success()) {
            command.env("DOCKER_BUILDKIT", "0");
        }
        command.args(["build", "--quiet", "--force-rm", "--tag", &self.name]);
        docker(command.arg(context));
    }

    /// Runs a container, and returns the address of its published port.
    fn run(&self, folder: &Path) -> String {
        let mount = format!("{}:/etc/session-auth:ro", folder.display());
        let mut command = Command::new("docker");
        command.args(["run", "--detach", "--name", &self.name]);
        command.args([
            "--read-only",
            "--cap-drop",
            "ALL",
            "--security-opt",
            "no-new-privileges",
        ]);
        command.args(["--publish", "127.0.0.1::3100", "--volume", &mount]);
        let hash = "SESSION_AUTH_MASTER_PASSWORD_HASH_FILE=/etc/session-auth/master.hash";
        let listen = "SESSION_AUTH_LISTEN=0.0.0.0:3100";
        docker(command.args(["--env", hash, "--env", listen, &self.name]));
        let published = docker(Command::new("docker").args(["port", &self.name, "3100"]));
        published.lines().next().expect("a port").to_owned()
    }

    fn inspect(&self, kind: &str) -> Value {
        let found = docker(Command::new("docker").args([kind, "inspect", &self.name]));
        let found: Value = serde_json::from_str(&found).expect("JSON");
        found[0].clone()
    }

    fn log(&self) -> String {
        let output = Command::new("docker").args(["logs", &self.name]).output();
        text(&output.expect("docker").stderr)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        drop(self.remover.stdin.take());
        let _ = self.remover.wait();
    }
}

/// Runs a command of the engine, and returns its output.
#[track_caller]
fn docker(command: &mut Command) -> String {
    let output = command.output().expect("docker");
    let errors = text(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    text(&output.stdout)
}

/// Whether an engine answers.
fn engine_answers() -> bool {
    let mut version = Command::new("docker");
    version.args(["version", "--format", "{{.Server.Version}}"]);
    let Ok(mut child) = version.stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
        return false;
    };
    let started = Instant::now();
    while started.elapsed() < ENGINE_LIMIT {
        if let Some(status) = child.try_wait().expect("a status") {
            return status.success();
        }
        sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}

/// The instructions of the final stage, without its `FROM`.
fn final_stage() -> &'static str {
    let (_, stage) = DOCKERFILE.rsplit_once("\nFROM scratch\n").expect("a final stage");
    stage
}

/// Writes a context whose Dockerfile has the final stage as it is.
///
/// The program under test is not static, so the base of the final stage has its libraries.
fn write_context(folder: &Folder, label: &str) {
    let copies = final_stage()
        .lines()
        .filter_map(|line| line.strip_prefix("COPY --from=build "));
    for copy in copies {
        let source = copy.split(' ').next().expect("a source");
        let content = if source.ends_with("/session-auth-server") {
            PROGRAM
        } else {
            // Another file than the root certificates of Alpine, at the same path.
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")
        };
        add(Path::new(content), &folder.0.join("build"), source);
    }
    let libraries = Command::new("ldd").arg(PROGRAM).output().expect("ldd");
    let libraries = text(&libraries.stdout);
    fs::create_dir_all(folder.0.join("libraries")).expect("a folder");
    for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
        add(Path::new(library), &folder.0.join("libraries"), library);
    }
    let stage = final_stage();
    let dockerfile = format!(
        "FROM scratch AS libraries\nCOPY libraries /\nLABEL {label}=1\n\
         FROM scratch AS build\nCOPY build /\nLABEL {label}=1\n\
         FROM libraries\n{stage}"
    );
    folder.write("Dockerfile", &dockerfile);
}

/// Copies a file to a path below a root.
fn add(file: &Path, root: &Path, path: &str) {
    let target = root.join(path.trim_start_matches('/'));
    fs::create_dir_all(target.parent().expect("a parent")).expect("a folder");
    // Some storage drivers copy everything for each instruction, so debug information would take seconds.
    let stripped = Command::new("strip").arg(file).arg("-o").arg(&target).output();
    if !stripped.is_ok_and(|output| output.status.success()) {
        fs::copy(file, target).expect("a copy");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn image_runs_read_only_without_root_and_capabilities_and_stops_at_sigterm() {
    if !engine_answers() {
        // Not `eprintln!`, which the test runner captures.
        let _ = std::io::stderr().write_all(b"container image: not tested, no container engine answers\n");
        return;
    }
    let container = Container::new();
    let context = Folder::new("image");
    write_context(&context, &container.name);
    container.build(&context.0);
    drop(context);
    let image = &container.inspect("image")["Config"];
    assert_eq!(image["User"], "65532:65532");
    assert_eq!(image["StopSignal"], "SIGTERM");
    assert!(image["ExposedPorts"]["3100/tcp"].is_object(), "{image}");

    let secrets = Folder::new("image-secrets");
    secrets.write("master.hash", &cheap_hash());
    let address = container.run(&secrets.0).parse().expect("an address");
    let api = Api::new(address, PASSWORD);
    wait_until_ready(&api).await;
    api.anonymous(Method::GET, "/healthz").await.expect(200);
    let session = api.session(&api.agent().await).await;
    api.access(&session.token).await.expect(200);
    for options in [&["healthcheck"][..], &["healthcheck", "--ready"]] {
        let mut command = Command::new("docker");
        docker(
            command
                .args(["exec", &container.name, "/session-auth-server"])
                .args(options),
        );
    }

    docker(Command::new("docker").args(["kill", "--signal", "HUP", &container.name]));
    let started = Instant::now();
    while !container.log().contains("configuration read again") {
        assert!(started.elapsed() < ENGINE_LIMIT, "{}", container.log());
        sleep(Duration::from_millis(50));
    }
    api.access(&session.token).await.expect(200);

    let stopping = Instant::now();
    docker(Command::new("docker").args(["stop", "--time", "10", &container.name]));
    let took = stopping.elapsed();
    let state = &container.inspect("container")["State"];
    assert_eq!(state["ExitCode"], 0, "{}", container.log());
    assert!(took < Duration::from_secs(2), "{took:?}");
}
