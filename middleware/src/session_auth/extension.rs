//! What the layer puts into a request's extensions.

use std::sync::Arc;

use crate::{
    clock::Timestamp,
    id::{AgentId, SessionId},
    session::{Constraints, SessionRecord},
    token::{Claims, VerifiedToken},
};

/// The session that a request was made in. Inner services find it in the request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthenticatedSession {
    /// The session.
    pub session_id: SessionId,
    /// The agent it was granted to.
    pub agent_id: AgentId,
    /// How many times the session's token was replaced.
    pub generation: u32,
    /// When the token was issued.
    pub issued_at: Timestamp,
    /// When the token expires.
    pub expires_at: Timestamp,
    /// When the session ends for good, renewed or not.
    pub absolute_expires_at: Timestamp,
    /// How many times the session was renewed.
    pub renewal_count: u32,
    /// How many times the session may be renewed.
    pub max_renewals: u32,
    /// When the session was renewed last.
    pub last_renewed_at: Option<Timestamp>,
    /// Whether the token is not the current one but the one before it, which is accepted for a short while after a renewal.
    /// What ought to be done with the current token alone, the inner service can refuse.
    pub previous_token: bool,
    /// What the administrator said about the session's use, for the inner service to enforce.
    pub constraints: Option<Constraints>,
}

/// A proven token and its session, which stands; whether the token is the current one is not known yet.
///
/// Only layers [for renewal](crate::SessionAuthLayer::for_renewal) make it, and only
/// [`SessionManager::renew`](crate::SessionManager::renew) takes it: it is no leave to use the API.
#[derive(Debug, Clone)]
pub struct PresentedSession(Arc<(SessionRecord, VerifiedToken)>);

impl AuthenticatedSession {
    /// What the layer makes of a session and its current token: also for tests of inner services, which need no layer then.
    #[must_use]
    pub fn new(record: &SessionRecord, claims: &Claims) -> Self {
        Self {
            session_id: record.id,
            agent_id: record.agent_id,
            generation: record.generation,
            issued_at: claims.issued_at,
            expires_at: claims.expires_at,
            absolute_expires_at: record.absolute_expires_at,
            renewal_count: record.renewal_count,
            max_renewals: record.max_renewals,
            last_renewed_at: record.last_renewed_at,
            previous_token: false,
            constraints: record.constraints.clone(),
        }
    }
}

impl PresentedSession {
    pub(super) fn new(record: SessionRecord, token: VerifiedToken) -> Self {
        Self(Arc::new((record, token)))
    }

    /// The session that the token belongs to.
    #[must_use]
    pub fn session_id(&self) -> SessionId {
        self.0.0.id
    }

    pub(crate) fn record(&self) -> &SessionRecord {
        &self.0.0
    }

    pub(crate) fn token(&self) -> &VerifiedToken {
        &self.0.1
    }
}
