//! Opening, renewing, revoking and listing sessions: for whoever builds endpoints.

use std::sync::Arc;

use crate::{
    clock::{Clock, SystemClock, Timestamp},
    error::{AuthError, ErrorKind},
    id::{AgentId, SessionId},
    session::{self, CreateSession, SessionPolicy, SessionRecord},
    session_auth::PresentedSession,
    store::{
        AgentDirectory, AnyAgent, Created, NewSession, Page, PageRequest, SessionCursor, SessionStore,
        Swapped, TokenSwap,
    },
    token::{Claims, SessionToken, TokenSigner},
};

/// The life of sessions, over any store, any agent directory and any clock.
///
/// To build endpoints on it: put those for administrators behind [`MasterAuthLayer`](crate::MasterAuthLayer), the renewal
/// behind [`SessionAuthLayer::for_renewal`](crate::SessionAuthLayer::for_renewal), which leaves a [`PresentedSession`] in the
/// request's extensions for [`renew`](Self::renew), and turn errors into answers with
/// [`problem_response`](crate::problem_response).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_session_auth::{
///     AgentId, CreateSession, MemoryStore, SessionManager, SigningKey, TokenSigner,
/// };
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
}

/// A session with its fresh token.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct IssuedSession {
    /// The session.
    pub record: SessionRecord,
    /// The token, to be handed to the agent. It is stored nowhere.
    pub token: SessionToken,
    /// From when on the session can be renewed.
    pub renew_after: Timestamp,
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

    /// Opens a session.
    ///
    /// # Errors
    /// `ValidationFailed`, `AgentNotFound`, `SessionLimitExceeded`, `StoreUnavailable`, `InternalError`. After
    /// `StoreUnavailable` there may be a session whose token nobody has; the store takes it away as soon as it can.
    pub async fn create(&self, wish: CreateSession) -> Result<IssuedSession, AuthError> {
        let now_millis = self.clock.now_millis();
        let now = Timestamp::from_millis(now_millis);
        let agent_id = wish.agent_id;
        let terms = self.policy.grant(&wish, now)?;
        if !self.directory.contains(agent_id).await? {
            return Err(ErrorKind::AgentNotFound.into());
        }
        let id = SessionId::generate(agent_id, now_millis).map_err(|_| ErrorKind::InternalError)?;
        let claims = Claims {
            session_id: id,
            agent_id,
            generation: 0,
            issued_at: now,
            expires_at: terms.expires_at,
        };
        let token = self.sign(&claims)?;
        let record = SessionRecord {
            id,
            agent_id,
            token_hash: token.hash(),
            generation: 0,
            renewal_count: 0,
            max_renewals: terms.max_renewals,
            ttl: terms.ttl,
            expires_at: terms.expires_at,
            absolute_expires_at: terms.absolute_expires_at,
            last_renewed_at: None,
            revoked_at: None,
            constraints: wish.constraints,
        };
        let session = NewSession {
            record,
            limit: self.policy.max_sessions_per_agent,
            retention: self.policy.retention,
            now,
        };
        match self.store.create(&session).await? {
            Created::Done => Ok(issued(session.record, token, &claims)),
            Created::LimitReached => Err(ErrorKind::SessionLimitExceeded.into()),
            Created::AgentDeleted => Err(ErrorKind::AgentNotFound.into()),
        }
    }

    /// Renews the session that a [renewal layer](crate::SessionAuthLayer::for_renewal) has let through: its token is
    /// replaced, and the old one is dead at once.
    ///
    /// # Errors
    /// Those of [`renew`](crate::decisions::renew), `SessionNotFound`, `StoreUnavailable`, `InternalError`. After
    /// `StoreUnavailable` the token may have been replaced all the same.
    pub async fn renew(&self, presented: &PresentedSession) -> Result<IssuedSession, AuthError> {
        let now = self.clock.now();
        let current = presented.record();
        let renewal = session::renew(current, presented.token(), now).map_err(|refusal| {
            let error = AuthError::token(refusal.kind);
            match refusal.retry_after {
                Some(seconds) => error.with_retry_after(seconds),
                None => error,
            }
        })?;
        let claims = Claims {
            session_id: current.id,
            agent_id: current.agent_id,
            generation: renewal.generation,
            issued_at: renewal.issued_at,
            expires_at: renewal.expires_at,
        };
        let token = self.sign(&claims)?;
        let next = SessionRecord {
            token_hash: token.hash(),
            generation: renewal.generation,
            renewal_count: renewal.renewal_count,
            expires_at: renewal.expires_at,
            last_renewed_at: Some(now),
            ..current.clone()
        };
        let swap = TokenSwap {
            current: current.clone(),
            next,
            retention: self.policy.retention,
            now,
        };
        match self.store.replace_token(&swap).await? {
            Swapped::Done => Ok(issued(swap.next, token, &claims)),
            Swapped::Mismatch => Err(ErrorKind::SessionRenewalMismatch.into()),
            Swapped::Revoked => Err(AuthError::token(ErrorKind::SessionRevoked)),
            Swapped::NotFound => Err(AuthError::token(ErrorKind::SessionNotFound)),
        }
    }

    /// Revokes a session: its token is refused from the next request on. Repeating it changes nothing.
    ///
    /// # Errors
    /// `SessionNotFound`, `StoreUnavailable`.
    pub async fn revoke(&self, id: SessionId) -> Result<(), AuthError> {
        if self.store.revoke(id, self.clock.now()).await? {
            Ok(())
        } else {
            Err(ErrorKind::SessionNotFound.into())
        }
    }

    /// Revokes all sessions of an agent in one step and answers how many were active. An agent that the directory no
    /// longer knows can still be cut off.
    ///
    /// # Errors
    /// `AgentNotFound` when there were no sessions and the directory does not know the agent; `StoreUnavailable`.
    pub async fn revoke_agent(&self, agent: AgentId) -> Result<u32, AuthError> {
        let revoked = self.store.revoke_agent(agent, self.clock.now()).await?;
        if revoked == 0 && !self.directory.contains(agent).await? {
            return Err(ErrorKind::AgentNotFound.into());
        }
        Ok(revoked)
    }

    /// Finds a session, a revoked one too.
    ///
    /// # Errors
    /// `SessionNotFound`, `StoreUnavailable`.
    pub async fn get(&self, id: SessionId) -> Result<SessionRecord, AuthError> {
        let record = self.store.read(id).await?;
        record.ok_or_else(|| ErrorKind::SessionNotFound.into())
    }

    /// A page of the sessions that are not revoked, of one agent or of all, newest first within an agent.
    ///
    /// # Errors
    /// `StoreUnavailable`.
    pub async fn list(
        &self,
        agent: Option<AgentId>,
        page: PageRequest<SessionCursor>,
    ) -> Result<Page<SessionRecord, SessionCursor>, AuthError> {
        Ok(self.store.list(agent, page).await?)
    }

    fn sign(&self, claims: &Claims) -> Result<SessionToken, AuthError> {
        self.signer.sign(claims).map_err(|error| {
            tracing::error!(%error, "cannot sign a token");
            ErrorKind::InternalError.into()
        })
    }
}

fn issued(record: SessionRecord, token: SessionToken, claims: &Claims) -> IssuedSession {
    IssuedSession {
        record,
        token,
        renew_after: session::renewable_from(claims),
    }
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
