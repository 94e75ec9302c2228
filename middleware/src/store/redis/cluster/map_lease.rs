//! The lease of the map, which all masters share.

use std::time::Duration;

use tokio::time::Instant;

use super::super::lease::Lease;

/// The lease of the map.
pub(super) struct MapLease {
    pub(super) lease: Lease,
    /// The time from a confirmation by a majority to the end of the lease. Zero: without an end.
    pub(super) duration: Duration,
}

impl MapLease {
    pub(super) fn new(duration: Duration) -> Self {
        let lease = if duration.is_zero() {
            Lease::permanent()
        } else {
            Lease::ended()
        };
        Self { lease, duration }
    }

    /// Extends the lease, counted from the time of a confirmation.
    pub(super) fn extend(&self, confirmed: Instant) {
        self.lease.extend(confirmed + self.duration);
    }
}
