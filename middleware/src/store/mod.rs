//! Stores of sessions.
//!
//! [`MemoryStore`] is for a first run, tests and single processes; [`RedisStore`] is for everything else. Both pass the same
//! test suite. A store keeps records and applies atomic changes. It makes no decision about sessions.

mod agents;
mod cached;
mod changes;
mod clock_skew;
mod error;
mod health;
mod memory;
mod page;
#[cfg(feature = "redis")]
mod redis;
mod warning;

pub use agents::{
    Agent, AgentDirectory, AgentReservation, AgentStore, AnyAgent, RegisterOutcome, RegisteredAgents,
};
pub use cached::{CachedStore, NearCacheStats};
pub use changes::{AgentRevoked, CreateOutcome, CreationRetry, NewSession, Revoked, SwapOutcome, TokenSwap};
pub use clock_skew::ClockSkew;
pub use error::StoreError;
pub use health::StoreHealth;
pub use memory::MemoryStore;
pub use page::{InvalidCursor, Page, PageRequest, SessionCursor};
#[cfg(feature = "redis")]
pub use redis::{
    InvalidRedisConfig, NearCacheConfig, RedisConfigPart, RedisRead, RedisServerInfo, RedisStore,
    RedisStoreConfig,
};
pub use warning::StoreWarning;

use std::{collections::BTreeSet, future::Future};

use crate::{
    clock::Timestamp,
    id::{AgentId, SessionId},
    session::SessionRecord,
};

/// Seconds for which the tombstone of a deleted agent is kept. A creation that was sent before the deletion then fails. No
/// command is delayed that long.
const TOMBSTONE_SECONDS: u64 = 3600;

/// A store of sessions.
///
/// Every change is atomic, and safe if it runs after its caller has stopped waiting.
pub trait SessionStore: Clone + Send + Sync + 'static {
    /// The future of [`read`](Self::read). A named type, so that the layer does not box it.
    type Read: Future<Output = Result<Option<SessionRecord>, StoreError>> + Send + 'static;

    /// Reads a session. This is the only call of an authentication.
    fn read(&self, id: SessionId) -> Self::Read;

    /// Creates a session, unless its agent was deleted or has its maximum of active sessions.
    ///
    /// With a [`retry`](NewSession::retry), the store keeps a retry entry until the end of its window. It checks the agent's deletion
    /// first, then the retry entry, then the limit. A repetition gets the first session. Of any number of concurrent creations with
    /// one retry, one creates a session.
    ///
    /// After a failure, there are two cases. If no repetition has found the session, the store revokes it, and a repetition creates
    /// another one. If a repetition has found it, the session stays.
    fn create(&self, session: &NewSession) -> impl Future<Output = Result<CreateOutcome, StoreError>> + Send;

    /// Replaces the token of a session if the current token is still the expected one (compare-and-swap).
    fn replace_token(&self, swap: &TokenSwap)
    -> impl Future<Output = Result<SwapOutcome, StoreError>> + Send;

    /// Marks a session as revoked. A repetition keeps the time of the first revocation. Returns `None` if there is no such
    /// session.
    fn revoke(
        &self,
        id: SessionId,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Revoked>, StoreError>> + Send;

    /// Revokes all sessions of an agent in one step.
    fn revoke_agent(
        &self,
        agent: AgentId,
        now: Timestamp,
    ) -> impl Future<Output = Result<AgentRevoked, StoreError>> + Send;

    /// Returns a page of the sessions that are not revoked, by agent, newest first within an agent.
    ///
    /// A page can hold fewer sessions than requested, even none, and still have a next page.
    fn list(
        &self,
        agent: Option<AgentId>,
        page: PageRequest<SessionCursor>,
    ) -> impl Future<Output = Result<Page<SessionRecord, SessionCursor>, StoreError>> + Send;

    /// Like [`list`](Self::list), of these agents only, in the order of their ids.
    ///
    /// The default calls [`list`](Self::list) for each agent. A store with round trips should read all agents at once. A store that wraps
    /// another one forwards the call.
    fn list_of(
        &self,
        agents: &BTreeSet<AgentId>,
        page: PageRequest<SessionCursor>,
    ) -> impl Future<Output = Result<Page<SessionRecord, SessionCursor>, StoreError>> + Send {
        page::list_each(self, agents, page)
    }

    /// The latest difference between the clocks of this process and of the store's server. `None` if it is unknown, as without a
    /// connection, or if the store has no server. A store that wraps another one forwards the call.
    fn clock_skew(&self) -> Option<ClockSkew> {
        None
    }

    /// What endangers sessions or slows verification, although the store works. A store that wraps another one forwards the call.
    fn warnings(&self) -> Vec<StoreWarning> {
        Vec::new()
    }

    /// Checks that the store answers, and whether sessions can change.
    ///
    /// The default calls [`ping`](Self::ping). A store that wraps another one forwards the call.
    fn health(&self) -> impl Future<Output = Result<StoreHealth, StoreError>> + Send {
        async { self.ping().await.map(|()| StoreHealth::Ready) }
    }

    /// Checks that the store answers.
    fn ping(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}
