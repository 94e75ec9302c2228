//! The reverse proxies of `examples/proxies`, run with the files of that folder.
//!
//! `TEST_PROXIES=skip` skips the tests that need them. The tests of a proxy are also skipped if its program is missing and cannot be
//! installed, unless `TEST_PROXIES=required`.

mod client;
mod kinds;
mod upstream;

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Request;
use tokio::{net::TcpStream, time::sleep};

pub use self::{
    kinds::{CADDY, ENVOY, ENVOY_GRPC, HAPROXY, NGINX, ProxyKind, TRAEFIK},
    upstream::{ACCEPTED_KEY, SeenRequest, Upstream, WEBSOCKET_KEY},
};
use crate::{
    api::Reply,
    folder::Folder,
    free_address::free_address,
    redis::{process::Process, server::Server as _},
};

/// The folder of the configurations.
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/proxies");
/// Another process may take a port first.
const ATTEMPTS: u32 = 3;
/// Far longer than a start takes, for machines under load.
const LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);

/// A running proxy in front of an upstream. It ends when dropped, and with the test process.
pub struct RunningProxy {
    pub address: SocketAddr,
    process: Process,
    _folder: Folder,
}

/// The addresses that replace those of the example.
struct Addresses {
    web: SocketAddr,
    inner: SocketAddr,
    auth: SocketAddr,
    upstream: SocketAddr,
}

impl RunningProxy {
    /// Starts a proxy on a free address of this machine. It asks the session server at `auth`, which must be running.
    ///
    /// # Panics
    /// If the program is missing or does not start.
    pub async fn start(kind: &ProxyKind, auth: SocketAddr, upstream: SocketAddr) -> Self {
        let program = kind.program.path().expect("a test that is not skipped");
        let mut failure = String::new();
        for _ in 0..ATTEMPTS {
            let addresses = Addresses {
                web: free_address(),
                inner: free_address(),
                auth,
                upstream,
            };
            let folder = Folder::new(kind.name);
            copy_files(kind, &folder, &addresses);
            let mut process = Process::of(command(kind, program, &folder));
            process.launch().expect("a shell");
            let mut proxy = Self {
                address: addresses.web,
                process,
                _folder: folder,
            };
            match proxy.wait_until_ready().await {
                Ok(()) => return proxy,
                Err(why) => failure = why,
            }
        }
        panic!("{} does not start: {failure}", kind.name);
    }

    /// Waits for an answer of the upstream and for one of the session server. A port may be open before the routes exist, and one
    /// route may exist before another.
    async fn wait_until_ready(&mut self) -> Result<(), String> {
        let began = Instant::now();
        for (path, status) in [(upstream::PROBE, 200), ("/", 401)] {
            let probe = Request::get(path).body(Bytes::new());
            let probe = probe.expect("a request");
            loop {
                match client::exchange(self.address, &probe).await {
                    Ok((reply, _)) if reply.status == status => break,
                    _ if began.elapsed() > LIMIT => return Err(format!("no answer in {LIMIT:?}")),
                    _ => {}
                }
                if let Some(log) = self.process.exit_log() {
                    return Err(log);
                }
                sleep(POLL).await;
            }
        }
        Ok(())
    }

    /// Sends a request whose URI is a path, on a connection of its own.
    ///
    /// # Panics
    /// If no complete response arrives.
    pub async fn send(&self, request: Request<Bytes>) -> Reply {
        self.send_and_keep(request).await.0
    }

    /// Like [`send`](Self::send). Returns the connection too, for upgrades.
    ///
    /// # Panics
    /// If no complete response arrives.
    pub async fn send_and_keep(&self, request: Request<Bytes>) -> (Reply, TcpStream) {
        let answer = client::exchange(self.address, &request).await;
        answer.unwrap_or_else(|why| panic!("{} {}: {why}", request.method(), request.uri()))
    }
}

/// Copies the files of the example, with other addresses.
fn copy_files(kind: &ProxyKind, folder: &Folder, addresses: &Addresses) {
    let source = Path::new(EXAMPLES).join(kind.folder);
    for name in kind.files {
        let text = fs::read_to_string(source.join(name)).expect("a file of the example");
        folder.write(name, &kind.with_addresses(&text, addresses));
    }
}

/// A shell command that becomes the proxy, so that the process id stays the same.
fn command(kind: &ProxyKind, program: &Path, folder: &Folder) -> Vec<String> {
    let place = folder.display().to_string();
    let start = "cd \"$0\" && HOME=$0 XDG_DATA_HOME=$0 XDG_CONFIG_HOME=$0 exec \"$@\"";
    let shell = ["sh", "-c", start, &place].map(str::to_owned);
    let arguments = kind.arguments.iter().map(|word| word.replace("{folder}", &place));
    shell
        .into_iter()
        .chain([program.display().to_string()])
        .chain(arguments)
        .collect()
}
