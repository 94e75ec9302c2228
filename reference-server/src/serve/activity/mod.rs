//! The activity of one connection: what it does, and when its time is over.
//!
//! A state machine without a clock and without I/O. The [I/O wrapper](super::io) and the [service wrapper](super::requests)
//! report events to it. The [driver](super::driver) acts on its deadlines.

mod deadline;
mod preface;
#[cfg(test)]
mod tests;

pub(super) use deadline::Timeout;

use std::collections::BTreeMap;

use tokio::time::Instant;

use self::preface::Preface;

/// The number of abandoned requests that a client is always allowed. See [`Activity::resets_rapidly`].
const ABANDONED_REQUESTS: u64 = 100;
/// The limit for the rest of a refused request, in bytes.
const LINGER_BYTES: usize = 64 * 1024 * 1024;

/// The activity of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    /// True after the first HTTP/2 request. Heads of later requests cannot be told from other frames.
    http2: bool,
    preface: Preface,
    /// The state between requests.
    between: Between,
    /// Requests whose response is not complete.
    in_flight: usize,
    /// The number of them that wait for their client, and the time at which the last one began to.
    waiting: usize,
    waiting_since: Instant,
    next_request: u64,
    /// Responses that have data for the client, by request, and the time at which data of them was last sent.
    outgoing: BTreeMap<u64, Instant>,
    /// The last write. With HTTP/2, it can be that of a control frame.
    last_write: Instant,
    /// Since when the socket takes no data.
    write_blocked: Option<Instant>,
    /// Set when a request was answered before its body was read.
    unread_body: bool,
    linger: Option<Linger>,
    answered: u64,
    abandoned: u64,
    aged: bool,
    end: Option<End>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Between {
    /// The connection is new, and nothing was read.
    New(Instant),
    /// Nothing of the next request was read.
    Idle(Instant),
    /// A part of a head was read. The time of the first head begins with the connection.
    ReadingHead(Instant),
}

/// The time until which a connection must have ended.
#[derive(Debug, Clone, Copy)]
enum End {
    /// At this time, requests in flight are still answered.
    AfterRequests(Instant),
    /// At this time, the connection closes in any state.
    AtOnce(Instant),
}

#[derive(Debug)]
struct Linger {
    since: Instant,
    last_read: Instant,
    bytes: usize,
}

