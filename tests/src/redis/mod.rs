//! A real Redis server for tests, in a container or from the installed binary. It ends with the test process, even if that is
//! killed.
//!
//! `TEST_REDIS=container|binary` chooses one of the two. By default tests use a container if an engine answers and has the
//! image or can pull it. `TEST_REDIS_IMAGE` and `TEST_REDIS_BINARY` name other servers, such as Valkey.
//!
//! All functions block for a short time. Tests may do that, also inside `#[tokio::test]`.

mod backend;
mod cluster;
mod container;
mod keyspace;
mod monitor;
mod partition;
pub(crate) mod process;
mod replicated;
mod sentinels;
pub(crate) mod server;
mod shared;
mod valkey;

use std::{
    io,
    net::{Ipv4Addr, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use redis::{Client, Connection, FromRedisValue, IntoConnectionInfo as _, RedisResult, cmd};
use tokio::net::TcpSocket;

use self::{backend::Backend, process::Process, server::Server, shared::Shared};
pub use self::{
    cluster::{Cluster, ClusterBuilder},
    keyspace::{Guard, Keyspace, Topology},
    monitor::Monitor,
    partition::Partition,
    replicated::Replicated,
    sentinels::Sentinels,
    valkey::valkey,
};
use crate::free_address::free_port;

/// Another process may take the free port first. An invalid option fails each time.
const ATTEMPTS: u32 = 4;
/// Far longer than a start takes, for machines under load.
const READY_LIMIT: Duration = Duration::from_secs(20);
const COMMAND_LIMIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);
/// The distance from the port of a node to that of its bus, without `cluster-port`.
const BUS: u16 = 10_000;

/// A Redis server on a port of 127.0.0.1, without persistence. It ends when dropped.
pub struct TestRedis {
    server: Box<dyn Server>,
    port: u16,
    /// The user and the password in URLs, as `user:password`.
    login: Option<String>,
    databases: AtomicU32,
    /// Reserves the port while the server is down, so that no other test gets it.
    held: Option<TcpSocket>,
}

impl TestRedis {
    /// The server that the tests of this process share. It ends when the last user drops it. It cannot be killed or paused.
    ///
    /// # Panics
    /// If no Redis is available, with one line that says what to install. All constructors do this.
    #[track_caller]
    pub fn shared() -> Arc<Self> {
        static SHARED: Shared<TestRedis> = Shared::new();
        SHARED.get(Self::start)
    }

    /// The Valkey server that the tests of this process share, like [`shared`](Self::shared). `None` if the tests about Valkey are
    /// skipped.
    #[track_caller]
    pub fn shared_valkey() -> Option<Arc<Self>> {
        static SHARED: Shared<TestRedis> = Shared::new();
        let program = valkey()?;
        Some(SHARED.get(|| Self::start_program(program)))
    }

    /// Starts a server with this program.
    #[track_caller]
    pub fn start_program(program: &Path) -> Self {
        Self::start_server(None, |port| Box::new(Process::new(program, port, &[])))
    }

    /// Starts a server that only the caller uses, and may break.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with further options of `redis-server`, such as `["--requirepass", "secret", "--maxmemory", "3mb"]`.
    #[track_caller]
    pub fn start_with(options: &[&str]) -> Self {
        let backend = Backend::chosen();
        let password = options.iter().skip_while(|&&option| option != "--requirepass");
        let password = password.skip(1).map(|&word| word.to_owned()).next();
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        Self::start_server(password.as_ref(), |port| backend.server(port, &options))
    }

    /// Starts the installed program, also if the tests use containers: a server in a container cannot reach the folder.
    #[track_caller]
    pub fn start_in(folder: &Path, options: &[&str]) -> Self {
        let program = Backend::installed();
        let place = folder.display().to_string();
        let options = [&["--dir", &place], options].concat();
        let options: Vec<String> = options.into_iter().map(str::to_owned).collect();
        Self::start_server(None, |port| Box::new(Process::new(&program, port, &options)))
    }

    /// Starts the installed program with the configuration file that `file` returns for a port, and further options. `login` is a user
    /// with all rights, as `user:password`.
    #[track_caller]
    pub fn start_configured(login: &str, options: &[&str], file: impl Fn(u16) -> String) -> Self {
        let program = Backend::installed().display().to_string();
        Self::start_at(port_below_bus, Some(login), |port| {
            let arguments = [program.clone(), file(port)].into_iter();
            let options = options.iter().map(|&option| option.to_owned());
            Box::new(Process::of(arguments.chain(options).collect()))
        })
    }

    /// Starts a server on a free port.
    #[track_caller]
    fn start_server(password: Option<&String>, server: impl Fn(u16) -> Box<dyn Server>) -> Self {
        let login = password.map(|password| format!(":{password}"));
        Self::start_at(free_port, login.as_deref(), server)
    }

    #[track_caller]
    fn start_at(
        free_port: fn() -> u16,
        login: Option<&str>,
        server: impl Fn(u16) -> Box<dyn Server>,
    ) -> Self {
        let mut failure = String::new();
        for _ in 0..ATTEMPTS {
            let port = free_port();
            let mut redis = Self {
                server: server(port),
                port,
                login: login.map(str::to_owned),
                databases: AtomicU32::new(0),
                held: None,
            };
            match redis.launch() {
                Ok(()) => return redis,
                Err(why) => failure = why,
            }
        }
        panic!("redis: the server does not start: {failure}");
    }

    /// The URL of database 0, with the login if the server needs one.
    pub fn url(&self) -> String {
        self.database(0)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of an unused logical database, so that tests on one server do not see each other's keys. There are 1,023 of
    /// them; database 0 belongs to `url`.
    pub fn fresh_database(&self) -> String {
        self.database(self.databases.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn database(&self, number: u32) -> String {
        let login = self.login.as_ref().map(|login| format!("{login}@"));
        let login = login.unwrap_or_default();
        format!("redis://{login}127.0.0.1:{}/{number}", self.port)
    }

    /// Kills the server, as SIGKILL does: connections close, data is lost, and the port is closed until `restart`.
    #[track_caller]
    pub fn kill(&mut self) {
        self.server.kill();
        let closed = poll(|| TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err());
        assert!(closed, "redis: port {} is still open after kill", self.port);
        self.held = hold(self.port).ok();
    }

    /// Restarts the server without data on the same port. Kills it first if it runs.
    #[track_caller]
    pub fn restart(&mut self) {
        self.kill();
        let mut failure = String::new();
        for _ in 0..ATTEMPTS {
            match self.launch() {
                Ok(()) => return,
                Err(why) => failure = why,
            }
        }
        panic!("redis: the server does not restart: {failure}");
    }

    /// Pauses the server, as SIGSTOP does: connections stay open and new ones are accepted, but no answer arrives until
    /// `resume`.
    #[track_caller]
    pub fn pause(&mut self) {
        self.server.pause();
    }

    /// Resumes the server. It then processes the commands that were sent meanwhile.
    #[track_caller]
    pub fn resume(&mut self) {
        self.server.resume();
    }

    /// The process id that the server reports.
    pub fn process_id(&self) -> u32 {
        process_id(&self.url()).expect("a response of Redis")
    }

    /// Executes one command in database 0.
    pub fn command<T: FromRedisValue>(&self, arguments: &[&str]) -> RedisResult<T> {
        command(&self.url(), arguments)
    }

    /// Starts to collect the commands that reach the server.
    #[track_caller]
    pub fn monitor(&self) -> Monitor {
        let connection = || connect(&self.url(), COMMAND_LIMIT).expect("the server answers");
        let marker = connection();
        Monitor::attach(connection(), marker)
    }

    fn launch(&mut self) -> Result<(), String> {
        self.held = None;
        self.server.launch()?;
        let url = self.url();
        let mut failure = None;
        let ready = poll(|| match process_id(&url) {
            Ok(id) if self.server.has_process_id(id) => true,
            Ok(_) => {
                failure = Some(format!("port {} is another's", self.port));
                true
            }
            Err(_) => {
                failure = self.server.exit_log();
                failure.is_some()
            }
        });
        match failure {
            Some(why) => Err(why),
            None if ready => Ok(()),
            None => Err(format!("no answer in {READY_LIMIT:?}")),
        }
    }
}

/// Executes one command in the database of the URL, on a new connection. It fails after a few seconds without an answer.
pub fn command<T: FromRedisValue>(url: &str, arguments: &[&str]) -> RedisResult<T> {
    let mut connection = connect(url, COMMAND_LIMIT)?;
    arguments
        .iter()
        .fold(&mut redis::Cmd::new(), |command, argument| command.arg(argument))
        .query(&mut connection)
}

/// PING proves that the server works. The process id proves that it is not the server of another test.
fn process_id(url: &str) -> RedisResult<u32> {
    let mut connection = connect(url, Duration::from_secs(1))?;
    cmd("PING").exec(&mut connection)?;
    let info: redis::InfoDict = cmd("INFO").arg("server").query(&mut connection)?;
    Ok(info.get("process_id").unwrap_or_default())
}

fn connect(url: &str, limit: Duration) -> RedisResult<Connection> {
    let info = url.into_connection_info()?;
    // Without CLIENT SETINFO, MONITOR shows only commands of the tests.
    let settings = info.redis_settings().clone().set_skip_set_lib_name();
    let connection = Client::open(info.set_redis_settings(settings))?.get_connection_with_timeout(limit)?;
    connection.set_read_timeout(Some(limit))?;
    connection.set_write_timeout(Some(limit))?;
    Ok(connection)
}

/// A free port that leaves room for the port of the cluster bus, which is higher by [`BUS`].
fn port_below_bus() -> u16 {
    loop {
        let port = free_port();
        if port <= u16::MAX - BUS {
            return port;
        }
    }
}

fn hold(port: u16) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Needed while old connections are closing.
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    Ok(socket)
}

/// Polls until the condition holds. Returns false after [`READY_LIMIT`].
fn poll(mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + READY_LIMIT;
    loop {
        if done() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(POLL);
    }
}
