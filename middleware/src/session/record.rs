//! The record of a session, as a store keeps it.

use serde::Serialize;

use super::{Constraints, ReplacedTokenPolicy, RetryHash, Scopes, SessionLimits};
use crate::{
    clock::Timestamp,
    id::{AgentId, SessionId},
    token::TokenHash,
};

/// A session as the store keeps it.
///
/// Every decision about a session is a function of this record, the presented token and the current time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionRecord {
    /// The session's id.
    pub id: SessionId,
    /// The agent's id.
    pub agent_id: AgentId,
    /// The hash of the current token.
    pub token_hash: TokenHash,
    /// The number of replacements of the token, by renewals and by rotations.
    pub generation: u32,
    /// The maximum number of renewals of the session.
    pub max_renewals: u32,
    /// The lifetime of each token, in seconds.
    pub ttl: u64,
    /// The end of the session, renewed or not.
    pub absolute_expires_at: Timestamp,
    /// The last renewal, if there was one.
    pub last_renewal: Option<LastRenewal>,
    /// The generation of the token that an administrator issued last by a rotation.
    pub rotated_generation: Option<u32>,
    /// When the session was revoked.
    pub revoked_at: Option<Timestamp>,
    /// The scopes of the session.
    pub scopes: Scopes,
    /// The limits that the application enforces.
    pub constraints: Option<Constraints>,
    /// Set by a store.
    pub(crate) agent_epoch: AgentEpoch,
}

/// The epoch of the agent when the session was created. A store that revokes all sessions of an agent advances its epoch.
///
/// It is the bookkeeping of a store and no property of the session: records that differ only in it are equal.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AgentEpoch(#[cfg_attr(not(feature = "redis"), expect(dead_code))] pub(crate) u32);

impl PartialEq for AgentEpoch {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for AgentEpoch {}

/// The last renewal of a session, and the rules for the token that it replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastRenewal {
    /// When the session was renewed.
    pub at: Timestamp,
    /// The number of renewals of the session, including this one.
    pub count: u32,
    /// The rules for the replaced token, as they were at this renewal.
    pub replaced: ReplacedTokenPolicy,
    /// The hash of the replaced token, if it has an overlap.
    pub previous_token_hash: Option<TokenHash>,
    /// The hash that a repetition must match, if the renewal had an idempotency key.
    pub retry_hash: Option<RetryHash>,
}

/// The status of a session. It is computed when the record is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum SessionStatus {
    /// The current token is admitted.
    Active,
    /// The current token has expired. It can no longer be renewed.
    Expired,
    /// The session was revoked.
    Revoked,
}

impl SessionRecord {
    /// The record of a new session with its first token.
    #[must_use]
    pub const fn new(
        id: SessionId,
        agent_id: AgentId,
        token_hash: TokenHash,
        limits: &SessionLimits,
    ) -> Self {
        Self {
            id,
            agent_id,
            token_hash,
            generation: 0,
            max_renewals: limits.max_renewals,
            ttl: limits.ttl,
            absolute_expires_at: limits.absolute_expires_at,
            last_renewal: None,
            rotated_generation: None,
            revoked_at: None,
            scopes: Scopes::NONE,
            constraints: None,
            agent_epoch: AgentEpoch(0),
        }
    }

    /// When the session was created.
    #[must_use]
    pub const fn created_at(&self) -> Timestamp {
        self.id.created_at()
    }

    /// The number of renewals of the session.
    #[must_use]
    pub fn renewal_count(&self) -> u32 {
        self.last_renewal.as_ref().map_or(0, |renewal| renewal.count)
    }

    /// When the session was renewed last.
    #[must_use]
    pub fn last_renewed_at(&self) -> Option<Timestamp> {
        self.last_renewal.as_ref().map(|renewal| renewal.at)
    }

    /// The start of the current ttl: the last renewal, or the creation. A rotation does not change it.
    #[must_use]
    pub fn ttl_started_at(&self) -> Timestamp {
        self.last_renewed_at().unwrap_or(self.created_at())
    }

    /// When the current token expires: one ttl after the last renewal or the creation, and never after the end of the session.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.ttl_started_at().plus(self.ttl).min(self.absolute_expires_at)
    }

    /// The status of the session at a time.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> SessionStatus {
        if self.revoked_at.is_some() {
            SessionStatus::Revoked
        } else if now >= self.expires_at() {
            SessionStatus::Expired
        } else {
            SessionStatus::Active
        }
    }
}

impl LastRenewal {
    /// A renewal without the hashes of a replaced token.
    #[must_use]
    pub const fn new(at: Timestamp, count: u32, replaced: ReplacedTokenPolicy) -> Self {
        Self {
            at,
            count,
            replaced,
            previous_token_hash: None,
            retry_hash: None,
        }
    }

    /// The end of the retry window.
    #[must_use]
    pub const fn retry_until(&self) -> Timestamp {
        self.at.plus(self.replaced.retry_window)
    }

    /// The end of the overlap.
    #[must_use]
    pub const fn previous_token_until(&self) -> Timestamp {
        self.at.plus(self.replaced.previous_token_overlap)
    }

    /// The time from which the replaced token is a sign of a stolen copy.
    pub(crate) const fn suspicious_from(&self) -> Timestamp {
        self.at.plus(self.replaced.not_suspicious_for())
    }
}