impl Activity {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            opened: now,
            http2: false,
            preface: Preface::new(),
            between: Between::New(now),
            in_flight: 0,
            waiting: 0,
            waiting_since: now,
            next_request: 0,
            outgoing: BTreeMap::new(),
            last_write: now,
            write_blocked: None,
            unread_body: false,
            linger: None,
            answered: 0,
            abandoned: 0,
            aged: false,
            end: None,
        }
    }

    /// The TLS handshake is complete: the time for the first head begins.
    pub(super) const fn handshake_done(&mut self, now: Instant) {
        self.between = Between::New(now);
    }

    /// Bytes were read from the client.
    pub(super) fn read(&mut self, bytes: &[u8], now: Instant) {
        self.preface.read(bytes);
        match self.between {
            Between::New(since) => self.between = Between::ReadingHead(since),
            Between::Idle(_) if self.in_flight == 0 && !self.http2 => {
                self.between = Between::ReadingHead(now);
            }
            _ => {}
        }
    }

    /// True if a part of the head of an HTTP/1.1 request was read, and no response is being sent. A response can be sent then.
    pub(super) fn has_part_of_head(&self) -> bool {
        let is_http2 = self.http2 || self.preface.is_http2();
        matches!(self.between, Between::ReadingHead(_)) && self.in_flight == 0 && !is_http2
    }

    /// The socket has taken all data.
    pub(super) const fn flushed(&mut self, now: Instant) {
        if self.write_blocked.is_some() {
            self.wrote(now);
        }
    }

    /// Bytes were written to the client.
    pub(super) const fn wrote(&mut self, now: Instant) {
        self.write_blocked = None;
        self.last_write = now;
    }

    /// The socket takes no data at the moment.
    pub(super) fn write_is_blocked(&mut self, now: Instant) {
        self.write_blocked.get_or_insert(now);
    }

    /// The head of a request is complete. Returns the number of the request.
    pub(super) const fn request_started(&mut self, http2: bool) -> u64 {
        self.http2 |= http2;
        self.in_flight += 1;
        self.unread_body = false;
        self.next_request += 1;
        self.next_request
    }

    /// A response is complete, or its request was abandoned.
    pub(super) const fn request_ended(&mut self, answered: bool, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.in_flight == 0 {
            self.between = Between::Idle(now);
        }
        if answered {
            self.answered += 1;
        } else {
            self.abandoned += 1;
        }
    }

    /// True if the client has abandoned too many requests, and more than were answered. A client that opens and resets streams
    /// rapidly (CVE-2023-44487) does so.
    pub(super) const fn resets_rapidly(&self) -> bool {
        self.abandoned > ABANDONED_REQUESTS && self.abandoned > self.answered
    }

    /// A request waits for the next part of its body.
    pub(super) const fn body_awaited(&mut self, now: Instant) {
        self.waiting += 1;
        self.waiting_since = now;
    }

    /// The part has arrived, or the body is not read any longer.
    pub(super) const fn body_arrived(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// A request was answered before its body was read.
    pub(super) const fn body_unread(&mut self) {
        self.unread_body = true;
    }

    /// The response to a request has data for the client.
    pub(super) fn response_ready(&mut self, request: u64, now: Instant) {
        if self.outgoing.insert(request, now).is_none() {
            self.body_awaited(now);
        }
    }

    /// A part of that data was sent.
    pub(super) fn response_progressed(&mut self, request: u64, now: Instant) {
        if let Some(last) = self.outgoing.get_mut(&request) {
            *last = now;
        }
    }

    /// All data of the response that was ready has been sent.
    pub(super) fn response_sent(&mut self, request: u64) {
        if self.outgoing.remove(&request).is_some() {
            self.body_arrived();
        }
    }

    /// The write side is closed. The rest of the client's request is read and discarded.
    pub(super) fn linger(&mut self, now: Instant) {
        self.linger.get_or_insert(Linger {
            since: now,
            last_read: now,
            bytes: 0,
        });
    }

    /// A part of that rest was read. Returns false if it is too large.
    pub(super) const fn discarded(&mut self, bytes: usize, now: Instant) -> bool {
        if let Some(linger) = &mut self.linger {
            linger.bytes += bytes;
            linger.last_read = now;
            return linger.bytes <= LINGER_BYTES;
        }
        false
    }

    /// True if the client may still send something. If the socket were closed, the client could get a reset in place of its
    /// response.
    pub(super) const fn must_linger(&self) -> bool {
        let discards = match &self.linger {
            Some(linger) => linger.bytes > 0,
            None => false,
        };
        let expects_head = !matches!(self.between, Between::Idle(_)) && self.in_flight == 0;
        discards || self.unread_body || expects_head
    }

    /// The connection must end until `at`. A request that is in flight then is answered before.
    pub(super) const fn end_after_requests(&mut self, at: Instant) {
        if self.end.is_none() {
            self.end = Some(End::AfterRequests(at));
        }
    }

    /// The connection must end at `at`.
    pub(super) const fn end_at(&mut self, at: Instant) {
        self.end = Some(End::AtOnce(at));
    }

    /// The connection has reached its maximum age.
    pub(super) const fn age(&mut self) {
        self.aged = true;
    }

    /// True if the connection must end after the next response.
    pub(super) const fn is_aged(&self) -> bool {
        self.aged
    }

    /// True for a connection that has sent an HTTP/2 request.
    pub(super) const fn is_http2(&self) -> bool {
        self.http2
    }
}
