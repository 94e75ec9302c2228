//! A closed loop that measures the time until each response, apart for admitted and for refused requests.

use std::{
    io::{ErrorKind, Write as _},
    net::SocketAddr,
    time::{Duration, Instant},
};

use mio::{Events, Poll, Token, net::TcpStream};

use super::{connection::ResponseBuffer, driver::connect};

/// The times until the responses.
#[derive(Default)]
pub(crate) struct Latencies {
    pub(crate) admitted: Vec<Duration>,
    pub(crate) refused: Vec<Duration>,
}

struct Connection {
    stream: TcpStream,
    response: ResponseBuffer,
    sent: Instant,
}

impl Latencies {
    /// Each connection sends this request again as soon as it has the last response, also after a refusal.
    pub(crate) fn measure(
        address: SocketAddr,
        request: &str,
        connections: usize,
        warm_up: Duration,
        window: Duration,
    ) -> Self {
        let mut poll = Poll::new().expect("create a poll");
        let mut connections: Vec<Connection> = (0..connections)
            .map(|number| {
                let mut connection = Connection {
                    stream: connect(address, &poll, number),
                    response: ResponseBuffer::new(),
                    sent: Instant::now(),
                };
                connection.send(request);
                connection
            })
            .collect();
        let mut events = Events::with_capacity(connections.len());
        let began = Instant::now() + warm_up;
        let mut latencies = Self::default();
        while Instant::now() < began + window {
            match poll.poll(&mut events, Some(Duration::from_secs(20))) {
                Err(error) if error.kind() == ErrorKind::Interrupted => events.clear(),
                polled => polled.expect("poll for responses"),
            }
            for event in &events {
                let Token(number) = event.token();
                let connection = &mut connections[number];
                if connection.response.read(&mut connection.stream) {
                    let status = connection.response.take().status;
                    let now = Instant::now();
                    if connection.sent >= began {
                        let times = match status {
                            200 => &mut latencies.admitted,
                            503 => &mut latencies.refused,
                            status => panic!("status {status}"),
                        };
                        times.push(now - connection.sent);
                    }
                    connection.send(request);
                }
            }
        }
        latencies.admitted.sort();
        latencies.refused.sort();
        latencies
    }
}

impl Connection {
    fn send(&mut self, request: &str) {
        self.sent = Instant::now();
        let sent = self.stream.write(request.as_bytes()).expect("send the request");
        assert_eq!(sent, request.len(), "the request must fit into the send buffer");
    }
}
