use std::time::Duration;

/// How stale, how old and how many the records in memory may be, for layers with [`Freshness::Bounded`](crate::session_auth::Freshness).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NearCacheConfig {
    /// After a revocation, for how long a process that Redis cannot reach may still let its token pass: 250 ms by default. A
    /// process that can be reached hears of it at once. Pings come at pauses of a fifth of it (5 ms at least, 1 s at most): unless it is
    /// longer than that pause plus twice the way to Redis and back, copies are of use only part of the time, or never.
    pub bound: Duration,
    /// For how long a record is used at most: 30 s by default.
    pub max_age: Duration,
    /// How many records are kept, of some 350 bytes each and their constraints: 100,000 by default; rounded up to a multiple of
    /// 64. Of a sample, the least recently used one goes.
    pub capacity: usize,
}

impl Default for NearCacheConfig {
    fn default() -> Self {
        Self {
            bound: Duration::from_millis(250),
            max_age: Duration::from_secs(30),
            capacity: 100_000,
        }
    }
}

impl NearCacheConfig {
    /// The pause between pings: some of them fit into the bound, and a connection that hangs is found out whatever the bound is.
    pub(super) fn heartbeat(&self) -> Duration {
        (self.bound / 5).clamp(Duration::from_millis(5), Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bound_makes_a_storm_of_pings_or_none() {
        for (bound, pause) in [
            (Duration::ZERO, 5),
            (Duration::from_micros(1), 5),
            (Duration::from_millis(250), 50),
            (Duration::from_secs(3600), 1_000),
            (Duration::MAX, 1_000),
        ] {
            let config = NearCacheConfig {
                bound,
                ..NearCacheConfig::default()
            };
            assert_eq!(config.heartbeat(), Duration::from_millis(pause), "{bound:?}");
        }
    }
}
