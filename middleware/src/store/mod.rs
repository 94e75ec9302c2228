//! Stores: they keep session records and agents.
//!
//! [`MemoryStore`] is for a first run, for tests and for single processes. [`RedisStore`] is for all other deployments. Both pass the same
//! test suite. A store performs the atomic operations; it makes no decision about a session.

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

/// How long a deleted agent is remembered, so that a session creation that was in flight fails. No command is delayed for so long.
const TOMBSTONE_SECONDS: u64 = 3600;

/// A store call failed. The error says nothing about a session: never treat it as "not found" or "revoked".
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The deadline passed without an answer. The command may still run later.
    #[error("no answer from the store within the deadline")]
    Timeout,
    /// There is no connection, or the server refuses commands (out of memory, read-only, loading).
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// This version does not understand the answer.
    #[error("unexpected answer from the store: {0}")]
    Unexpected(String),
}

/// A store of sessions.
///
/// Every change is atomic. A change may complete after its caller has stopped waiting, and must be safe then too.
///
/// A store with a near cache also implements [`CachedStore`].
pub trait SessionStore: Clone + Send + Sync + 'static {
    /// The future of [`read`](Self::read). It is a named type, so the layer does not box it.
    type Read: Future<Output = Result<Option<SessionRecord>, StoreError>> + Send + 'static;

    /// Reads a session. An authentication makes only this call.
    fn read(&self, id: SessionId) -> Self::Read;

    /// Adds a session. It fails if the agent was deleted, or if the agent has its maximum of active sessions and none may be evicted.
    fn create(&self, session: &NewSession) -> impl Future<Output = Result<CreateOutcome, StoreError>> + Send;

    /// Replaces a session's token if the current one is still the expected one (compare-and-swap).
    fn replace_token(&self, swap: &TokenSwap) -> impl Future<Output = Result<SwapOutcome, StoreError>> + Send;

    /// Revokes a session. Returns `false` if there is no such session. A repeated revocation keeps the time of the first one.
    fn revoke(&self, id: SessionId, now: Timestamp) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Revokes all sessions of an agent in one step. Returns how many of them were active.
    fn revoke_agent(
        &self,
        agent: AgentId,
        now: Timestamp,
    ) -> impl Future<Output = Result<u32, StoreError>> + Send;

    /// Returns a page of the sessions that are not revoked, by agent, newest first within an agent.
    ///
    /// A page may contain fewer sessions than the limit, even none, and still have a next page.
    fn list(
        &self,
        agent: Option<AgentId>,
        page: PageRequest<SessionCursor>,
    ) -> impl Future<Output = Result<Page<SessionRecord, SessionCursor>, StoreError>> + Send;

    /// Checks that the store answers.
    fn ping(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A session to be added.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// The record.
    pub record: SessionRecord,
    /// The maximum number of active sessions of the agent, including this one.
    pub limit: u32,
    /// The behaviour when the agent has that many.
    pub on_limit: OnSessionLimit,
    /// How long the record is kept after its expiry, in seconds.
    pub retention: u64,
    /// The current time.
    pub now: Timestamp,
}

/// The outcome of [`SessionStore::create`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateOutcome {
    /// The session was added.
    Done,
    /// The session was added, and these sessions were revoked in the same step: the active sessions of the agent that were renewed or
    /// created the longest time ago.
    InPlaceOf(Vec<SessionId>),
    /// The agent has its maximum of active sessions.
    LimitReached,
    /// The agent was deleted.
    AgentDeleted,
}

/// The replacement of a session's token.
#[derive(Debug, Clone)]
pub struct TokenSwap {
    /// The session as it was read. The store must still hold its `token_hash`.
    pub current: SessionRecord,
    /// The session after the replacement.
    pub next: SessionRecord,
    /// How long the record is kept after its expiry, in seconds.
    pub retention: u64,
    /// The current time.
    pub now: Timestamp,
}

impl TokenSwap {
    /// The token hash that the store must still hold.
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
    /// The stored session has another current token. This is its record.
    Mismatch(Box<SessionRecord>),
    /// The session was revoked.
    Revoked,
    /// There is no such session.
    NotFound,
}
