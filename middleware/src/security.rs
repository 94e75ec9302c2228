//! Security events: counted, logged, and acted upon.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    clock::Timestamp,
    error::AuthError,
    id::SessionId,
    session::{
        OnReuse, SessionRecord,
        decide::{Rejection, SecurityEvent},
    },
    store::SessionStore,
    telemetry::SecurityMetrics,
    token::VerifiedToken,
};

/// The target of log events about security.
const TARGET: &str = "tower_session_auth::security";

/// Counts security events. Clones share their counts: use clones of one in all layers and managers of a process.
///
/// Each event is also logged, with the target `tower_session_auth::security`, the ids of session and agent, and both
/// generations. The reuse of a replaced token is a warning, and a lost state is an error.
#[derive(Clone, Default)]
pub struct SecurityEvents {
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    token_reuse: AtomicU64,
    state_lost: AtomicU64,
    metrics: SecurityMetrics,
}

impl SecurityEvents {
    /// A counter without any event.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of tokens that were presented long after a renewal replaced them: see [`SecurityEvent::TokenReuse`].
    #[must_use]
    pub fn token_reuse(&self) -> u64 {
        self.counts.token_reuse.load(Ordering::Relaxed)
    }

    /// The number of presented tokens that the store has lost: see [`SecurityEvent::StateLost`].
    #[must_use]
    pub fn state_lost(&self) -> u64 {
        self.counts.state_lost.load(Ordering::Relaxed)
    }

    /// Handles the rejection of a token and returns the error for the client.
    ///
    /// If the rejection reveals a security event, the event is counted and logged. On the reuse of a token the session is
    /// revoked, if its record requires it. The revocation completes even if the client disconnects meanwhile.
    ///
    /// [`SessionAuthLayer`](crate::SessionAuthLayer) and [`SessionManager`](crate::SessionManager) call this for each
    /// rejection. Call it in your own layer if that uses [`session::decide`](crate::session::decide), so that it counts and
    /// revokes too.
    pub async fn handle<S: SessionStore>(
        &self,
        rejection: Rejection,
        session: &SessionRecord,
        token: &VerifiedToken,
        store: &S,
        now: Timestamp,
    ) -> AuthError {
        if let Some(event) = rejection.event {
            self.record(event, session, token);
            let on_reuse = session
                .last_renewal
                .as_ref()
                .map(|renewal| renewal.replaced.on_reuse);
            if event == SecurityEvent::TokenReuse && on_reuse == Some(OnReuse::Revoke) {
                let revocation = revoke(store.clone(), session.id, now);
                match tokio::runtime::Handle::try_current() {
                    // A separate task, which the disconnection of the client does not cancel.
                    Ok(runtime) => drop(runtime.spawn(revocation).await),
                    Err(_) => revocation.await,
                }
            }
        }
        rejection.to_error().with_session(session.id, session.agent_id)
    }

    fn record(&self, event: SecurityEvent, session: &SessionRecord, token: &VerifiedToken) {
        let (id, agent) = (session.id, session.agent_id);
        let (presented, current) = (token.claims().generation, session.generation);
        match event {
            SecurityEvent::TokenReuse => {
                self.counts.metrics.token_reuse.increment(1);
                let total = self.counts.token_reuse.fetch_add(1, Ordering::Relaxed) + 1;
                tracing::warn!(
                    target: TARGET, event = "token_reuse", session = %id, %agent, presented, current, total,
                    "a replaced token was presented: the token was probably copied"
                );
            }
            SecurityEvent::StateLost => {
                self.counts.metrics.state_lost.increment(1);
                let total = self.counts.state_lost.fetch_add(1, Ordering::Relaxed) + 1;
                tracing::error!(
                    target: TARGET, event = "state_lost", session = %id, %agent, presented, current, total,
                    "the store has lost writes: the record is behind the presented token"
                );
            }
        }
    }
}

impl fmt::Debug for SecurityEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecurityEvents")
            .field("token_reuse", &self.token_reuse())
            .field("state_lost", &self.state_lost())
            .finish()
    }
}

async fn revoke<S: SessionStore>(store: S, session: SessionId, now: Timestamp) {
    match store.revoke(session, now).await {
        Ok(_) => {
            tracing::warn!(target: TARGET, %session, "session revoked after the reuse of a token");
        }
        Err(error) => {
            tracing::error!(target: TARGET, %error, %session, "session not revoked after the reuse of a token");
        }
    }
}

#[cfg(test)]
mod tests;
