//! The server behind a proxy. It describes each request in its response, and echoes the messages of a WebSocket.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::service_fn,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    io::{self, AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};

/// The path of requests that are not recorded.
pub(super) const PROBE: &str = "/public/probe";

/// The key of the example in RFC 6455, the only one that the upstream accepts.
pub const WEBSOCKET_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// The response to [`WEBSOCKET_KEY`].
pub const ACCEPTED_KEY: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A running upstream. It stops when dropped.
pub struct Upstream {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<SeenRequest>>>,
    running: JoinHandle<()>,
}

/// A request that reached the upstream.
#[derive(Debug, Clone)]
pub struct SeenRequest {
    pub method: Method,
    /// The path with the query.
    pub path: String,
    pub headers: HeaderMap,
    /// Empty until the body is complete.
    pub body: Bytes,
}

impl Upstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::<Mutex<Vec<SeenRequest>>>::default();
        let recorded = seen.clone();
        let running = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let seen = recorded.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(seen.clone(), request));
                    // Ends with an error when the proxy breaks the connection.
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .with_upgrades()
                        .await;
                });
            }
        });
        Self {
            address,
            seen,
            running,
        }
    }

    /// The requests so far.
    #[must_use]
    pub fn seen(&self) -> Vec<SeenRequest> {
        lock(&self.seen).clone()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.running.abort();
    }
}

fn lock(seen: &Mutex<Vec<SeenRequest>>) -> MutexGuard<'_, Vec<SeenRequest>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(
    seen: Arc<Mutex<Vec<SeenRequest>>>,
    mut request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, body) = request.into_parts();
    let place = if parts.uri.path() == PROBE {
        None
    } else {
        let mut seen = lock(&seen);
        // Recorded before the body is read: a rejected request must not arrive at all.
        seen.push(SeenRequest {
            method: parts.method.clone(),
            path: parts.uri.to_string(),
            headers: parts.headers.clone(),
            body: Bytes::new(),
        });
        Some(seen.len() - 1)
    };
    if parts.headers.contains_key("upgrade") {
        return Ok(open_websocket(&parts.headers, upgrade));
    }
    let body = body.collect().await.map(|body| body.to_bytes());
    let body = body.unwrap_or_default();
    let description = json!({
        "method": parts.method.as_str(),
        "path": parts.uri.to_string(),
        "headers": parts.headers.iter().map(describe).collect::<Vec<_>>(),
        "bodyLength": body.len(),
    });
    if let Some(place) = place {
        lock(&seen)[place].body = body;
    }
    Ok(Response::new(Full::from(description.to_string())))
}

fn describe((name, value): (&http::HeaderName, &http::HeaderValue)) -> Value {
    json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())])
}

/// Answers the handshake of RFC 6455 and echoes messages in the background.
fn open_websocket(headers: &HeaderMap, upgrade: OnUpgrade) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    if headers
        .get("sec-websocket-key")
        .is_none_or(|key| key != WEBSOCKET_KEY)
    {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    }
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            // Ends when the client closes the connection.
            let _ = echo(TokioIo::new(upgraded)).await;
        }
    });
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for (name, value) in [
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-accept", ACCEPTED_KEY),
    ] {
        response
            .headers_mut()
            .insert(name, value.parse().expect("a value"));
    }
    response
}

/// Sends back each message of a client: frames with a mask and up to 125 bytes.
async fn echo(mut stream: TokioIo<Upgraded>) -> io::Result<()> {
    loop {
        let [kind, length] = [stream.read_u8().await?, stream.read_u8().await?];
        let mut mask = [0; 4];
        stream.read_exact(&mut mask).await?;
        let mut message = vec![0; usize::from(length & 0x7f)];
        stream.read_exact(&mut message).await?;
        for (byte, mask) in message.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
        let frame = [&[kind, length & 0x7f], &message[..]].concat();
        stream.write_all(&frame).await?;
    }
}
