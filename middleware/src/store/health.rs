/// What a store that answers can do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreHealth {
    /// Everything.
    Ready,
    /// Sessions are checked, and cannot be created or renewed. A full memory still admits revocations; other reasons do not.
    #[non_exhaustive]
    ReadOnly {
        /// The reason, as the store's server gives it.
        reason: String,
    },
    /// Some sessions can be checked and changed: one of several servers does not work.
    #[non_exhaustive]
    Partial {
        /// The server, and its failure.
        reason: String,
    },
    /// Everything, or everything but changes. The server may lose sessions or revocations, and a durable one is required.
    #[non_exhaustive]
    NotDurable {
        /// The reason.
        reason: String,
    },
}
