//! The standing of a connection, and its next deadline.

use std::time::Duration;

use tokio::time::Instant;

use super::{Activity, Between, End};
use crate::{config::Limits, serve::places::Standing};

/// The time in which the rest of a refused request is read. It begins when the response is written and the write side is closed.
pub(super) const LINGER: Duration = Duration::from_secs(30);
/// The longest pause in the rest of a refused request.
pub(super) const LINGER_PAUSE: Duration = Duration::from_secs(5);

/// The time limit that a connection has exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::serve) enum Timeout {
    /// Too long without a request.
    Idle,
    /// The head of a request took too long.
    Header,
    /// The client does not read responses.
    Write,
    /// The rest of a refused request took too long.
    Linger,
    /// The connection has reached its maximum age.
    Age,
    /// The connection has not ended in the time that it had for its end.
    End,
}

impl Activity {
    /// The current activity of the connection.
    pub(in crate::serve) const fn standing(&self) -> Standing {
        if let Some(linger) = &self.linger {
            return Standing::WaitingForClient(linger.since);
        }
        if let Some(since) = self.write_blocked {
            return Standing::WaitingForClient(since);
        }
        match self.between {
            _ if self.in_flight > 0 && self.waiting >= self.in_flight => {
                Standing::WaitingForClient(self.waiting_since)
            }
            _ if self.in_flight > 0 => Standing::Busy,
            Between::Idle(since) => Standing::Idle(since),
            Between::New(since) | Between::ReadingHead(since) => Standing::ReadingHead(since),
        }
    }

    /// The next deadline, if nothing happens before.
    pub(in crate::serve) fn deadline(&self, limits: &Limits) -> (Instant, Timeout) {
        let mut next = if self.aged {
            // Upper bound for the life of a connection.
            let end = limits.max_age + limits.idle + limits.request + limits.write;
            (self.opened + end, Timeout::End)
        } else {
            (self.opened + limits.max_age, Timeout::Age)
        };
        let mut add = |at: Instant, timeout| next = next.min((at, timeout));
        if let Some(linger) = &self.linger {
            add(linger.since + LINGER, Timeout::Linger);
            add(linger.last_read + LINGER_PAUSE, Timeout::Linger);
        } else if self.in_flight == 0 && self.write_blocked.is_none() {
            match self.between {
                // The connection is ending already.
                Between::Idle(_) if self.end.is_some() => {}
                Between::Idle(since) => add(since + limits.idle, Timeout::Idle),
                Between::New(since) | Between::ReadingHead(since) => {
                    add(since + limits.head, Timeout::Header);
                }
            }
        }
        if let Some(since) = self.write_blocked {
            add(since + limits.write, Timeout::Write);
        }
        if let Some(since) = self.outgoing.values().min() {
            // Writes of HTTP/2 can be control frames. They are no progress of a response.
            let since = if self.http2 {
                *since
            } else {
                self.last_write.max(*since)
            };
            add(since + limits.write, Timeout::Write);
        }
        match self.end {
            Some(End::AtOnce(at)) => add(at, Timeout::End),
            Some(End::AfterRequests(at)) if self.in_flight == 0 => add(at, Timeout::End),
            _ => {}
        }
        next
    }
}
