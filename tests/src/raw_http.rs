//! HTTP/1.1 as bytes on a connection, for clients that behave unusually.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

/// Far longer than any step takes.
pub const SOON: Duration = Duration::from_secs(10);

/// A request for `/healthz` that keeps its connection open.
pub const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";

/// A connection of a client.
pub struct RawClient<S = TcpStream> {
    stream: S,
    received: Vec<u8>,
}

impl RawClient {
    /// Connects from any local address.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).await.expect("a connection"))
    }

    /// Connects from this local IPv4 address, such as `127.0.0.2`.
    pub async fn connect_from(source: &str, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        let source = SocketAddr::new(source.parse().expect("an address"), 0);
        socket.bind(source).expect("a local address");
        Self::new(socket.connect(address).await.expect("a connection"))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> RawClient<S> {
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            received: Vec::new(),
        }
    }

    pub fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Sends bytes. Errors are ignored: the server may have closed the connection.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = timeout(SOON, self.stream.write_all(bytes.as_ref())).await;
        let _ = sent.expect("the server reads");
    }

    /// Sends bytes, all of which the server must read.
    pub async fn send_all(&mut self, bytes: &[u8]) {
        let sent = timeout(SOON, self.stream.write_all(bytes)).await;
        sent.expect("the server reads").expect("no reset");
    }

    /// Sends a request and returns its response.
    pub async fn request(&mut self, request: &str) -> String {
        self.send(request).await;
        self.response().await.expect("a response")
    }

    /// Reads one response with a `Content-Length`. `None` if the connection ends before.
    pub async fn response(&mut self) -> Option<String> {
        loop {
            if let Some(length) = complete(&self.received) {
                let response: Vec<u8> = self.received.drain(..length).collect();
                return Some(String::from_utf8_lossy(&response).into_owned());
            }
            let read = timeout(SOON, self.stream.read_buf(&mut self.received)).await;
            match read.expect("an answer or an end") {
                Ok(1..) => {}
                Ok(0) | Err(_) => return None,
            }
        }
    }

    /// Reads until the connection ends. Returns all bytes, and false if it was reset.
    pub async fn rest(&mut self) -> (String, bool) {
        let read = timeout(SOON, self.stream.read_to_end(&mut self.received)).await;
        let clean = read.expect("an end").is_ok();
        (String::from_utf8_lossy(&self.received).into_owned(), clean)
    }
}

/// The length of the first response, if it is complete.
fn complete(received: &[u8]) -> Option<usize> {
    let end = received.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&received[..end]).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().expect("a length"));
    (received.len() >= end + length).then_some(end + length)
}
