//! A minimal HTTP/1.1 client. It reads one response at a time, and only responses with a `content-length`.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
};

use memchr::memmem;

/// Larger than any response in the benchmark.
const BUFFER_SIZE: usize = 16 * 1024;

/// A complete response.
pub(super) struct HttpResponse<'a> {
    pub(super) status: u16,
    pub(super) body: &'a [u8],
    /// True if the server closes the connection after it.
    pub(super) is_last: bool,
}

/// The part of a response that has arrived so far.
pub(super) struct ResponseBuffer {
    buffer: Vec<u8>,
    length: usize,
}

impl ResponseBuffer {
    pub(super) fn new() -> Self {
        Self {
            buffer: vec![0; BUFFER_SIZE],
            length: 0,
        }
    }

    /// Reads until the response is complete (`true`) or the stream would block (`false`).
    ///
    /// After a complete response the server sends nothing more, so an edge-triggered poll misses no event.
    pub(super) fn read(&mut self, stream: &mut impl Read) -> bool {
        loop {
            match stream.read(&mut self.buffer[self.length..]) {
                Ok(0) => panic!("the server closed a connection"),
                Ok(count) => self.length += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) => panic!("a connection failed: {error}"),
            }
            if self.body_range().is_some() {
                return true;
            }
        }
    }

    /// Returns the complete response and empties the buffer.
    pub(super) fn take(&mut self) -> HttpResponse<'_> {
        let (body, end) = self.body_range().expect("a complete response");
        assert_eq!(end, self.length, "one response at a time");
        self.length = 0;
        let status = self
            .buffer
            .get(9..12)
            .and_then(|digits| str::from_utf8(digits).ok());
        HttpResponse {
            status: status
                .and_then(|digits| digits.parse().ok())
                .expect("a status code"),
            is_last: memmem::find(&self.buffer[..body], b"onnection: close").is_some(),
            body: &self.buffer[body..end],
        }
    }

    /// Start and end of the body. `None` until the response is complete.
    fn body_range(&self) -> Option<(usize, usize)> {
        let received = &self.buffer[..self.length];
        let head = memmem::find(received, b"\r\n\r\n")? + 4;
        // hyper and some proxies write the name in different cases.
        let find = |name: &[u8]| memmem::find(&received[..head], name);
        let length = find(b"content-length: ").or_else(|| find(b"Content-Length: "));
        let length = length.map_or(0, |at| {
            received[at + 16..head]
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))
        });
        (received.len() >= head + length).then_some((head, head + length))
    }
}

/// A connection that blocks until each response arrives.
pub(crate) struct BlockingClient {
    stream: TcpStream,
    response: ResponseBuffer,
}

impl BlockingClient {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("connect to the server");
        stream.set_nodelay(true).expect("set TCP_NODELAY");
        Self {
            stream,
            response: ResponseBuffer::new(),
        }
    }

    /// Sends a request and returns the status of the response.
    pub(crate) fn send(&mut self, request: &str) -> u16 {
        self.stream
            .write_all(request.as_bytes())
            .expect("send the request");
        assert!(self.response.read(&mut self.stream), "the server must respond");
        self.response.take().status
    }
}
