//! Answers without a service: to a connection that gets no place at all, and to a head that takes too long.

use std::time::Duration;

use http::HeaderMap;
use http_body_util::BodyExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy, sink},
    time::timeout,
};
use tower_session_auth::{AuthError, ErrorKind, response::problem_response};

use super::io::Io;
use crate::config::REALM;

/// The time for an answer. It is written into the empty buffer of a new socket, and never waits for the client.
const WRITE: Duration = Duration::from_millis(10);

/// The time for an answer to a client that is still sending, and the most that is read in it, in bytes.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: u64 = 1024 * 1024;

/// Makes the response for an error of this kind, with `Connection: close`.
pub(super) async fn response(kind: ErrorKind) -> Vec<u8> {
    let response = problem_response(&AuthError::new(kind), REALM, &HeaderMap::new());
    let (parts, body) = response.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(never) => match never {},
    };
    let mut bytes = format!("HTTP/1.1 {}\r\n", parts.status).into_bytes();
    for (name, value) in &parts.headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
        .extend_from_slice(format!("connection: close\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

/// Sends the response to a client whose request was not read, and closes the connection.
pub(super) async fn refuse(mut io: Box<dyn Io>, response: &[u8]) {
    let answered = async {
        io.write_all(response).await?;
        io.shutdown().await
    };
    if let Ok(Ok(())) = timeout(WRITE, answered).await {
        // If a small request is read before the socket is closed, the client gets no reset.
        let mut request = [0; 16 * 1024];
        let _ = timeout(Duration::ZERO, io.read(&mut request)).await;
    }
}

/// Sends the response to a client that is still sending its request, and closes the connection. What the client sends meanwhile is
/// discarded, so that it gets no reset.
pub(super) async fn answer_slow_head(mut io: Box<dyn Io>, response: &[u8]) {
    let answered = async {
        io.write_all(response).await?;
        io.shutdown().await?;
        copy(&mut io.take(LINGER_BYTES), &mut sink()).await
    };
    let _ = timeout(LINGER, answered).await;
}
