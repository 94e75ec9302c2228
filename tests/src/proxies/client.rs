//! An HTTP/1.1 client with a connection for each request. It reads the response while it still sends the request, since a proxy may
//! reject an upload early.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::api::Reply;

/// Longer than each timeout of a proxy.
const LIMIT: Duration = Duration::from_secs(15);

/// Sends a request and reads its response. Returns the connection too, for upgrades.
pub(super) async fn exchange(
    address: SocketAddr,
    request: &Request<Bytes>,
) -> Result<(Reply, TcpStream), String> {
    let exchanged = timeout(LIMIT, try_exchange(address, request)).await;
    exchanged.map_err(|_| format!("no response in {LIMIT:?}"))?
}

async fn try_exchange(address: SocketAddr, request: &Request<Bytes>) -> Result<(Reply, TcpStream), String> {
    let stream = TcpStream::connect(address).await;
    let mut stream = stream.map_err(|error| error.to_string())?;
    let (mut from_proxy, mut to_proxy) = stream.split();
    let head = head(request);
    let sending = async {
        // The proxy closes the connection after an early rejection.
        if to_proxy.write_all(head.as_bytes()).await.is_ok() {
            let _ = to_proxy.write_all(request.body()).await;
        }
        std::future::pending::<()>().await;
    };
    let is_head = request.method() == Method::HEAD;
    let receiving = async {
        let mut received = Vec::new();
        loop {
            let read = from_proxy.read_buf(&mut received).await;
            let ended = matches!(read, Ok(0) | Err(_));
            if let Some(reply) = complete(&received, is_head, ended) {
                return Ok(reply);
            }
            if ended {
                return Err(format!("an end after {:?}", String::from_utf8_lossy(&received)));
            }
        }
    };
    let reply = tokio::select! {
        reply = receiving => reply?,
        () = sending => unreachable!("it never ends"),
    };
    Ok((reply, stream))
}

fn head(request: &Request<Bytes>) -> String {
    let mut head = format!(
        "{} {} HTTP/1.1\r\nhost: app.example\r\n",
        request.method(),
        request.uri()
    );
    let mut add = |name: &str, value: &str| head.extend([name, ": ", value, "\r\n"]);
    for (name, value) in request.headers() {
        add(name.as_str(), value.to_str().expect("a visible header"));
    }
    if !request.headers().contains_key("connection") {
        add("connection", "close");
    }
    if !request.body().is_empty() {
        add("content-length", &request.body().len().to_string());
    }
    head.push_str("\r\n");
    head
}

/// The response, if it is complete. The response to a HEAD request is complete when the connection ends, so that a body would be
/// noticed.
fn complete(received: &[u8], is_head: bool, ended: bool) -> Option<Reply> {
    let end = received.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
    let (status, headers) = parse_head(&received[..end])?;
    let rest = &received[end..];
    if status == 100 {
        return complete(rest, is_head, ended);
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let body = if status == 101 {
        Vec::new()
    } else if is_head {
        ended.then(|| rest.to_vec())?
    } else if text("transfer-encoding") == Some("chunked") {
        dechunk(rest)?
    } else if let Some(length) = text("content-length") {
        rest.get(..length.parse().ok()?)?.to_vec()
    } else {
        ended.then(|| rest.to_vec())?
    };
    let body = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()))
    };
    Some(Reply {
        status,
        headers,
        body,
    })
}

fn parse_head(head: &[u8]) -> Option<(u16, HeaderMap)> {
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let mut headers = HeaderMap::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        let name: HeaderName = name.parse().ok()?;
        headers.append(name, HeaderValue::from_str(value.trim()).ok()?);
    }
    Some((status, headers))
}

/// The content of a chunked body, if it is complete.
fn dechunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|bytes| bytes == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        let chunk = rest.get(end + 2..end + 2 + size + 2)?;
        if size == 0 {
            return Some(body);
        }
        body.extend(&chunk[..size]);
        rest = &rest[end + 2 + size + 2..];
    }
}
