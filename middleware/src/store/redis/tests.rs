//! Panics of background tasks, against a minimal server.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep},
};

use super::{address::Address, *};
use crate::store::{CachedStore as _, SessionStore as _};

/// A server that reports itself as a master and answers any other command with OK. Returns its URL.
async fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    format!("redis://{address}")
}

async fn answer(stream: TcpStream) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut words = Vec::new();
        for _ in 0..number(&mut stream, '*').await? {
            let mut word = vec![0; number(&mut stream, '$').await? + 2];
            stream.read_exact(&mut word).await.ok()?;
            words.push(String::from_utf8(word).ok()?.trim().to_owned());
        }
        let reply = match words.first()?.as_str() {
            "HELLO" => "%1\r\n+role\r\n+master\r\n",
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
