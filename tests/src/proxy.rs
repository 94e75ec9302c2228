//! An HTTP proxy that loses, delays and repeats messages between clients and a server.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
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
    /// The fates of the next requests.
    next: Mutex<VecDeque<Fate>>,
    /// The numbers of the paths that have their own sequence of fates.
    numbers: Mutex<BTreeMap<String, u64>>,
    log: Mutex<Log>,
}

/// A record of the traffic.
#[derive(Debug, Default, Clone)]
pub struct Log {
    /// The number of requests to each path.
    pub requests: BTreeMap<String, u64>,
    /// The number of requests with each fate.
    pub fates: BTreeMap<Fate, u64>,
    /// The tokens in the server's responses, by session and renewal count, whether or not the response arrived.
    pub tokens: BTreeMap<(String, u64), BTreeSet<String>>,
}

/// The fate of a request at the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    Arrives,
    /// The request does not reach the server.
    RequestLost,
    /// The server responds, and the response does not reach the client.
    AnswerLost,
    /// The client's connection breaks, and the request reaches the server later.
    Late,
    Delayed,
    /// The request reaches the server twice at the same time, as when a proxy retries a PUT on another upstream. The client
    /// gets one response.
    Repeated,
}

impl Proxy {
    /// Starts a proxy in front of a server. Without a seed, every request arrives. With a seed, half of them have another fate:
    /// the fate of the n-th request to the m-th [numbered](Self::number) path depends only on the seed, n and m.
    pub async fn start(target: SocketAddr, seed: Option<u64>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            target,
            client: Client::builder(TokioExecutor::new()).build_http(),
            seed,
            next: Mutex::default(),
            numbers: Mutex::default(),
            log: Mutex::default(),
        });
        let served = shared.clone();
        let running = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = served.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| pass(shared.clone(), request));
                    // Ends with an error when a response is lost.
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

    /// Assigns the next number to a path.
    pub fn number(&self, path: String) {
        let mut numbers = self.shared.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let next = numbers.len() as u64 + 1;
        numbers.entry(path).or_insert(next);
    }

    /// Sets the fates of the next requests, instead of those that depend on the seed.
    pub fn next(&self, fates: Vec<Fate>) {
        let mut next = self.shared.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.extend(fates);
    }

    /// The tokens that the server issued for the n-th renewal of a session.
    pub fn tokens(&self, session: &str, renewal: u64) -> BTreeSet<String> {
        let log = self.shared.log();
        let tokens = log.tokens.get(&(session.to_owned(), renewal));
        tokens.cloned().unwrap_or_default()
    }

    /// The traffic so far.
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
        let set = self
            .next
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front();
        let fate = match random % 10 {
            _ if set.is_some() => set.unwrap_or(Fate::Arrives),
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

/// One step of SplitMix64.
fn mix(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}
