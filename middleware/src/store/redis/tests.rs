//! Background tasks, against a minimal server: their panics, and pushes at any moment.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Instant, sleep},
};

use super::{address::Address, *};
use crate::store::{CachedStore as _, SessionStore as _};

/// A server that reports itself as a master and answers any other command with OK. Returns its URL.
async fn serve() -> String {
    serve_with(Arc::new(Pings::new(usize::MAX, usize::MAX))).await
}

async fn serve_with(pings: Arc<Pings>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, pings.clone()));
        }
    });
    format!("redis://{address}")
}

/// The answers to the pings of a tracking connection. The first `HELLO` after `CLIENT TRACKING` is ping 0.
struct Pings {
    /// A flush is pushed before the answer to this ping.
    flushed_before: usize,
    /// The answer to this ping is withheld until `release` has a permit.
    withheld: usize,
    /// Has a permit when that ping was received.
    received: Semaphore,
    release: Semaphore,
}

impl Pings {
    fn new(flushed_before: usize, withheld: usize) -> Self {
        Self {
            flushed_before,
            withheld,
            received: Semaphore::new(0),
            release: Semaphore::new(0),
        }
    }
}

async fn answer(stream: TcpStream, pings: Arc<Pings>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut next_ping = None;
    loop {
        let mut words = Vec::new();
        for _ in 0..number(&mut stream, '*').await? {
            let mut word = vec![0; number(&mut stream, '$').await? + 2];
            stream.read_exact(&mut word).await.ok()?;
            words.push(String::from_utf8(word).ok()?.trim().to_owned());
        }
        let reply = match words.first()?.as_str() {
            "HELLO" => {
                let ping = next_ping;
                next_ping = ping.map(|ping| ping + 1);
                if ping == Some(pings.withheld) {
                    pings.received.add_permits(1);
                    pings.release.acquire().await.ok()?.forget();
                }
                if ping == Some(pings.flushed_before) {
                    ">2\r\n$10\r\ninvalidate\r\n_\r\n%1\r\n+role\r\n+master\r\n"
                } else {
                    "%1\r\n+role\r\n+master\r\n"
                }
            }
            "CLIENT" if words[1] == "TRACKING" => {
                next_ping = Some(0);
                "+OK\r\n"
            }
            "TIME" => "*2\r\n:1760000000\r\n:0\r\n",
            "INFO" => "$10\r\nrun_id:abc\r\n",
            _ => "+OK\r\n",
        };
        stream.write_all(reply.as_bytes()).await.ok()?;
    }
}

async fn number(stream: &mut BufReader<TcpStream>, kind: char) -> Option<usize> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    line.trim().strip_prefix(kind)?.parse().ok()
}

/// The server of a configuration.
fn endpoint(config: &RedisStoreConfig) -> Arc<endpoint::Endpoint> {
    match config.location().unwrap() {
        Location::One(Address::Fixed(endpoint)) => endpoint,
        _ => panic!("one server"),
    }
}

async fn until(condition: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < Duration::from_secs(10), "never {condition}");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_panic_in_the_connection_supervisor_does_not_end_the_store() {
    let config = RedisStoreConfig::new(serve().await);
    let endpoint = endpoint(&config);
    endpoint.injected_panics.store(2, Ordering::SeqCst);
    let store = RedisStore::connect(&config, Location::One(Address::Fixed(endpoint.clone())));
    until("connected", async || store.ping().await.is_ok()).await;
    assert_eq!(endpoint.injected_panics.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_panic_in_the_tracking_thread_does_not_end_the_near_cache() {
    let config = RedisStoreConfig::new(serve().await);
    let endpoint = endpoint(&config);
    let store = RedisStore::connect(&config, Location::One(Address::Fixed(endpoint.clone())));
    until("connected", async || store.ping().await.is_ok()).await;
    endpoint.injected_panics.store(2, Ordering::SeqCst);
    store.enable_cache().unwrap();
    until("coherent", async || {
        store.cache_stats().is_some_and(|stats| stats.coherent)
    })
    .await;
    assert_eq!(endpoint.injected_panics.load(Ordering::SeqCst), 0);
}

/// The flush begins a new epoch. The ping was sent before it, so its answer says nothing about the new epoch.
#[tokio::test]
async fn a_ping_from_before_a_flush_does_not_extend_the_lease_after_it() {
    // Ping 0 asks for the role, and ping 1 is the first that can extend the lease.
    let pings = Arc::new(Pings::new(1, 2));
    let mut config = RedisStoreConfig::new(serve_with(pings.clone()).await);
    // Far longer than the pause between two pings.
    config.near_cache.bound = Duration::from_secs(2);
    let store = RedisStore::connect(&config, config.location().unwrap());
    store.enable_cache().unwrap();
    // Ping 2 is sent after the answer to ping 1 was processed.
    pings.received.acquire().await.unwrap().forget();
    assert!(!store.cache_stats().unwrap().coherent);
    pings.release.add_permits(1);
    until("coherent", async || {
        store.cache_stats().is_some_and(|stats| stats.coherent)
    })
    .await;
}
