//! Drives all connections in one thread with one poll.

use std::{
    io::{ErrorKind, Write as _},
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};

use super::{connection::ResponseBuffer, request_source::RequestSource};

/// The benchmark fails if no response arrives for this long.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(20);

pub(super) struct Driver {
    address: SocketAddr,
    poll: Poll,
    events: Events,
    busy_poll: bool,
    connections: Vec<Connection>,
    pub(super) responses: u64,
    pub(super) failed: u64,
}

struct Connection {
    stream: TcpStream,
    response: ResponseBuffer,
    /// Whether a request was sent and its response is not complete.
    waiting: bool,
}

impl Driver {
    /// With `busy_poll` the driver never sleeps, so the server never has to wake it. Slow servers would have to do that more
    /// often than fast ones. It needs a core of its own.
    pub(super) fn new(address: SocketAddr, connections: usize, busy_poll: bool) -> Self {
        let poll = Poll::new().expect("create a poll");
        let connect = |number| Connection {
            stream: connect(address, &poll, number),
            response: ResponseBuffer::new(),
            waiting: false,
        };
        Self {
            address,
            connections: (0..connections).map(connect).collect(),
            poll,
            events: Events::with_capacity(connections),
            busy_poll,
            responses: 0,
            failed: 0,
        }
    }

    /// Runs until the deadline, or until no request is left. Requests in flight at the deadline belong to the next run.
    pub(super) fn run(&mut self, source: &mut impl RequestSource, deadline: Option<Instant>) {
        let mut waiting = 0;
        for (number, connection) in self.connections.iter_mut().enumerate() {
            connection.waiting =
                connection.waiting || send(&mut connection.stream, source.next_request(number));
            waiting += usize::from(connection.waiting);
        }
        let mut last_response = Instant::now();
        while waiting > 0 && deadline.is_none_or(|deadline| Instant::now() < deadline) {
            let timeout = if self.busy_poll {
                Duration::ZERO
            } else {
                RESPONSE_TIMEOUT
            };
            match self.poll.poll(&mut self.events, Some(timeout)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => self.events.clear(),
                polled => polled.expect("poll for responses"),
            }
            if self.events.is_empty() {
                assert!(
                    last_response.elapsed() < RESPONSE_TIMEOUT,
                    "the server does not respond"
                );
                // Redis runs on the same core and needs time too.
                thread::yield_now();
                continue;
            }
            last_response = Instant::now();
            for event in &self.events {
                let Token(number) = event.token();
                let connection = &mut self.connections[number];
                if !connection.waiting || !connection.response.read(&mut connection.stream) {
                    continue;
                }
                let response = connection.response.take();
                let is_last = response.is_last;
                self.responses += 1;
                if matches!(response.status, 200 | 201) {
                    source.handle_response(number, response.body);
                } else {
                    if self.failed == 0 {
                        let body = String::from_utf8_lossy(response.body);
                        eprintln!("rejected: {} {body}", response.status);
                    }
                    self.failed += 1;
                }
                if is_last {
                    connection.stream = connect(self.address, &self.poll, number);
                }
                connection.waiting = send(&mut connection.stream, source.next_request(number));
                waiting -= usize::from(!connection.waiting);
            }
        }
    }
}

/// Connects, and registers the connection by its number.
pub(super) fn connect(address: SocketAddr, poll: &Poll, number: usize) -> TcpStream {
    let stream = std::net::TcpStream::connect(address).expect("connect to the server");
    stream.set_nodelay(true).expect("set TCP_NODELAY");
    stream
        .set_nonblocking(true)
        .expect("set the stream to non-blocking");
    let mut stream = TcpStream::from_std(stream);
    poll.registry()
        .register(&mut stream, Token(number), Interest::READABLE)
        .expect("register the connection");
    stream
}

/// Sends a request. Returns `false` if there is none.
///
/// A request is far smaller than the empty send buffer of a socket, so sending never blocks.
fn send(stream: &mut TcpStream, request: Option<&[u8]>) -> bool {
    let Some(request) = request else {
        return false;
    };
    let sent = stream.write(request).expect("send the request");
    assert_eq!(sent, request.len(), "the request must fit into the send buffer");
    true
}
