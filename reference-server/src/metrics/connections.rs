//! Connections of the main listener.

use metrics::{Counter, Gauge, counter, gauge};
use tower_session_auth::telemetry::Metric;

pub(super) const IN_USE: Metric = Metric::gauge(
    "session_auth_connections_in_use",
    "Open connections of the main listener",
);
pub(super) const ACCEPTED: Metric = Metric::counter(
    "session_auth_connections_accepted_total",
    "Connections that the main listener accepted",
);
pub(super) const REFUSED: Metric = Metric::counter(
    "session_auth_connections_refused_total",
    "Connections that the main listener refused or closed for want of places",
);

/// The reason for a refused connection: a value of the label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusedBy {
    /// All places are in use.
    Limit,
    /// The client's address has its share of places.
    AddressLimit,
    /// A connection was closed to make room for another one.
    Displaced,
}

/// Counts connections. Clones share their counts.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionMetrics {
    in_use: Gauge,
    accepted: Counter,
    limit: Counter,
    address_limit: Counter,
    displaced: Counter,
}

impl ConnectionMetrics {
    pub(crate) fn new() -> Self {
        let refused = |reason: &'static str| counter!(REFUSED.name, "reason" => reason);
        Self {
            in_use: gauge!(IN_USE.name),
            accepted: counter!(ACCEPTED.name),
            limit: refused("limit"),
            address_limit: refused("address_limit"),
            displaced: refused("displaced"),
        }
    }

    /// A connection was accepted.
    pub(crate) fn opened(&self) {
        self.accepted.increment(1);
        self.in_use.increment(1.0);
    }

    /// An accepted connection has ended.
    pub(crate) fn closed(&self) {
        self.in_use.decrement(1.0);
    }

    /// A connection was refused, or closed to make room for another one.
    pub(crate) fn refused(&self, by: RefusedBy) {
        let counter = match by {
            RefusedBy::Limit => &self.limit,
            RefusedBy::AddressLimit => &self.address_limit,
            RefusedBy::Displaced => &self.displaced,
        };
        counter.increment(1);
    }
}
