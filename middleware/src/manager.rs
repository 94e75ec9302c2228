//! Opening, renewing, revoking and listing sessions: for whoever builds endpoints.

mod ending;
mod opening;
mod reading;
mod renewing;

use std::sync::Arc;

use crate::{
    clock::{Clock, SystemClock, Timestamp},
    error::{AuthError, ErrorKind},
    id::SessionId,
    security::SecurityEvents,
    session::{SessionPolicy, SessionRecord, decide},
    store::{AgentDirectory, AnyAgent, SessionStore},
    token::{Claims, SessionToken, SignError, TokenSigner},
};

/// The life of sessions, over any store, any agent directory and any clock.
///
/// To build endpoints on it: put those for administrators behind [`MasterAuthLayer`](crate::MasterAuthLayer), the renewal
/// behind [`SessionAuthLayer::for_renewal`](crate::SessionAuthLayer::for_renewal), which leaves a [`PresentedSession`](crate::session_auth::PresentedSession) in the
/// request's extensions for [`renew`](Self::renew), and turn errors into answers with
/// [`problem_response`](crate::response::problem_response).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_session_auth::{AgentId, MemoryStore, SessionManager, SigningKey, session::CreateSession, token::TokenSigner};
///
/// let signer = TokenSigner::new(SigningKey::generate()?);
/// let sessions = SessionManager::new(MemoryStore::new(), signer);
///
/// let agent: AgentId = "6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a11".parse()?;
/// let issued = sessions.create(CreateSession::new(agent)).await?;
/// assert!(issued.token.expose().starts_with("wai_sess_v4.public."));
///
/// sessions.revoke(issued.record.id).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SessionManager<S, D = AnyAgent> {
    store: S,
    directory: D,
    signer: TokenSigner,
    policy: SessionPolicy,
    clock: Arc<dyn Clock>,
    events: SecurityEvents,
}

/// A session with its fresh token.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct IssuedSession {
    /// The session.
    pub record: SessionRecord,
    /// The token, to be handed to the agent. It is stored nowhere.
    pub token: SessionToken,
    /// When the agent should renew the session: see [`renew_after`](crate::session::decide::renew_after).
    pub renew_after: Timestamp,
    /// The sessions that were revoked to make room for this one: see [`OnSessionLimit`](crate::session::OnSessionLimit).
    pub evicted: Vec<SessionId>,
}

impl IssuedSession {
    fn new(record: SessionRecord, token: SessionToken) -> Self {
        Self {
            renew_after: decide::renew_after(&record),
            record,
            token,
            evicted: Vec::new(),
        }
    }
}

impl<S: SessionStore> SessionManager<S> {
    /// A manager that accepts any agent, with the default policy and the system's clock.
    #[must_use]
    pub fn new(store: S, signer: TokenSigner) -> Self {
        Self {
            store,
            directory: AnyAgent,
            signer,
            policy: SessionPolicy::default(),
            clock: Arc::new(SystemClock),
            events: SecurityEvents::default(),
        }
    }
}

impl<S: SessionStore, D: AgentDirectory> SessionManager<S, D> {
    /// Asks a directory whether an agent exists.
    #[must_use]
    pub fn directory<E: AgentDirectory>(self, directory: E) -> SessionManager<S, E> {
        SessionManager {
            store: self.store,
            directory,
            signer: self.signer,
            policy: self.policy,
            clock: self.clock,
            events: self.events,
        }
    }

    /// Another policy than the default one.
    #[must_use]
    pub fn policy(mut self, policy: SessionPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Another clock than the system's.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Counts security events together with others.
    #[must_use]
    pub fn events(mut self, events: SecurityEvents) -> Self {
        self.events = events;
        self
    }

    fn sign(&self, claims: &Claims) -> Result<SessionToken, AuthError> {
        self.signer.sign(claims).map_err(|error| cannot_sign(&error))
    }
}

fn cannot_sign(error: &SignError) -> AuthError {
    tracing::error!(%error, "cannot sign a token");
    ErrorKind::InternalError.into()
}

impl<S, D> std::fmt::Debug for SessionManager<S, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionManager")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
