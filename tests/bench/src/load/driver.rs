//! All connections in one thread over one poll.

use std::{
    io::{ErrorKind, Write as _},
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};

use super::{connection::Incoming, work::Work};

/// A server that says nothing for this long is stuck.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Driver {
    poll: Poll,
    events: Events,
    awake: bool,
    lines: Vec<Line>,
    pub(super) answered: u64,
    pub(super) failed: u64,
}

struct Line {
    stream: TcpStream,
    incoming: Incoming,
    waiting: bool,
}

impl Driver {
    /// With `awake` it looks for answers all the time: a server does not have to wake it, which would cost the slow ones more
    /// often than the fast ones. Needs a core that the server does not run on.
    pub(super) fn new(address: SocketAddr, connections: usize, awake: bool) -> Self {
        let poll = Poll::new().expect("a poll");
        let open = |number| {
            let stream = std::net::TcpStream::connect(address).expect("a connection");
            stream.set_nodelay(true).expect("nodelay");
            stream
                .set_nonblocking(true)
                .expect("a stream that does not block");
            let mut stream = TcpStream::from_std(stream);
            poll.registry()
                .register(&mut stream, Token(number), Interest::READABLE)
                .expect("a registration");
            Line {
                stream,
                incoming: Incoming::new(),
                waiting: false,
            }
        };
        Self {
            lines: (0..connections).map(open).collect(),
            poll,
            events: Events::with_capacity(connections),
            awake,
            answered: 0,
            failed: 0,
        }
    }

    /// Until the time has come, or until there is nothing left to ask. Requests that are under way when the time has come
    /// belong to the next run.
    pub(super) fn run(&mut self, work: &mut impl Work, until: Option<Instant>) {
        let mut waiting = 0;
        for (number, line) in self.lines.iter_mut().enumerate() {
            line.waiting = line.waiting || send(&mut line.stream, work.request(number));
            waiting += usize::from(line.waiting);
        }
        let mut heard = Instant::now();
        while waiting > 0 && until.is_none_or(|until| Instant::now() < until) {
            let patience = if self.awake { Duration::ZERO } else { PATIENCE };
            match self.poll.poll(&mut self.events, Some(patience)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => self.events.clear(),
                polled => polled.expect("a poll that works"),
            }
            if self.events.is_empty() {
                assert!(heard.elapsed() < PATIENCE, "the server does not answer");
                // Redis runs on the same core.
                thread::yield_now();
                continue;
            }
            heard = Instant::now();
            for event in &self.events {
                let Token(number) = event.token();
                let line = &mut self.lines[number];
                if !line.waiting || !line.incoming.read(&mut line.stream) {
                    continue;
                }
                let answer = line.incoming.take();
                self.answered += 1;
                if matches!(answer.status, 200 | 201) {
                    work.answer(number, answer.body);
                } else {
                    if self.failed == 0 {
                        let body = String::from_utf8_lossy(answer.body);
                        eprintln!("refused: {} {body}", answer.status);
                    }
                    self.failed += 1;
                }
                line.waiting = send(&mut line.stream, work.request(number));
                waiting -= usize::from(!line.waiting);
            }
        }
    }
}

/// A request is far smaller than an empty socket's buffer, so it never has to wait. `false` when there is none.
fn send(stream: &mut TcpStream, request: Option<&[u8]>) -> bool {
    let Some(request) = request else {
        return false;
    };
    let sent = stream.write(request).expect("a request sent");
    assert_eq!(sent, request.len(), "a request goes out at once");
    true
}
