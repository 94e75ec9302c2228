//! HTTP/1.1 from the client's side, as far as the servers here need it: answers with a length, one at a time.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
};

use memchr::memmem;

/// Larger than any answer but a page of a list, which nobody asks for here.
const BUFFER: usize = 16 * 1024;

/// A whole answer.
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    pub(super) body: &'a [u8],
}

/// What has come of an answer so far.
pub(super) struct Incoming {
    buffer: Vec<u8>,
    filled: usize,
}

impl Incoming {
    pub(super) fn new() -> Self {
        Self {
            buffer: vec![0; BUFFER],
            filled: 0,
        }
    }

    /// Reads what is there. `true` when the answer is whole.
    ///
    /// The stream may be left with nothing to read and no word about it (a short read says so), which suits an
    /// edge-triggered poll.
    pub(super) fn read(&mut self, stream: &mut impl Read) -> bool {
        loop {
            match stream.read(&mut self.buffer[self.filled..]) {
                Ok(0) => panic!("the server closed a connection"),
                Ok(length) => self.filled += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) => panic!("a connection broke: {error}"),
            }
            if self.end().is_some() {
                return true;
            }
        }
    }

    /// Takes the whole answer out.
    pub(super) fn take(&mut self) -> Answer<'_> {
        let (body, end) = self.end().expect("a whole answer");
        assert_eq!(end, self.filled, "one answer at a time");
        self.filled = 0;
        let status = self
            .buffer
            .get(9..12)
            .and_then(|digits| str::from_utf8(digits).ok());
        Answer {
            status: status.and_then(|digits| digits.parse().ok()).expect("a status"),
            body: &self.buffer[body..end],
        }
    }

    /// Where the body begins and ends, once all of it is there.
    fn end(&self) -> Option<(usize, usize)> {
        let came = &self.buffer[..self.filled];
        let head = memmem::find(came, b"\r\n\r\n")? + 4;
        let length = memmem::find(&came[..head], b"content-length: ").map_or(0, |at| {
            came[at + 16..head]
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))
        });
        (came.len() >= head + length).then_some((head, head + length))
    }
}

/// One connection that waits for each answer.
pub(crate) struct Blocking {
    stream: TcpStream,
    incoming: Incoming,
}

impl Blocking {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("nodelay");
        Self {
            stream,
            incoming: Incoming::new(),
        }
    }

    /// The status of the answer.
    pub(crate) fn ask(&mut self, request: &str) -> u16 {
        self.stream.write_all(request.as_bytes()).expect("a request sent");
        assert!(self.incoming.read(&mut self.stream), "an answer");
        self.incoming.take().status
    }
}
