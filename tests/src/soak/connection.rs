//! One connection of a client, for one request at a time. It retries nothing: a request that a server may have processed is answered, or
//! it has failed.

use std::{
    error::Error as _,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Version, header::HOST};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};

/// A connection that was idle for longer is not used again, as in any client: the server may close it at the same time. It is less
/// than `shutdown_delay_ms`, so a stopping server has told every client that uses an older connection.
const IDLE_LIMIT: Duration = Duration::from_secs(1);
/// Longer than the time limit of the server, which is a 408.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// A connection to one address. It is opened when it is needed, and opened again after the server has closed it.
pub(super) struct Connection {
    address: SocketAddr,
    version: Version,
    open: Option<Open>,
}

struct Open {
    sender: Sender,
    local: SocketAddr,
    last_used: Instant,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// A point in time on both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) instant: Instant,
    /// In seconds since the epoch, as the servers see it.
    pub(super) seconds: u64,
}

/// A complete response.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// `Null` without a body.
    pub(super) body: Value,
    pub(super) sent: Moment,
    pub(super) received: Moment,
    /// The address of the client, by which the balancer knows the server.
    pub(super) client: SocketAddr,
}

impl Moment {
    pub(super) fn now() -> Self {
        let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            instant: Instant::now(),
            seconds: seconds.expect("a time after 1970").as_secs(),
        }
    }
}

impl Answer {
    /// The code of an error, or an empty string.
    pub(super) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// For messages. A token in it is left out.
    pub(super) fn describe(&self) -> String {
        let mut body = self.body.clone();
        if let Some(token) = body.get_mut("token") {
            *token = "…".into();
        }
        let took = self.received.instant - self.sent.instant;
        format!("{} {body} after {took:?}", self.status)
    }
}

impl Connection {
    pub(super) const fn new(address: SocketAddr, version: Version) -> Self {
        Self {
            address,
            version,
            open: None,
        }
    }

    /// Sends a request whose URI is a path.
    ///
    /// # Errors
    /// If no complete response arrives.
    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let answer = timeout(ANSWER_LIMIT, self.exchange(request)).await;
        let answer = answer.unwrap_or_else(|_| Err(format!("no answer within {ANSWER_LIMIT:?}")));
        if answer.is_err() {
            self.open = None;
        }
        answer
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let request = self.addressed(request);
        let (sent, response, client) = loop {
            let open = self.usable().await?;
            let sent = Moment::now();
            let response = match &mut open.sender {
                Sender::Http1(sender) => sender.try_send_request(request.clone()).await,
                Sender::Http2(sender) => sender.try_send_request(request.clone()).await,
            };
            match response {
                Ok(response) => break (sent, response, open.local),
                Err(error) if is_unprocessed(&error) => self.open = None,
                Err(error) => return Err(format!("no response: {:?}", error.into_error())),
            }
        };
        let (parts, body) = response.into_parts();
        let body = read(body).await?;
        let received = Moment::now();
        if let Some(open) = &mut self.open {
            open.last_used = received.instant;
        }
        Ok(Answer {
            status: parts.status.as_u16(),
            body,
            sent,
            received,
            client,
        })
    }

    fn addressed(&self, mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
        let authority = self.address.to_string();
        if self.version == Version::HTTP_2 {
            let uri = format!("http://{authority}{}", request.uri());
            *request.uri_mut() = uri.parse().expect("a URI");
        } else {
            let host = HeaderValue::from_str(&authority).expect("a header");
            request.headers_mut().insert(HOST, host);
        }
        request
    }

    /// The open connection, or a new one.
    async fn usable(&mut self) -> Result<&mut Open, String> {
        let ready = match &mut self.open {
            Some(open) if open.last_used.elapsed() < IDLE_LIMIT => open.is_ready().await,
            _ => false,
        };
        if !ready {
            self.open = None;
        }
        match &mut self.open {
            Some(_) => {}
            closed => *closed = Some(Open::new(self.address, self.version).await?),
        }
        Ok(self.open.as_mut().expect("an open connection"))
    }
}

impl Open {
    async fn new(address: SocketAddr, version: Version) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("cannot connect: {error}");
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| failed(&error))?;
        stream.set_nodelay(true).map_err(|error| failed(&error))?;
        let local = stream.local_addr().map_err(|error| failed(&error))?;
        let io = TokioIo::new(stream);
        let sender = if version == Version::HTTP_2 {
            let handshake = http2::handshake(TokioExecutor::new(), io).await;
            let (sender, driver) = handshake.map_err(|error| failed(&error))?;
            tokio::spawn(driver);
            Sender::Http2(sender)
        } else {
            let (sender, driver) = http1::handshake(io).await.map_err(|error| failed(&error))?;
            tokio::spawn(driver);
            Sender::Http1(sender)
        };
        Ok(Self {
            sender,
            local,
            last_used: Instant::now(),
        })
    }

    /// False if the server has closed the connection.
    async fn is_ready(&mut self) -> bool {
        match &mut self.sender {
            Sender::Http1(sender) => sender.ready().await.is_ok(),
            Sender::Http2(sender) => sender.ready().await.is_ok(),
        }
    }
}

/// True if the server has surely not processed the request: it was not sent, or it was sent on a stream that a `GOAWAY` excludes (RFC
/// 9113, section 6.8). Every client opens another connection then.
fn is_unprocessed(error: &TrySendError<Request<Full<Bytes>>>) -> bool {
    let http2 = error
        .error()
        .source()
        .and_then(|source| source.downcast_ref::<h2::Error>());
    let excluded = http2.is_some_and(|error| {
        error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR)
    });
    error.message().is_some() || excluded
}

async fn read(body: Incoming) -> Result<Value, String> {
    let bytes = body
        .collect()
        .await
        .map_err(|error| format!("no complete body: {error:?}"))?;
    let bytes = bytes.to_bytes();
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    // The text of metrics is not JSON.
    Ok(serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned())))
}
