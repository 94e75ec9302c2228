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
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use session_auth_tests::{
    api::Api,
    server::{PASSWORD, TestServer},
};
use tokio::{io::AsyncWrite, net::TcpStream, task::JoinHandle, time::sleep};

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
