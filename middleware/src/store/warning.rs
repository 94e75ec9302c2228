/// A finding that endangers sessions or slows verification, although the store works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreWarning {
    /// A full memory removes sessions.
    EvictingPolicy,
    /// A restart of the server can lose sessions and revocations: its append-only file is off, or is replayed as a restricted user.
    NoPersistence,
    /// A layer is bounded, and the server refuses `CLIENT TRACKING`. So records are not cached, and every request reads one.
    NoTracking,
}

impl StoreWarning {
    /// The name in `/readyz`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EvictingPolicy => "evicting_policy",
            Self::NoPersistence => "no_persistence",
            Self::NoTracking => "no_tracking",
        }
    }
}
