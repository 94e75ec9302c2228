//! What tokens give away: counted, logged, and acted upon.

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
        OnReuse, ReplacedTokenPolicy, SessionRecord,
        decide::{Rejection, SecurityEvent},
    },
    store::SessionStore,
    token::VerifiedToken,
};

/// Counts security events. Clones share their counts: give one to every layer and manager of a process.
///
/// Each event is also logged, with the target `tower_session_auth::security`, the ids of session and agent and the two
/// generations: the reuse of a replaced token as a warning, a lost state as an error.
#[derive(Clone, Default)]
pub struct SecurityEvents {
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    token_reuse: AtomicU64,
    state_lost: AtomicU64,
}

impl SecurityEvents {
    /// No events yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How often a token was presented that had been replaced long ago: see [`SecurityEvent::Reuse`].
    #[must_use]
    pub fn token_reuse(&self) -> u64 {
        self.counts.token_reuse.load(Ordering::Relaxed)
    }

    /// How often a token was presented that the store should have known of: see [`SecurityEvent::StateLost`].
    #[must_use]
    pub fn state_lost(&self) -> u64 {
        self.counts.state_lost.load(Ordering::Relaxed)
    }

    fn record(&self, suspicion: SecurityEvent, session: &SessionRecord, token: &VerifiedToken) {
        let (id, agent) = (session.id, session.agent_id);
        let (presented, current) = (token.claims().generation, session.generation);
        match suspicion {
            SecurityEvent::Reuse => {
                let total = self.counts.token_reuse.fetch_add(1, Ordering::Relaxed) + 1;
                tracing::warn!(
                    target: TARGET, event = "token_reuse", session = %id, %agent, presented, current, total,
                    "a replaced token was presented: somebody has a copy"
                );
            }
            SecurityEvent::StateLost => {
                let total = self.counts.state_lost.fetch_add(1, Ordering::Relaxed) + 1;
                tracing::error!(
                    target: TARGET, event = "state_lost", session = %id, %agent, presented, current, total,
                    "the store has lost writes: it knows of no such generation of this session's token"
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

const TARGET: &str = "tower_session_auth::security";

/// What a refusal is answered with. When it raises a suspicion, that is recorded, and acted upon first as the policy says.
pub(crate) async fn refuse<S: SessionStore>(
    refusal: Rejection,
    session: &SessionRecord,
    token: &VerifiedToken,
    rotation: &ReplacedTokenPolicy,
    events: &SecurityEvents,
    store: &S,
    now: Timestamp,
) -> AuthError {
    if let Some(suspicion) = refusal.suspicion {
        events.record(suspicion, session, token);
        if suspicion == SecurityEvent::Reuse && rotation.on_reuse == OnReuse::Revoke {
            let revocation = revoke(store.clone(), session.id, now);
            match tokio::runtime::Handle::try_current() {
                // A client that hangs up must not stop it. That it panicked is in the log.
                Ok(runtime) => drop(runtime.spawn(revocation).await),
                Err(_) => revocation.await,
            }
        }
    }
    refusal.into()
}

async fn revoke<S: SessionStore>(store: S, session: SessionId, now: Timestamp) {
    match store.revoke(session, now).await {
        Ok(_) => {
            tracing::warn!(target: TARGET, %session, "revoked after the reuse of a token");
        }
        Err(error) => {
            tracing::error!(target: TARGET, %error, %session, "not revoked after the reuse of a token");
        }
    }
}
