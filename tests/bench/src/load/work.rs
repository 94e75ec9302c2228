//! What is asked next.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use memchr::{memchr, memmem};

pub(super) trait Work {
    /// The next request of a connection; `None` when it has none left.
    fn request(&mut self, connection: usize) -> Option<&[u8]>;

    /// The body of the answer to its last one.
    fn answer(&mut self, _connection: usize, _body: &[u8]) {}
}

/// Requests that are known beforehand.
pub(super) enum Replay {
    /// Each connection goes round through all of them, from a place of its own.
    Endless { requests: Vec<String>, next: Vec<usize> },
    /// All connections together send each of them once.
    Once { requests: Vec<String>, next: usize },
}

impl Replay {
    pub(super) fn endless(requests: Vec<String>, connections: usize) -> Self {
        let apart = requests.len().div_ceil(connections);
        let next = (0..connections)
            .map(|number| number * apart % requests.len())
            .collect();
        Self::Endless { requests, next }
    }

    pub(super) const fn once(requests: Vec<String>) -> Self {
        Self::Once { requests, next: 0 }
    }
}

impl Work for Replay {
    fn request(&mut self, connection: usize) -> Option<&[u8]> {
        let request = match self {
            Self::Endless { requests, next } => {
                let at = next[connection];
                next[connection] = if at + 1 == requests.len() { 0 } else { at + 1 };
                requests.get(at)
            }
            Self::Once { requests, next } => {
                *next += 1;
                requests.get(*next - 1)
            }
        };
        request.map(String::as_bytes)
    }
}

/// Renewals, each with the token that the last one gave.
pub(super) struct Renewals {
    /// Each connection's own sessions: id and newest token.
    sessions: Vec<Vec<(String, String)>>,
    next: Vec<usize>,
    request: String,
    clock: TcpStream,
}

impl Renewals {
    pub(super) fn new(sessions: Vec<(String, String)>, connections: usize, clock: SocketAddr) -> Self {
        let mut own = vec![Vec::new(); connections];
        for (number, session) in sessions.into_iter().enumerate() {
            own[number % connections].push(session);
        }
        let mut renewals = Self {
            sessions: own,
            next: Vec::new(),
            request: String::new(),
            clock: TcpStream::connect(clock).expect("the server's clock"),
        };
        renewals.next_lap();
        renewals
    }

    /// Moves the clock by more than half of a ttl: then every session can be renewed again.
    pub(super) fn next_lap(&mut self) {
        let mut byte = [1];
        self.clock.write_all(&byte).expect("the clock listens");
        self.clock.read_exact(&mut byte).expect("the clock has moved");
        self.next = vec![0; self.sessions.len()];
    }
}

impl Work for Renewals {
    fn request(&mut self, connection: usize) -> Option<&[u8]> {
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

    fn answer(&mut self, connection: usize, body: &[u8]) {
        let (_, token) = &mut self.sessions[connection][self.next[connection] - 1];
        let begin = memmem::find(body, br#""token":""#).expect("a token") + 9;
        let length = memchr(b'"', &body[begin..]).expect("a token's end");
        token.clear();
        token.push_str(str::from_utf8(&body[begin..begin + length]).expect("a token"));
    }
}
