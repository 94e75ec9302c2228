//! A TCP load balancer: it checks `/readyz` of each server, and gives new connections to ready servers in turn. It retries nothing.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

const CHECK_INTERVAL: Duration = Duration::from_millis(100);
const CHECK_LIMIT: Duration = Duration::from_secs(2);

/// A running balancer. It ends when dropped.
pub(super) struct Balancer {
    address: SocketAddr,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

struct State {
    servers: Vec<Server>,
    turn: AtomicUsize,
    /// The server of each open connection, by the address of the client.
    routes: Mutex<HashMap<SocketAddr, usize>>,
    refused: Mutex<Vec<String>>,
}

struct Server {
    address: SocketAddr,
    ready: AtomicBool,
}

impl Balancer {
    pub(super) async fn start(servers: Vec<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let servers = servers.into_iter().map(|address| Server {
            address,
            ready: AtomicBool::new(false),
        });
        let state = Arc::new(State {
            servers: servers.collect(),
            turn: AtomicUsize::new(0),
            routes: Mutex::default(),
            refused: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        for number in 0..state.servers.len() {
            tasks.spawn(state.clone().check(number));
        }
        tasks.spawn(state.clone().accept(listener));
        Self {
            address,
            state,
            _tasks: tasks,
        }
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn all_ready(&self) -> bool {
        let mut servers = self.state.servers.iter();
        servers.all(|server| server.ready.load(Ordering::SeqCst))
    }

    /// The server that serves the open connection of this client.
    pub(super) fn server_of(&self, client: SocketAddr) -> Option<usize> {
        lock(&self.state.routes).get(&client).copied()
    }

    /// The connections that no server accepted.
    pub(super) fn refused(&self) -> Vec<String> {
        lock(&self.state.refused).clone()
    }
}

impl State {
    async fn check(self: Arc<Self>, number: usize) {
        let server = &self.servers[number];
        loop {
            server
                .ready
                .store(is_ready(server.address).await, Ordering::SeqCst);
            sleep(CHECK_INTERVAL).await;
        }
    }

    async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            let (client, from) = listener.accept().await.expect("a connection");
            match self.next() {
                Some(number) => drop(tokio::spawn(self.clone().forward(client, from, number))),
                None => lock(&self.refused).push("no server is ready".to_owned()),
            }
        }
    }

    fn next(&self) -> Option<usize> {
        let first = self.turn.fetch_add(1, Ordering::SeqCst);
        let mut numbers = (first..first + self.servers.len()).map(|number| number % self.servers.len());
        numbers.find(|number| self.servers[*number].ready.load(Ordering::SeqCst))
    }

    async fn forward(self: Arc<Self>, mut client: TcpStream, from: SocketAddr, number: usize) {
        match connect(self.servers[number].address).await {
            Ok(mut server) => {
                let _ = client.set_nodelay(true);
                lock(&self.routes).insert(from, number);
                // A request that is lost with the connection is counted by the client.
                let _ = copy_bidirectional(&mut client, &mut server).await;
                lock(&self.routes).remove(&from);
            }
            Err(error) => lock(&self.refused).push(format!("server {number}: {error}")),
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// True if `/readyz` is a 200.
pub(super) async fn is_ready(address: SocketAddr) -> bool {
    let check = async {
        let mut stream = connect(address).await?;
        let request = "GET /readyz HTTP/1.1\r\nhost: balancer\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await?;
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await?;
        Ok::<_, io::Error>(response.starts_with(b"HTTP/1.1 200"))
    };
    matches!(timeout(CHECK_LIMIT, check).await, Ok(Ok(true)))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
