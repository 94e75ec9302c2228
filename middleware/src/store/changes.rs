//! The arguments and outcomes of a store's atomic changes.

use crate::{
    clock::Timestamp,
    id::SessionId,
    session::{CreationId, OnSessionLimit, RequestHash, SessionPolicy, SessionRecord},
    token::TokenHash,
};

/// A session to create: the argument of [`SessionStore::create`](super::SessionStore::create).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewSession {
    /// The record.
    pub record: SessionRecord,
    /// The maximum number of active sessions of the agent, including this one.
    pub limit: u32,
    /// The reaction if the agent already has `limit` active sessions.
    pub on_limit: OnSessionLimit,
    /// Seconds for which the record is kept after its expiry.
    pub retention: u64,
    /// Makes the creation repeatable. `None` without an idempotency key.
    pub retry: Option<CreationRetry>,
    /// The current time.
    pub now: Timestamp,
}

impl NewSession {
    /// A session to create under the limits of a policy.
    #[must_use]
    pub const fn new(record: SessionRecord, policy: &SessionPolicy, now: Timestamp) -> Self {
        Self {
            record,
            limit: policy.max_sessions_per_agent,
            on_limit: policy.on_session_limit,
            retention: policy.retention,
            retry: None,
            now,
        }
    }
}

/// Makes a creation repeatable. A store keeps it with the result of the first creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreationRetry {
    /// Names the creation.
    pub id: CreationId,
    /// The hash of the request. A repetition must have the same.
    pub request: RequestHash,
    /// The end of the retry window. Afterwards the key is free for another creation.
    pub until: Timestamp,
}

impl CreationRetry {
    /// Makes a creation repeatable until the end of its retry window.
    #[must_use]
    pub const fn new(id: CreationId, request: RequestHash, until: Timestamp) -> Self {
        Self { id, request, until }
    }
}

/// The outcome of [`SessionStore::create`](super::SessionStore::create).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CreateOutcome {
    /// The session was created.
    Created {
        /// The sessions that were revoked in the same step to make room: the least recently renewed or created ones.
        evicted: Vec<SessionId>,
    },
    /// Nothing was done: an earlier creation had the same [`CreationRetry`].
    Repeated {
        /// The session that the earlier creation created. It may be renewed, revoked or expired by now.
        id: SessionId,
        /// The sessions that the earlier creation revoked.
        evicted: Vec<SessionId>,
    },
    /// Nothing was done: an earlier creation had the same key and another request.
    KeyReused,
    /// The agent has its maximum of active sessions.
    LimitReached,
    /// The agent was deleted.
    AgentDeleted,
}

/// A token to replace: the argument of [`SessionStore::replace_token`](super::SessionStore::replace_token).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TokenSwap {
    /// The session as it was read. Its `token_hash` is the expected one.
    pub current: SessionRecord,
    /// The session with the new token.
    pub next: SessionRecord,
    /// Seconds for which the record is kept after its expiry.
    pub retention: u64,
    /// The current time.
    pub now: Timestamp,
}

impl TokenSwap {
    /// Replaces the token of `current` with that of `next`.
    #[must_use]
    pub const fn new(current: SessionRecord, next: SessionRecord, retention: u64, now: Timestamp) -> Self {
        Self {
            current,
            next,
            retention,
            now,
        }
    }

    /// The token hash that the store must find.
    #[must_use]
    pub const fn expected(&self) -> &TokenHash {
        &self.current.token_hash
    }
}

/// The outcome of [`SessionStore::replace_token`](super::SessionStore::replace_token).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SwapOutcome {
    /// The token was replaced.
    Replaced,
    /// The session has another current token: that of this record.
    Mismatch(Box<SessionRecord>),
    /// The session was revoked.
    Revoked,
    /// No such session exists.
    NotFound,
}

/// A session was revoked: the outcome of [`SessionStore::revoke`](super::SessionStore::revoke).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Revoked {
    /// `None` if the store was not configured to wait. `true` if the replicas and the disk that it waits for have acknowledged the
    /// revocation. `false` if they did not in time: the session is revoked, but a failover can undo that. A repetition waits again.
    pub durable: Option<bool>,
}

impl Revoked {
    /// A revocation with this durability.
    #[must_use]
    pub const fn new(durable: Option<bool>) -> Self {
        Self { durable }
    }
}

/// All sessions of an agent were revoked: the outcome of [`SessionStore::revoke_agent`](super::SessionStore::revoke_agent) and
/// [`AgentStore::delete_agent`](super::AgentStore::delete_agent).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct AgentRevoked {
    /// The number of sessions that were active.
    pub active: u32,
    /// Like [`Revoked::durable`].
    pub durable: Option<bool>,
}

impl AgentRevoked {
    /// A revocation of this number of active sessions, with this durability.
    #[must_use]
    pub const fn new(active: u32, durable: Option<bool>) -> Self {
        Self { active, durable }
    }
}
