//! Where sessions live.
//!
//! [`MemoryStore`] serves a first run, tests and single processes; [`RedisStore`] everything else. Both pass the same
//! test suite. A store keeps records and does what must be atomic; it decides nothing about sessions.

mod agents;
mod cached;
mod memory;
mod page;
#[cfg(feature = "redis")]
mod redis;

pub use agents::{Agent, AgentDirectory, AgentStore, AnyAgent, RegisterOutcome, RegisteredAgents};
pub use cached::{CachedStore, NearCacheStats};
pub use memory::MemoryStore;
pub use page::{InvalidCursor, Page, PageRequest, SessionCursor};
#[cfg(feature = "redis")]
pub use redis::{NearCacheConfig, RedisRead, RedisStore, RedisStoreConfig, RedisStoreError};

use std::future::Future;

use crate::{clock::Timestamp, id::{AgentId, SessionId}, session::{OnSessionLimit, SessionRecord}, token::TokenHash};

/// For how long a deleted agent is remembered, so that a creation which was under way fails: far longer than any command
/// can be delayed.
const TOMBSTONE_SECONDS: u64 = 3600;

/// A store that could not do its work. It says nothing about any session: never merge it with "not found" or "revoked".
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No answer within the deadline. The command may still run later.
    #[error("no answer from the store within the deadline")]
    Timeout,
    /// No connection, or the server cannot do its work now (out of memory, read-only, loading).
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// An answer that this version does not understand.
    #[error("unexpected answer from the store: {0}")]
    Unexpected(String),
}

/// Keeps sessions.
///
/// Every method that changes something is atomic, and safe when it runs later than its caller waited for it.
pub trait SessionStore: Clone + Send + Sync + 'static {
    /// The future of [`read`](Self::read), named so that the layer needs no box of its own on the hot path.
    type Read: Future<Output = Result<Option<SessionRecord>, StoreError>> + Send + 'static;

    /// Reads a session: the one call of an authentication.
    fn read(&self, id: SessionId) -> Self::Read;

    /// Adds a session unless its agent was deleted, or has its maximum of active ones and none of them is to give way.
    fn create(&self, session: &NewSession) -> impl Future<Output = Result<CreateOutcome, StoreError>> + Send;

    /// Replaces a session's token if the current one is still the expected one (compare-and-swap).
    fn replace_token(&self, swap: &TokenSwap) -> impl Future<Output = Result<SwapOutcome, StoreError>> + Send;

    /// Marks a session as revoked; `false` when there is no such session. The first time counts.
    fn revoke(&self, id: SessionId, now: Timestamp) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Revokes all sessions of an agent in one step. Answers how many of them were active.
    fn revoke_agent(
        &self,
        agent: AgentId,
        now: Timestamp,
    ) -> impl Future<Output = Result<u32, StoreError>> + Send;

    /// A page of the sessions that are not revoked, by agent, newest first within an agent.
    ///
    /// A page may hold fewer than were asked for, even none, and still have a successor.
    fn list(
        &self,
        agent: Option<AgentId>,
        page: PageRequest<SessionCursor>,
    ) -> impl Future<Output = Result<Page<SessionRecord, SessionCursor>, StoreError>> + Send;

    /// Whether the store answers.
    fn ping(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A session to be added.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// The record.
    pub record: SessionRecord,
    /// How many active sessions the agent may have, this one included.
    pub limit: u32,
    /// What happens when the agent has them.
    pub on_limit: OnSessionLimit,
    /// Seconds for which the record is kept after its expiry.
    pub retention: u64,
    /// The current time.
    pub now: Timestamp,
}

/// The outcome of [`SessionStore::create`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateOutcome {
    /// The session was added.
    Done,
    /// The session was added in place of these, which were revoked in the same step: those of the agent's active ones that
    /// were renewed or created the longest ago, as many as had to go.
    InPlaceOf(Vec<SessionId>),
    /// The agent has its maximum of active sessions.
    LimitReached,
    /// The agent was deleted.
    AgentDeleted,
}

/// A token to be replaced.
#[derive(Debug, Clone)]
pub struct TokenSwap {
    /// The session as it was read; its `token_hash` is the expected one.
    pub current: SessionRecord,
    /// The session as it is to be.
    pub next: SessionRecord,
    /// Seconds for which the record is kept after its expiry.
    pub retention: u64,
    /// The current time.
    pub now: Timestamp,
}

impl TokenSwap {
    /// The hash that the store must find.
    #[must_use]
    pub const fn expected(&self) -> &TokenHash {
        &self.current.token_hash
    }
}

/// The outcome of [`SessionStore::replace_token`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SwapOutcome {
    /// The new token is the current one.
    Done,
    /// Another token is the current one: that of this record.
    Mismatch(Box<SessionRecord>),
    /// The session was revoked.
    Revoked,
    /// There is no such session.
    NotFound,
}
