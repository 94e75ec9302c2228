//! Counts of connections and of refused requests.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::activity::Timeout;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        /// The counts of one server since its start.
        #[derive(Debug, Default)]
        pub struct Counters {
            $(pub(super) $name: Count,)*
        }

        impl Counters {
            $($(#[$doc])* #[must_use] pub fn $name(&self) -> u64 { self.$name.get() })*
        }
    };
}

counters! {
    /// Connections that are open now.
    open;
    /// Connections that were accepted, with those that were refused afterwards.
    accepted;
    /// Connections for which no place was free. They are served from the reserve, which admits only health checks and
    /// administrators.
    refused_server_full;
    /// The same, because their client had its maximum of connections.
    refused_client_full;
    /// Connections for which the reserve had no place either. They were closed with a 503 response at once.
    refused_reserve_full;
    /// Connections that were evicted for a new one.
    evicted;
    /// Connections that were idle for too long.
    timeouts_idle;
    /// Connections whose request head, or TLS handshake, took too long.
    timeouts_header;
    /// Connections whose client did not read the responses.
    timeouts_write;
    /// Connections whose client sent the rest of a refused request for too long.
    timeouts_linger;
    /// Connections that reached their maximum age.
    timeouts_age;
    /// Connections that did not end in time when the server stopped.
    timeouts_end;
    /// Connections that were closed because their client reset most of its requests.
    rapid_resets;
    /// TLS handshakes that failed.
    tls_failures;
    /// Requests that were refused because too many were in flight.
    requests_refused_overload;
    /// Requests that were refused because their connection had only a place in the reserve.
    requests_refused_reserve;
}

/// The reason for which the server closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// It has lost its place to another one.
    Evicted,
    /// Its client has reset most of its requests.
    RapidReset,
    /// It has exceeded a time limit.
    TimedOut(Timeout),
}

impl Counters {
    pub(super) fn closed(&self, reason: Closed) {
        let count = match reason {
            Closed::Evicted => &self.evicted,
            Closed::RapidReset => &self.rapid_resets,
            Closed::TimedOut(Timeout::Idle) => &self.timeouts_idle,
            Closed::TimedOut(Timeout::Header) => &self.timeouts_header,
            Closed::TimedOut(Timeout::Write) => &self.timeouts_write,
            Closed::TimedOut(Timeout::Linger) => &self.timeouts_linger,
            Closed::TimedOut(Timeout::Age) => &self.timeouts_age,
            Closed::TimedOut(Timeout::End) => &self.timeouts_end,
        };
        count.add();
    }
}

/// One count.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(super) fn subtract(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
