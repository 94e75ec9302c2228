//! A proxy between clients and a server that loses, delays and repeats messages.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

/// A running proxy. It stops when dropped.
pub struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    running: JoinHandle<()>,
}

struct Shared {
    target: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    seed: Option<u64>,
    /// The paths whose requests meet fates of their own, by number.
    numbers: Mutex<BTreeMap<String, u64>>,
    log: Mutex<Log>,
}

/// What went through.
#[derive(Debug, Default, Clone)]
pub struct Log {
    /// How many requests there were to each path.
    pub requests: BTreeMap<String, u64>,
    /// How many of them met which fate.
    pub fates: BTreeMap<Fate, u64>,
    /// The tokens that the server gave out, by session and renewal count, whether they arrived or not.
    pub tokens: BTreeMap<(String, u64), BTreeSet<String>>,
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    Arrives,
    /// The server never sees it.
    RequestLost,
    /// The server answers, and nobody hears it.
    AnswerLost,
    /// The client gives up, and later the server sees it all the same.
    Late,
    Delayed,
    /// As a proxy does that sends a PUT to another upstream: both arrive at once, one answer is handed on.
    Repeated,
}

impl Proxy {
    /// In front of a server. With a seed, half of the requests meet another fate than to arrive. What becomes of the n-th request
    /// to the m-th [numbered](Self::number) path depends on the seed, n and m alone.
    pub async fn start(target: SocketAddr, seed: Option<u64>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            target,
            client: Client::builder(TokioExecutor::new()).build_http(),
            seed,
            numbers: Mutex::default(),
            log: Mutex::default(),
        });
        let served = shared.clone();
        let running = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = served.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| pass(shared.clone(), request));
                    // It ends with an error whenever an answer is lost.
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            address,
            shared,
            running,
        }
    }

    /// Gives a path the next number.
    pub fn number(&self, path: String) {
        let mut numbers = self.shared.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let next = numbers.len() as u64 + 1;
        numbers.entry(path).or_insert(next);
    }

    /// The tokens that the server gave out for a renewal of a session.
    pub fn tokens(&self, session: &str, renewal: u64) -> BTreeSet<String> {
        let log = self.shared.log();
        let tokens = log.tokens.get(&(session.to_owned(), renewal));
        tokens.cloned().unwrap_or_default()
    }

    /// What went through so far.
    pub fn log(&self) -> Log {
        self.shared.log().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn pass(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, &'static str> {
    let (mut parts, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map_err(|_| "the request broke off")?
        .to_bytes();
    let (fate, pause) = shared.fate(parts.uri.path());
    let uri = format!("http://{}{}", shared.target, parts.uri);
    parts.uri = uri.parse().map_err(|_| "no URI")?;
    let request = Request::from_parts(parts, Full::from(body));
    match fate {
        Fate::Arrives => shared.forward(request).await,
        Fate::RequestLost => Err("lost"),
        Fate::AnswerLost => {
            shared.forward(request).await?;
            Err("lost")
        }
        Fate::Late => {
            tokio::spawn(async move {
                tokio::time::sleep(pause).await;
                shared.forward(request).await
            });
            Err("late")
        }
        Fate::Delayed => {
            tokio::time::sleep(pause).await;
            let answer = shared.forward(request).await;
            tokio::time::sleep(pause).await;
            answer
        }
        Fate::Repeated => {
            let (one, other) = tokio::join!(shared.forward(request.clone()), shared.forward(request));
            if pause.as_millis() % 2 == 0 { one } else { other }
        }
    }
}

impl Shared {
    fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fate(&self, path: &str) -> (Fate, Duration) {
        let mut log = self.log();
        let count = log.requests.entry(path.to_owned()).or_default();
        *count += 1;
        let numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let number = numbers.get(path).copied().unwrap_or_default();
        let random = mix(mix(self.seed.unwrap_or_default() ^ (number << 32)) ^ *count);
        let fate = match random % 10 {
            _ if self.seed.is_none() => Fate::Arrives,
            0 => Fate::RequestLost,
            1 => Fate::AnswerLost,
            2 => Fate::Late,
            3 => Fate::Delayed,
            4 => Fate::Repeated,
            _ => Fate::Arrives,
        };
        *log.fates.entry(fate).or_default() += 1;
        (fate, Duration::from_millis(random >> 32 & 15))
    }

    async fn forward(&self, request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, &'static str> {
        let answer = self.client.request(request).await.map_err(|_| "no answer")?;
        let (parts, body) = answer.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|_| "the answer broke off")?
            .to_bytes();
        if let Ok(Value::Object(issued)) = serde_json::from_slice(&body)
            && let (Some(id), Some(token)) = (
                issued.get("id").and_then(Value::as_str),
                issued.get("token").and_then(Value::as_str),
            )
        {
            let count = issued
                .get("renewalCount")
                .and_then(Value::as_u64)
                .unwrap_or_default();
            let key = (id.to_owned(), count);
            self.log().tokens.entry(key).or_default().insert(token.to_owned());
        }
        Ok(Response::from_parts(parts, Full::from(body)))
    }
}

/// A step of SplitMix64.
fn mix(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}
