//! The JSON bodies of the HTTP API, for your own endpoints.
//!
//! Times are integer epoch seconds. No body contains a token hash.

use serde::Serialize;

use crate::{
    clock::Timestamp,
    id::{AgentId, SessionId},
    manager::IssuedSession,
    session::{Constraints, Scopes, SessionRecord, SessionStatus},
    session_auth::AuthenticatedSession,
    store::{Agent, Revoked},
};

/// An agent.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AgentBody {
    /// The agent's id.
    pub id: AgentId,
    /// Its name for people.
    pub name: Option<String>,
    /// When it was registered.
    pub created_at: Timestamp,
}

impl From<Agent> for AgentBody {
    fn from(agent: Agent) -> Self {
        Self {
            id: agent.id,
            name: agent.name,
            created_at: agent.created_at,
        }
    }
}

/// A session, without its token and its hash.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SessionBody {
    /// The session's id.
    pub id: SessionId,
    /// The agent's id.
    pub agent_id: AgentId,
    /// The status at the time of the response.
    pub status: SessionStatus,
    /// The number of renewals of the session.
    pub renewal_count: u32,
    /// The maximum number of renewals of the session.
    pub max_renewals: u32,
    /// When the current token expires.
    pub expires_at: Timestamp,
    /// The end of the session, renewed or not.
    pub absolute_expires_at: Timestamp,
    /// When the session was created.
    pub created_at: Timestamp,
    /// When the session was renewed last.
    pub last_renewed_at: Option<Timestamp>,
    /// The limits that the application enforces.
    pub constraints: Option<Constraints>,
    /// The scopes of the session. Present if there are any.
    #[serde(skip_serializing_if = "Scopes::is_empty")]
    pub scopes: Scopes,
}

impl SessionBody {
    /// The session of a record, with its status at `now`.
    #[must_use]
    pub fn new(record: SessionRecord, now: Timestamp) -> Self {
        Self {
            id: record.id,
            agent_id: record.agent_id,
            status: record.status(now),
            renewal_count: record.renewal_count(),
            max_renewals: record.max_renewals,
            expires_at: record.expires_at(),
            absolute_expires_at: record.absolute_expires_at,
            created_at: record.created_at(),
            last_renewed_at: record.last_renewed_at(),
            constraints: record.constraints,
            scopes: record.scopes,
        }
    }

    /// The session of an authenticated request, which is active.
    #[must_use]
    pub fn of_caller(session: &AuthenticatedSession) -> Self {
        Self {
            id: session.session_id,
            agent_id: session.agent_id,
            status: SessionStatus::Active,
            renewal_count: session.renewal_count,
            max_renewals: session.max_renewals,
            expires_at: session.expires_at,
            absolute_expires_at: session.absolute_expires_at,
            created_at: session.session_id.created_at(),
            last_renewed_at: session.last_renewed_at,
            constraints: session.constraints.clone(),
            scopes: session.scopes.clone(),
        }
    }
}

/// A session with its new token. `Debug` redacts the token.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct IssuedSessionBody<'a> {
    id: SessionId,
    token: &'a str,
    token_type: &'static str,
    expires_at: Timestamp,
    renew_after: Timestamp,
    absolute_expires_at: Timestamp,
    max_renewals: u32,
    /// Part of the response to a creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<AgentId>,
    /// Part of the response to a creation with scopes.
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<&'a Scopes>,
    /// Part of the response to a renewal or a rotation.
    #[serde(skip_serializing_if = "Option::is_none")]
    renewal_count: Option<u32>,
    /// Present if there are any.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    evicted_session_ids: &'a [SessionId],
}

impl<'a> IssuedSessionBody<'a> {
    /// The response to a creation.
    #[must_use]
    pub fn created(issued: &'a IssuedSession) -> Self {
        Self {
            agent_id: Some(issued.record.agent_id),
            scopes: Some(&issued.record.scopes).filter(|scopes| !scopes.is_empty()),
            ..Self::new(issued)
        }
    }

    /// The response to a renewal or a rotation.
    #[must_use]
    pub fn renewed(issued: &'a IssuedSession) -> Self {
        Self {
            renewal_count: Some(issued.record.renewal_count()),
            ..Self::new(issued)
        }
    }

    fn new(issued: &'a IssuedSession) -> Self {
        let record = &issued.record;
        Self {
            id: record.id,
            token: issued.token.expose(),
            token_type: "Bearer",
            expires_at: record.expires_at(),
            renew_after: issued.renew_after,
            absolute_expires_at: record.absolute_expires_at,
            max_renewals: record.max_renewals,
            agent_id: None,
            scopes: None,
            renewal_count: None,
            evicted_session_ids: &issued.evicted,
        }
    }
}

impl std::fmt::Debug for IssuedSessionBody<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedSessionBody")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The response to a revocation.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RevokedBody {
    /// The session's id.
    pub id: SessionId,
    /// Always REVOKED.
    pub status: SessionStatus,
    /// Whether the replicas and the disk that the store waits for have acknowledged the revocation. `None` if it waits for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub durable: Option<bool>,
}

impl RevokedBody {
    /// The response to the revocation of a session. Its status is 202 if `durable` is `false`, else 200.
    #[must_use]
    pub const fn new(id: SessionId, revoked: Revoked) -> Self {
        Self {
            id,
            status: SessionStatus::Revoked,
            durable: revoked.durable,
        }
    }
}
