//! What a store keeps of a session.

use serde::Serialize;

use super::{Constraints, RetryHash};
use crate::{
    clock::Timestamp,
    id::{AgentId, SessionId},
    token::TokenHash,
};

/// A session as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// The session.
    pub id: SessionId,
    /// The agent it was granted to.
    pub agent_id: AgentId,
    /// The hash of its current token.
    pub token_hash: TokenHash,
    /// How many times its token was replaced.
    pub generation: u32,
    /// How many times it was renewed.
    pub renewal_count: u32,
    /// How many times it may be renewed.
    pub max_renewals: u32,
    /// The lifetime of each of its tokens, in seconds.
    pub ttl: u64,
    /// When its current token expires.
    pub expires_at: Timestamp,
    /// When it ends for good, renewed or not.
    pub absolute_expires_at: Timestamp,
    /// When it was renewed last.
    pub last_renewed_at: Option<Timestamp>,
    /// The hash of the token that the last renewal replaced, if it is to be accepted for a while.
    pub previous_token_hash: Option<TokenHash>,
    /// What proves a repetition of the last renewal, if that had an idempotency key.
    pub retry_hash: Option<RetryHash>,
    /// The generation of the token that an administrator put in place last, if one did.
    pub rotated_generation: Option<u32>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// What its administrator said about its use.
    pub constraints: Option<Constraints>,
}

/// A session's status, computed when it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SessionStatus {
    /// Its current token is accepted.
    Active,
    /// Its current token has expired; it cannot be renewed any more.
    Expired,
    /// It was revoked.
    Revoked,
}

impl SessionRecord {
    /// When the session was created.
    #[must_use]
    pub const fn created_at(&self) -> Timestamp {
        self.id.created_at()
    }

    /// Since when the session has its expiry: its last renewal, or its creation. A rotation by an administrator changes
    /// neither.
    #[must_use]
    pub fn ttl_started_at(&self) -> Timestamp {
        self.last_renewed_at.unwrap_or(self.created_at())
    }

    /// The session's status at a time.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> SessionStatus {
        if self.revoked_at.is_some() {
            SessionStatus::Revoked
        } else if now >= self.expires_at {
            SessionStatus::Expired
        } else {
            SessionStatus::Active
        }
    }
}
