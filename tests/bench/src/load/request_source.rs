//! The source of the next request of each connection.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use memchr::{memchr, memmem};

pub(super) trait RequestSource {
    /// The next request of a connection. `None` if there is none left.
    fn next_request(&mut self, connection: usize) -> Option<&[u8]>;

    /// Takes the body of the response to the last request of a connection.
    fn handle_response(&mut self, _connection: usize, _body: &[u8]) {}
}

/// A fixed list of requests.
pub(super) enum FixedRequests {
    /// Each connection repeats all requests and starts at its own position.
    Repeat { requests: Vec<String>, next: Vec<usize> },
    /// The connections together send each request once.
    Once { requests: Vec<String>, next: usize },
}

impl FixedRequests {
    pub(super) fn repeat(requests: Vec<String>, connections: usize) -> Self {
        let distance = requests.len().div_ceil(connections);
        let next = (0..connections)
            .map(|number| number * distance % requests.len())
            .collect();
        Self::Repeat { requests, next }
    }

    pub(super) const fn once(requests: Vec<String>) -> Self {
        Self::Once { requests, next: 0 }
    }
}

impl RequestSource for FixedRequests {
    fn next_request(&mut self, connection: usize) -> Option<&[u8]> {
        let request = match self {
            Self::Repeat { requests, next } => {
                let index = next[connection];
                next[connection] = if index + 1 == requests.len() { 0 } else { index + 1 };
                requests.get(index)
            }
            Self::Once { requests, next } => {
                *next += 1;
                requests.get(*next - 1)
            }
        };
        request.map(String::as_bytes)
    }
}

/// Renewal requests. Each one uses the token from the previous renewal of its session.
pub(super) struct Renewals {
    /// The sessions of each connection: id and newest token.
    sessions: Vec<Vec<(String, String)>>,
    next: Vec<usize>,
    request: String,
    clock_control: TcpStream,
}

impl Renewals {
    pub(super) fn new(
        sessions: Vec<(String, String)>,
        connections: usize,
        clock_control: SocketAddr,
    ) -> Self {
        let mut by_connection = vec![Vec::new(); connections];
        for (number, session) in sessions.into_iter().enumerate() {
            by_connection[number % connections].push(session);
        }
        let mut renewals = Self {
            sessions: by_connection,
            next: Vec::new(),
            request: String::new(),
            clock_control: TcpStream::connect(clock_control).expect("connect to the server's clock"),
        };
        renewals.next_lap();
        renewals
    }

    /// Advances the server's clock by more than half of a token's lifetime, so that each session can be renewed again.
    pub(super) fn next_lap(&mut self) {
        let mut byte = [1];
        self.clock_control
            .write_all(&byte)
            .expect("send to the server's clock");
        self.clock_control
            .read_exact(&mut byte)
            .expect("read from the server's clock");
        self.next = vec![0; self.sessions.len()];
    }
}

impl RequestSource for Renewals {
    fn next_request(&mut self, connection: usize) -> Option<&[u8]> {
        let (id, token) = self.sessions[connection].get(self.next[connection])?;
        self.request.clear();
        self.request.extend([
            "PUT /v1/sessions/",
            id,
            "/renew HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer ",
            token,
            "\r\ncontent-length: 0\r\n\r\n",
        ]);
        self.next[connection] += 1;
        Some(self.request.as_bytes())
    }

    fn handle_response(&mut self, connection: usize, body: &[u8]) {
        let (_, token) = &mut self.sessions[connection][self.next[connection] - 1];
        let begin = memmem::find(body, br#""token":""#).expect("a token in the response") + 9;
        let length = memchr(b'"', &body[begin..]).expect("the end of the token");
        token.clear();
        token.push_str(str::from_utf8(&body[begin..begin + length]).expect("a token in UTF-8"));
    }
}
