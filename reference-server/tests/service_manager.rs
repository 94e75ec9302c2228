//! The server under a service manager such as systemd: messages and socket activation.

#![cfg(unix)]
#![allow(clippy::expect_used, clippy::panic)]

use std::{
    ffi::OsStr,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::{fd::OwnedFd, unix::net::UnixDatagram},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use session_auth_tests::folder::Folder;

const PROGRAM: &str = env!("CARGO_BIN_EXE_session-auth-server");

/// A running server process, killed on drop.
struct Running(Child);

impl Running {
    fn start(command: &mut Command, environment: &[(&str, &OsStr)]) -> Self {
        let command = command.env_clear().envs(environment.iter().copied());
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("a server"))
    }

    fn signal(&self, signal: &str) {
        let kill = Command::new("kill")
            .args([signal, &self.0.id().to_string()])
            .status();
        assert!(kill.expect("kill").success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The socket for messages to the service manager, removed on drop.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
    folder: Folder,
}

impl Manager {
    fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        let path = folder.join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        let limit = Some(Duration::from_secs(10));
        socket.set_read_timeout(limit).expect("a time limit");
        Self { socket, path, folder }
    }

    fn receive(&self) -> String {
        let mut buffer = [0; 1024];
        let length = self.socket.recv(&mut buffer).expect("a message");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// Receives messages until this one.
    fn wait_for(&self, expected: &str) {
        while !self.receive().lines().any(|line| line == expected) {}
    }
}

#[test]
fn service_manager_is_told_of_start_life_and_stop() {
    let manager = Manager::new("notify");
    let mut command = Command::new(PROGRAM);
    command.args(["--listen", "127.0.0.1:0"]);
    let server = Running::start(
        &mut command,
        &[
            ("NOTIFY_SOCKET", manager.path.as_os_str()),
            ("WATCHDOG_USEC", OsStr::new("100000")),
        ],
    );
    manager.wait_for("READY=1");
    manager.wait_for("WATCHDOG=1");
    manager.wait_for("WATCHDOG=1");
    server.signal("-TERM");
    manager.wait_for("STOPPING=1");
}

#[test]
fn service_manager_is_told_of_the_begin_and_end_of_each_reload() {
    let manager = Manager::new("notify-reload");
    let config = manager.folder.write("config.toml", "listen = '127.0.0.1:0'\n");
    let mut command = Command::new(PROGRAM);
    command.arg("--config").arg(&config);
    let server = Running::start(&mut command, &[("NOTIFY_SOCKET", manager.path.as_os_str())]);
    assert_eq!(manager.receive().trim_end(), "READY=1");
    // A configuration with a mistake changes nothing, and the reload has ended too.
    for config_text in ["listen = '127.0.0.1:0'\nlog = 'warn'\n", "listen = 3\n"] {
        manager.folder.write("config.toml", config_text);
        server.signal("-HUP");
        let reloading = manager.receive();
        let lines: Vec<_> = reloading.lines().collect();
        assert_eq!(lines.first(), Some(&"RELOADING=1"), "{reloading}");
        // Since version 253, systemd requires the time, in microseconds.
        let time = lines.get(1).and_then(|line| line.strip_prefix("MONOTONIC_USEC="));
        assert!(
            time.is_some_and(|time| time.parse::<u64>().is_ok()),
            "{reloading}"
        );
        assert_eq!(manager.receive().trim_end(), "READY=1");
    }
}

#[test]
fn service_manager_is_told_of_no_reload_after_the_stop() {
    let manager = Manager::new("notify-stop");
    let mut command = Command::new(PROGRAM);
    command.args(["--listen", "127.0.0.1:0"]);
    let mut server = Running::start(
        &mut command,
        &[
            ("NOTIFY_SOCKET", manager.path.as_os_str()),
            ("SESSION_AUTH_SHUTDOWN_DELAY_MS", OsStr::new("1500")),
        ],
    );
    manager.wait_for("READY=1");
    server.signal("-TERM");
    manager.wait_for("STOPPING=1");
    // The reload is complete long before the delay is over.
    server.signal("-HUP");
    assert!(server.0.wait().expect("an end").success());
    manager.socket.set_nonblocking(true).expect("a socket");
    let mut buffer = [0; 1024];
    let after = manager.socket.recv(&mut buffer);
    assert!(after.is_err(), "{}", String::from_utf8_lossy(&buffer));
}

#[test]
fn socket_of_the_service_manager_replaces_the_configured_address() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("an address");
    // The shell moves the socket to descriptor 3, the first one of socket activation.
    let script = r#"LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" 3<&0 0</dev/null"#;
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", script, PROGRAM])
        .stdin(Stdio::from(OwnedFd::from(listener)));
    let _server = Running::start(&mut command, &[]);
    // The connection waits in the socket until the server has started.
    let mut stream = TcpStream::connect(address).expect("a connection");
    let limit = Some(Duration::from_secs(10));
    stream.set_read_timeout(limit).expect("a time limit");
    let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request).expect("a write");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("a response");
    assert!(response.contains("200 OK"), "{response}");
}
