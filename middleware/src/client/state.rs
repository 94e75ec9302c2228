//! The state that all handles of a session share, and its transitions.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tower::BoxError;

use super::{
    backoff::Backoff,
    error::SessionOver,
    header::TokenHeader,
    server::SessionServer,
    server_clock::ServerClock,
    storage::{DynStorage, SavedSession},
    token_times::TokenTimes,
};
use crate::token::SessionToken;

pub(super) struct Shared {
    pub(super) storage: Box<dyn DynStorage>,
    pub(super) server: SessionServer,
    pub(super) header: TokenHeader,
    pub(super) clock: Arc<ServerClock>,
    pub(super) backoff: Backoff,
    /// The time limit of one storage operation.
    pub(super) attempt_timeout: Duration,
    pub(super) state: watch::Sender<State>,
    /// Counts the handles. Background renewal stops when none is left.
    pub(super) handles: Weak<()>,
}

#[derive(Clone)]
pub(super) struct State {
    pub(super) saved: SavedSession,
    pub(super) phase: Phase,
    /// No renewal starts before this time.
    pub(super) renewal_not_before: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The token can be used, and no renewal is in progress.
    Active,
    Renewing,
    /// The server has replaced the token, and the new one is not saved yet.
    Saving,
    /// The session has reached its maximum of renewals. The token can be used until it expires.
    LastToken,
    Over(SessionOver),
}

impl State {
    pub(super) const fn new(saved: SavedSession) -> Self {
        Self {
            saved,
            phase: Phase::Active,
            renewal_not_before: None,
        }
    }

    /// True if a renewal may start now, even if it is not due.
    pub(super) fn may_renew(&self) -> bool {
        matches!(self.phase, Phase::Active | Phase::LastToken)
            && self.renewal_not_before.is_none_or(|time| time <= Instant::now())
    }
}

impl Shared {
    /// Starts a renewal of the current token, if one may start now. The caller then carries it out.
    pub(super) fn begin_renewal(&self) -> Option<SessionToken> {
        let mut token = None;
        self.state.send_if_modified(|state| {
            let may_renew = state.may_renew();
            if may_renew {
                state.phase = Phase::Renewing;
                token = Some(state.saved.token.clone());
            }
            may_renew
        });
        token
    }

    pub(super) async fn renewal_finished(&self) {
        let mut state = self.state.subscribe();
        let finished = |state: &State| !matches!(state.phase, Phase::Renewing | Phase::Saving);
        let _ = state.wait_for(finished).await;
    }

    /// Replaces `token` with a stored session that has another token. Does nothing if `token` is no longer in use.
    pub(super) fn adopt(&self, token: &SessionToken, saved: SavedSession) {
        if let Some(times) = TokenTimes::read(&saved.token) {
            self.clock.advance_to(times.issued_at);
        }
        self.state.send_if_modified(|state| {
            let adopt = state.saved.token == *token && saved.token != *token;
            if adopt {
                *state = State::new(saved);
            }
            adopt
        });
    }

    /// Changes the phase, unless the token was replaced meanwhile.
    pub(super) fn set_phase(&self, token: &SessionToken, phase: Phase) {
        self.state.send_if_modified(|state| {
            let same = state.saved.token == *token;
            if same {
                state.phase = phase;
            }
            same
        });
    }

    /// Prevents renewals of this token for a while.
    pub(super) fn postpone_renewal(&self, token: &SessionToken, pause: Duration) {
        let until = Instant::now().checked_add(pause);
        self.state.send_if_modified(|state| {
            if state.saved.token == *token {
                state.renewal_not_before = until;
            }
            false
        });
    }

    /// Makes an ended session active again, so that it is tried once more.
    pub(super) fn reactivate(&self, token: &SessionToken) {
        self.state.send_if_modified(|state| {
            let over = matches!(state.phase, Phase::Over(_)) && state.saved.token == *token;
            if over {
                *state = State::new(state.saved.clone());
            }
            over
        });
    }

    /// Reloads the stored session. If its token differs from `token`, adopts it and returns true.
    pub(super) async fn reload_stored(&self, token: &SessionToken) -> Result<bool, BoxError> {
        let saved = self.load().await?;
        let differs = saved.token != *token;
        self.adopt(token, saved);
        Ok(differs)
    }

    pub(super) async fn load(&self) -> Result<SavedSession, BoxError> {
        timeout(self.attempt_timeout, self.storage.load()).await?
    }

    pub(super) async fn replace(
        &self,
        expected: &SavedSession,
        next: &SavedSession,
    ) -> Result<SavedSession, BoxError> {
        timeout(self.attempt_timeout, self.storage.replace(expected, next)).await?
    }
}
