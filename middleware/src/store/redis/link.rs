//! The published state of a supervised connection, and the reports of its faults.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    endpoint::{Endpoint, RedisConnection},
    lease::Lease,
};
use crate::store::StoreError;

/// The reason in errors when the lease of the master has ended.
pub(super) const UNCONFIRMED: &str = "no majority confirms the master";

/// The state of the connection.
#[derive(Clone)]
pub(super) enum State {
    /// The first attempt, or the first one after a loss. Callers wait for its result.
    Connecting,
    Up(Link),
    /// The last attempt failed. Callers fail at once with this reason.
    Down(String),
}

/// A connection in use.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) connection: RedisConnection,
    /// The server that it reaches.
    pub(super) endpoint: Arc<Endpoint>,
    /// The time until which that server may be used.
    pub(super) lease: Lease,
    /// The number of the connection attempt.
    pub(super) attempt: u64,
    pub(super) since: Instant,
    /// `None` if the user may not call `TIME`.
    pub(super) server_time: Option<ServerTime>,
    /// The time limit of an attempt to connect.
    pub(super) connect_timeout: Duration,
}

impl Link {
    /// Checks the lease. It is checked before a command is sent, and before its reply is used.
    pub(super) fn ensure_confirmed(&self) -> Result<(), StoreError> {
        if self.lease.holds() {
            return Ok(());
        }
        Err(StoreError::Unavailable(UNCONFIRMED.into()))
    }
}

/// The server's time at the last `TIME` command, in milliseconds.
#[derive(Clone, Copy)]
pub(super) struct ServerTime {
    millis: u64,
    asked: Instant,
}

impl ServerTime {
    pub(super) fn read(reply: &(u64, u64), asked: Instant) -> Self {
        let millis = reply.0.saturating_mul(1000).saturating_add(reply.1 / 1000);
        Self { millis, asked }
    }

    /// The server's time in its answer.
    pub(super) const fn millis(self) -> u64 {
        self.millis
    }

    /// Estimates the server's current time, within one round trip.
    pub(super) fn now_millis(self) -> u64 {
        let since = u64::try_from(self.asked.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.millis.saturating_add(since)
    }
}

/// A report that a connection does not work.
#[derive(Clone, Copy)]
pub(super) struct ConnectionFault {
    pub(super) attempt: u64,
    pub(super) kind: FaultKind,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum FaultKind {
    /// A call missed its deadline. The supervisor checks the connection's health.
    DeadlineMissed,
    /// The supervisor replaces the connection.
    Broken,
}
