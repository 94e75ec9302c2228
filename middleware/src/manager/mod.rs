//! [`SessionManager`]: creates, renews, revokes and lists sessions.

mod check;
mod create;
mod read;
mod register;
mod renew;
mod revoke;

#[cfg(feature = "endpoints")]
pub(crate) use register::MAX_NAME_LEN;
pub use register::RegisterAgent;

use std::sync::Arc;

use crate::{
    clock::{Clock, SystemClock, Timestamp},
    error::{AuthError, ErrorKind},
    id::SessionId,
    security::SecurityEvents,
    session::{CreationId, RequestHash, SessionPolicy, SessionRecord, decide},
    store::{AgentDirectory, AgentStore, AnyAgent, CreationRetry, RegisteredAgents, SessionStore},
    telemetry::RenewalMetrics,
    token::{Claims, KeySet, SessionToken, SignError, TokenSigner},
};

/// Creates, renews, revokes and lists sessions, over any store, any agent directory and any clock.
///
/// [`SessionAuthority`](crate::SessionAuthority) makes a manager with the configuration of its layers. The feature `endpoints`
/// has the whole HTTP API on top of it.
///
/// For your own endpoints, put those of the administrator behind [`MasterAuthLayer`](crate::master_auth::MasterAuthLayer). Put
/// the renewal behind [`RenewalLayer`](crate::session_auth::RenewalLayer). It adds a
/// [`PresentedSession`](crate::session_auth::PresentedSession) to the request's extensions, for [`renew`](Self::renew).
///
/// A session is created only for an agent that the [directory](AgentDirectory) contains: by default, an agent registered in the
/// store.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_session_auth::{
///     MemoryStore, SessionManager, SigningKey, clock::Timestamp,
///     session::CreateSession, store::{Agent, AgentStore}, token::TokenSigner,
/// };
///
/// let store = MemoryStore::new();
/// let sessions = SessionManager::new(store.clone(), TokenSigner::new(SigningKey::generate()?));
///
/// let agent = Agent::new("6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a11".parse()?, Timestamp(1_760_000_000));
/// store.register(&agent).await?;
/// let issued = sessions.create(CreateSession::new(agent.id)).await?;
/// assert!(issued.token.expose().starts_with("wai_sess_v4.public."));
///
/// sessions.revoke(issued.record.id).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SessionManager<S, D = RegisteredAgents<S>> {
    store: S,
    directory: D,
    signer: TokenSigner,
    policy: SessionPolicy,
    clock: Arc<dyn Clock>,
    events: SecurityEvents,
    renewals: RenewalMetrics,
}

/// A session with its new token.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct IssuedSession {
    /// The session.
    pub record: SessionRecord,
    /// The token for the agent. A store keeps only its hash.
    pub token: SessionToken,
    /// The time at which the agent should renew the session: see [`renew_after`](crate::session::decide::renew_after).
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

impl<S: SessionStore + AgentStore> SessionManager<S> {
    /// A manager for the agents that are registered in the store, with the default policy and the system's clock.
    #[must_use]
    pub fn new(store: S, signer: TokenSigner) -> Self {
        let agents = RegisteredAgents(store.clone());
        Self::with_directory(store, signer, agents)
    }
}

impl<S: SessionStore> SessionManager<S, AnyAgent> {
    /// A manager that creates sessions for any agent id, with the default policy and the system's clock. The caller must check
    /// that an agent exists.
    #[must_use]
    pub fn for_any_agent(store: S, signer: TokenSigner) -> Self {
        Self::with_directory(store, signer, AnyAgent)
    }
}

impl<S: SessionStore, D: AgentDirectory> SessionManager<S, D> {
    /// A manager for the agents of a directory, with the default policy and the system's clock.
    #[must_use]
    pub fn with_directory(store: S, signer: TokenSigner, directory: D) -> Self {
        Self {
            store,
            directory,
            signer,
            policy: SessionPolicy::default(),
            clock: Arc::new(SystemClock),
            events: SecurityEvents::default(),
            renewals: RenewalMetrics::new(),
        }
    }

    /// Sets the policy.
    #[must_use]
    pub fn policy(mut self, policy: SessionPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// The policy.
    #[cfg(feature = "endpoints")]
    pub(crate) const fn session_policy(&self) -> &SessionPolicy {
        &self.policy
    }

    /// Sets the clock: the system's by default.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Counts security events together with the layers and managers that share `events`.
    #[must_use]
    pub fn events(mut self, events: SecurityEvents) -> Self {
        self.events = events;
        self
    }

    /// Signs with these keys from now on, in all clones of this manager. Returns the id of the key that signed before.
    pub(crate) fn set_keys(&self, keys: &KeySet) -> String {
        let before = self.signer.signing_key_id();
        self.signer.set_keys(keys);
        before
    }

    /// The id of the key that signs new tokens.
    #[cfg(feature = "endpoints")]
    pub(crate) fn signing_key_id(&self) -> String {
        self.signer.signing_key_id()
    }

    /// Makes a creation repeatable within the retry window. `None` if the policy turns repetitions off.
    fn retry(&self, id: CreationId, request: RequestHash, now: Timestamp) -> Option<CreationRetry> {
        let window = self.policy.replaced_tokens.retry_window;
        (window > 0).then(|| CreationRetry::new(id, request, now.plus(window)))
    }

    fn sign(&self, claims: &Claims) -> Result<SessionToken, AuthError> {
        self.signer.sign(claims).map_err(cannot_sign)
    }
}

/// The error of an idempotency key that came with another request before.
fn key_reused() -> AuthError {
    AuthError::invalid_field("Idempotency-Key", "was used with another request before")
}

fn cannot_sign(error: SignError) -> AuthError {
    AuthError::new(ErrorKind::InternalError).with_internal_cause(error)
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
