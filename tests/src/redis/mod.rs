//! A real Redis for tests, in a container or from the installed binary, that ends with the test process however that ends.
//!
//! `TEST_REDIS=container|binary` forces one of the two; else the container is taken where an engine answers and has, or
//! can pull, the image. `TEST_REDIS_IMAGE` and `TEST_REDIS_BINARY` name other servers, such as Valkey.
//!
//! Everything here blocks for a short while, which a test may do, also inside `#[tokio::test]`.

mod backend;
mod container;
mod monitor;
mod process;
mod server;

use std::{
    io,
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use redis::{Client, Connection, FromRedisValue, IntoConnectionInfo as _, RedisResult, cmd};
use tokio::net::TcpSocket;

pub use self::monitor::Monitor;
use self::{backend::Backend, server::Server};

/// Another process can take the free port first; and a wrong option fails each time.
const ATTEMPTS: u32 = 4;
/// Far more than a start takes, for machines under load.
const READY_LIMIT: Duration = Duration::from_secs(20);
const COMMAND_LIMIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);

/// A Redis server on a port of 127.0.0.1, without persistence. Ends when dropped.
pub struct TestRedis {
    server: Box<dyn Server>,
    port: u16,
    password: Option<String>,
    databases: AtomicU32,
    /// Holds the port while nothing listens there, so that no other test gets it.
    held: Option<TcpSocket>,
}

impl TestRedis {
    /// The server that the tests of this process share; the last one to drop it ends it. It cannot be killed or paused.
    ///
    /// # Panics
    /// With one line that says what to install, when there is no Redis to test against; as all constructors.
    #[track_caller]
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<TestRedis>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let started = Arc::new(Self::start());
            *shared = Arc::downgrade(&started);
            started
        })
    }

    /// A server of one's own, to break.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With further options of `redis-server`, such as `["--requirepass", "secret", "--maxmemory", "3mb"]`.
    #[track_caller]
    pub fn start_with(options: &[&str]) -> Self {
        let backend = Backend::chosen();
        let password = options.iter().skip_while(|&&option| option != "--requirepass");
        let password = password.skip(1).map(|&word| word.to_owned()).next();
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        let mut failure = String::new();
        for _ in 0..ATTEMPTS {
            let port = free_port().expect("127.0.0.1 has a free port");
            let mut redis = Self {
                server: backend.server(port, &options),
                port,
                password: password.clone(),
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

    /// The URL of database 0, with the password if `--requirepass` was given.
    pub fn url(&self) -> String {
        self.database(0)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a logical database that nobody else uses, so that tests on one server do not see each other's keys.
    /// Database 0 is left to those who use `url`; 1,023 are left.
    pub fn fresh_database(&self) -> String {
        self.database(self.databases.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn database(&self, number: u32) -> String {
        let password = self.password.as_ref().map(|word| format!(":{word}@"));
        let password = password.unwrap_or_default();
        format!("redis://{password}127.0.0.1:{}/{number}", self.port)
    }

    /// As SIGKILL: connections drop, no data survives, and nothing listens until `restart`.
    #[track_caller]
    pub fn kill(&mut self) {
        self.server.kill();
        let closed = poll(|| TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err());
        assert!(closed, "redis: port {} is still open after kill", self.port);
        self.held = hold(self.port).ok();
    }

    /// Empty, on the same port; kills it first if it runs.
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

    /// As SIGSTOP: connections stay open and new ones are accepted, but nothing answers until `resume`.
    #[track_caller]
    pub fn pause(&mut self) {
        self.server.pause();
    }

    /// Goes on, with what was sent meanwhile.
    #[track_caller]
    pub fn resume(&mut self) {
        self.server.resume();
    }

    /// Executes one command in database 0.
    pub fn command<T: FromRedisValue>(&self, arguments: &[&str]) -> RedisResult<T> {
        command(&self.url(), arguments)
    }

    /// Collects the commands that reach the server from now on.
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
            Ok(id) if self.server.is(id) => true,
            Ok(_) => {
                failure = Some(format!("port {} is another's", self.port));
                true
            }
            Err(_) => {
                failure = self.server.ended();
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

/// Executes one command in the database of the URL, on a connection of its own, and gives up after a few seconds.
pub fn command<T: FromRedisValue>(url: &str, arguments: &[&str]) -> RedisResult<T> {
    let mut connection = connect(url, COMMAND_LIMIT)?;
    arguments
        .iter()
        .fold(&mut redis::Cmd::new(), |command, argument| command.arg(argument))
        .query(&mut connection)
}

/// PING proves that it serves; the id, that it is not another's server.
fn process_id(url: &str) -> RedisResult<u32> {
    let mut connection = connect(url, Duration::from_secs(1))?;
    cmd("PING").exec(&mut connection)?;
    let info: redis::InfoDict = cmd("INFO").arg("server").query(&mut connection)?;
    Ok(info.get("process_id").unwrap_or_default())
}

fn connect(url: &str, limit: Duration) -> RedisResult<Connection> {
    let info = url.into_connection_info()?;
    // No CLIENT SETINFO: what is seen in MONITOR shall be the tests' own.
    let settings = info.redis_settings().clone().set_skip_set_lib_name();
    let connection = Client::open(info.set_redis_settings(settings))?.get_connection_with_timeout(limit)?;
    connection.set_read_timeout(Some(limit))?;
    connection.set_write_timeout(Some(limit))?;
    Ok(connection)
}

fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

fn hold(port: u16) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // In spite of connections that are still closing.
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    Ok(socket)
}

/// Whether it came true in time.
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
