//! Connections of the server: protocols, time limits, places, refused uploads, and the drain.

mod drain;
mod places;
mod protocols;
mod timeouts;
mod tls;
mod unix_socket;
mod uploads;

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use session_auth_tests::{
    api::Api,
    raw_http::{RawClient, SOON},
    server::{PASSWORD, TestServer},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWrite},
    net::TcpStream,
    task::JoinHandle,
    time::{sleep, timeout},
};

/// A client of HTTP/2 on one connection.
struct Http2Client {
    sender: http2::SendRequest<Full<Bytes>>,
    /// Ends with the connection.
    connection: JoinHandle<hyper::Result<()>>,
}

impl Http2Client {
    async fn connect(address: SocketAddr) -> Self {
        Self::connect_with(address, |_| {}).await
    }

    async fn connect_with(
        address: SocketAddr,
        adjust: impl FnOnce(&mut http2::Builder<TokioExecutor>),
    ) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        Self::over(stream, adjust).await
    }

    async fn over<S>(stream: S, adjust: impl FnOnce(&mut http2::Builder<TokioExecutor>)) -> Self
    where
        S: tokio::io::AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        adjust(&mut builder);
        let handshake = builder.handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.expect("a handshake");
        Self {
            sender,
            connection: tokio::spawn(connection),
        }
    }

    async fn get(&mut self, path: &str) -> hyper::Result<Response<Incoming>> {
        let uri = format!("http://localhost{path}");
        let request = Request::get(uri).body(Full::default()).expect("a request");
        self.sender.send_request(request).await
    }

    /// Requests a path. Returns the status and the body.
    async fn fetch(&mut self, path: &str) -> (u16, Bytes) {
        let response = self.get(path).await.expect("a response");
        assert_eq!(response.version(), http::Version::HTTP_2);
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a body");
        (status, body.to_bytes())
    }
}

/// An HTTP/2 client that has requested `/healthz`, and that answers no frame of the server. It accepts `window` bytes of a body.
async fn silent_http2_client(address: SocketAddr, window: u32) -> RawClient {
    let mut client = RawClient::connect(address).await;
    let mut frames = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // SETTINGS_INITIAL_WINDOW_SIZE.
    frames.extend([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4]);
    frames.extend(window.to_be_bytes());
    // HEADERS of stream 1, with END_HEADERS and END_STREAM.
    frames.extend([0, 0, 15, 1, 5, 0, 0, 0, 1]);
    frames.extend(b"\x82\x86\x04\x08/healthz\x01\x01x");
    client.send(frames).await;
    // HEADERS, or DATA with END_STREAM: the end of what the server can send.
    let last = if window == 0 {
        [1, 4, 0, 0, 0, 1]
    } else {
        [0, 1, 0, 0, 0, 1]
    };
    let mut received = Vec::new();
    while !received.windows(last.len()).any(|bytes| bytes == last) {
        let read = timeout(SOON, client.stream().read_buf(&mut received)).await;
        assert!(read.expect("a response").expect("no reset") > 0, "an end");
    }
    client
}

/// A PING frame of HTTP/2.
const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

/// The number of connections that the server has closed, for any reason.
async fn closed_connections(api: &Api) -> f64 {
    let reply = api.master(Method::GET, "/metrics", None).await.expect(200);
    let text = reply.body.as_str().expect("a text");
    let lines = text
        .lines()
        .filter(|line| line.starts_with("session_auth_connections_closed_total{"));
    let counts = lines.map(|line| line.rsplit(' ').next().expect("a count"));
    counts.map(|count| count.parse::<f64>().expect("a number")).sum()
}

/// Advances the clock of the runtime, and so that of the server, without waiting. The server then acts on its deadlines.
async fn advance(by: Duration) {
    tokio::time::pause();
    tokio::time::advance(by).await;
    // While the clock is paused, it advances by itself when no task can run.
    sleep(Duration::from_millis(1)).await;
    tokio::time::resume();
}

/// Waits until a counter has reached a value.
async fn metric_reaches(server: &TestServer, name: &str, value: f64) {
    metric_becomes(server, name, |count| count >= value).await;
}

/// Waits until a gauge has fallen to a value.
async fn metric_falls_to(server: &TestServer, name: &str, value: f64) {
    metric_becomes(server, name, |count| count <= value).await;
}

async fn metric_becomes(server: &TestServer, name: &str, expected: impl Fn(f64) -> bool) {
    for _ in 0..500 {
        // A new connection: the server may have closed an idle one.
        let api = Api::new(server.address, PASSWORD);
        if api.metric(name).await.is_some_and(&expected) {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("unexpected {name}");
}
