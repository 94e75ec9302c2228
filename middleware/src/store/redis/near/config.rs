use std::time::Duration;

/// The limits of the near cache: session records held in process memory, used by [bounded](crate::SessionAuthLayer::bounded) layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NearCacheConfig {
    /// The time in which a process that cannot reach Redis may still admit a revoked token: 250 ms by default.
    ///
    /// A process that can reach Redis receives the invalidation at once. Pings are sent at intervals of a fifth of the bound (at least
    /// 5 ms, at most 1 s). If the bound is shorter than that interval plus two round trips, the cache is coherent only part of the time, or
    /// never.
    pub bound: Duration,
    /// The time for which a record is used after its read was sent: 30 s by default.
    pub max_age: Duration,
    /// The maximum number of records: 100,000 by default, rounded up to a multiple of 64. A record takes about 350 bytes, plus its
    /// constraints. A full cache evicts the least recently used record of a sample. The sessions of an agent
    /// share a 64th of the capacity.
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
    /// The interval between pings. Several fit into the bound, and a hung connection is detected soon for any bound.
    pub(super) fn ping_interval(&self) -> Duration {
        (self.bound / 5).clamp(Duration::from_millis(5), Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bound_gives_a_ping_interval_between_5_ms_and_1_s() {
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
            assert_eq!(config.ping_interval(), Duration::from_millis(pause), "{bound:?}");
        }
    }
}
