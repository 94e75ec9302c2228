//! A real Redis with the documented configuration, which can be stopped and started again.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::support::{Folder, free_port, run, text};

const OPERATIONS: &str = include_str!("../../../docs/operations.md");
pub(crate) const COMPOSE: &str = include_str!("../../../examples/deployment/compose.yaml");
/// The password of the user `sessions`.
pub(crate) const SECRET: &str = "a-password-of-redis";
/// Not documented: may rewrite the append-only file, and see when that has ended.
pub(crate) const OPERATOR: &str = "user operator on >operator -@all +bgrewriteaof +info\n";
const LIMIT: Duration = Duration::from_secs(15);

/// The lines that step 3 of the operations page writes for Redis.
pub(crate) fn documented_lines() -> String {
    let (_, rest) = OPERATIONS.split_once("session-auth.conf <<END\n").expect("lines");
    let (lines, _) = rest.split_once("\nEND\n").expect("an end");
    // As the page makes it.
    let hash = run(&mut Command::new("sha256sum"), SECRET);
    let hash = text(&hash.stdout);
    assert!(lines.contains("#$REDIS_HASH"));
    lines.replace("$REDIS_HASH", hash.split(' ').next().expect("a hash")) + "\n"
}

/// The `user` lines of step 3, which the page also copies to the ACL file of Compose.
fn documented_users() -> String {
    let lines = documented_lines();
    let users = lines.lines().filter(|line| line.starts_with("user "));
    users.map(|line| format!("{line}\n")).collect()
}

/// The arguments of Redis in the Compose file.
fn compose_arguments(acl_file: &str) -> Vec<String> {
    let (_, rest) = COMPOSE.split_once("      - redis-server\n").expect("a command");
    let items = rest.lines().map(|line| line.strip_prefix("      "));
    let items = items.map_while(|line| line.filter(|line| line.starts_with(['-', '#'])));
    let items = items.filter_map(|line| line.strip_prefix("- "));
    let items = items.map(|item| item.trim_matches('"').replace("/run/secrets/redis_acl", acl_file));
    items.collect()
}

pub(crate) struct Redis {
    child: Child,
    arguments: Vec<String>,
    pub(crate) port: u16,
    folder: Folder,
}

impl Redis {
    /// `None` if Redis is not installed on this machine.
    pub(crate) fn start(name: &str, arguments: impl FnOnce(&Folder) -> Vec<String>) -> Option<Self> {
        let version = Command::new("redis-server")
            .arg("--version")
            .stdout(Stdio::null())
            .status();
        if version.is_err() {
            // Not `eprintln!`, which the test runner captures.
            let _ =
                std::io::stderr().write_all(b"restart of Redis: not tested, redis-server is not installed\n");
            return None;
        }
        let folder = Folder::new(name);
        let mut arguments = arguments(&folder);
        let port = free_port();
        for argument in ["--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"] {
            arguments.push(argument.to_owned());
        }
        arguments.push(folder.to_str().expect("a path").to_owned());
        let child = spawn(&arguments, &folder);
        let redis = Self {
            child,
            arguments,
            port,
            folder,
        };
        redis.wait_until_loaded();
        Some(redis)
    }

    /// Stops Redis as service managers and containers do, and starts it again.
    pub(crate) fn restart(&mut self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status();
        assert!(sent.expect("kill").success());
        let ended = self.child.wait().expect("a status");
        assert!(ended.success(), "{ended}: {}", self.log());
        self.child = spawn(&self.arguments, &self.folder);
        self.wait_until_loaded();
    }

    pub(crate) fn rewrite_the_append_only_file(&self) {
        let answer = self.ask("AUTH operator operator\r\nBGREWRITEAOF\r\n");
        assert!(
            answer.contains("Background append only file rewriting"),
            "{answer}"
        );
        wait_until("the rewrite has ended", || {
            let info = self.ask("AUTH operator operator\r\nINFO persistence\r\n");
            info.contains("aof_rewrite_in_progress:0") && info.contains("aof_rewrite_scheduled:0")
        });
    }

    fn wait_until_loaded(&self) {
        wait_until("Redis is ready", || {
            let info = self.ask("AUTH operator operator\r\nINFO persistence\r\n");
            info.contains("loading:0")
        });
    }

    /// The answers to these commands. Empty without a connection.
    fn ask(&self, commands: &str) -> String {
        let mut answers = String::new();
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            let _ = stream.set_read_timeout(Some(LIMIT));
            let _ = stream.write_all(format!("{commands}QUIT\r\n").as_bytes());
            let _ = stream.read_to_string(&mut answers);
        }
        answers
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(arguments: &[String], folder: &Folder) -> Child {
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join("log"));
    let log = log.expect("a file");
    let mut redis = Command::new("redis-server");
    redis.args(arguments).stdin(Stdio::null()).stdout(log);
    redis.spawn().expect("redis-server")
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < LIMIT, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The configuration file of step 3.
pub(crate) fn configuration_file(folder: &Folder) -> Vec<String> {
    vec![folder.write("redis.conf", &(documented_lines() + OPERATOR))]
}

/// The command and the ACL file of Compose.
pub(crate) fn compose(folder: &Folder) -> Vec<String> {
    compose_arguments(&folder.write("users.acl", &(documented_users() + OPERATOR)))
}
