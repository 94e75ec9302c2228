//! The difference between the clocks of this process and of the store's server.

/// The clock skew: how far the clock of this process is ahead of the clock of the store's server.
///
/// Expiry is decided by the clock of each process. If clocks differ, one process accepts tokens that another one rejects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockSkew {
    millis: i64,
}

impl ClockSkew {
    /// The largest skew that is tolerated, in milliseconds.
    pub const TOLERATED_MILLIS: u64 = 2_000;

    /// Estimates the skew from one request for the server's time. All times are in milliseconds since the Unix epoch: `sent` and
    /// `answered` by the clock of this process, `server` by that of the server.
    ///
    /// Without skew, the server's time lies between the two others. The skew is the distance to that range, so it is never larger
    /// than the real one, and a slow answer cannot raise an alarm.
    #[must_use]
    pub fn estimate(sent: u64, server: u64, answered: u64) -> Self {
        // The local clock may have been set back in between.
        let (first, last) = (sent.min(answered), sent.max(answered));
        let millis = if server < first {
            i64::try_from(first - server).unwrap_or(i64::MAX)
        } else if server > last {
            i64::try_from(server - last).map_or(i64::MIN, |behind| -behind)
        } else {
            0
        };
        Self { millis }
    }

    /// The skew in milliseconds. It is positive if the clock of this process is ahead, and negative if it is behind.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.millis
    }

    /// True if the skew is at most [`TOLERATED_MILLIS`](Self::TOLERATED_MILLIS) in either direction.
    #[must_use]
    pub const fn is_tolerated(self) -> bool {
        self.millis.unsigned_abs() <= Self::TOLERATED_MILLIS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skew_is_the_distance_between_the_server_time_and_the_round_trip() {
        for (sent, server, answered, skew) in [
            (1_000, 999, 1_010, 1),
            (1_000, 1_000, 1_010, 0),
            (1_000, 1_005, 1_010, 0),
            (1_000, 1_010, 1_010, 0),
            (1_000, 1_011, 1_010, -1),
            (3_601_000, 1_000, 3_601_010, 3_600_000),
            (1_000, 3_601_010, 1_010, -3_600_000),
            // The local clock was set back during the round trip.
            (1_010, 1_005, 1_000, 0),
            (1_010, 999, 1_000, 1),
            (u64::MAX, 0, u64::MAX, i64::MAX),
            (0, u64::MAX, 0, i64::MIN),
        ] {
            let estimate = ClockSkew::estimate(sent, server, answered);
            assert_eq!(estimate.millis(), skew, "{sent} {server} {answered}");
        }
    }

    #[test]
    fn two_seconds_in_either_direction_are_tolerated() {
        for (local, server, tolerated) in [
            (10_000, 8_001, true),
            (10_000, 8_000, true),
            (10_000, 7_999, false),
            (10_000, 12_000, true),
            (10_000, 12_001, false),
            (0, u64::MAX, false),
        ] {
            let skew = ClockSkew::estimate(local, server, local);
            assert_eq!(skew.is_tolerated(), tolerated, "{skew:?}");
        }
    }
}
