//! Renewals in the background, one at a time.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use super::{
    attempt::Retry,
    backoff::Attempts,
    error::SessionOver,
    server::CheckAnswer,
    state::{Phase, Shared},
};
use crate::token::SessionToken;

/// The pause after a renewal that panicked.
const PAUSE_AFTER_PANIC: Duration = Duration::from_secs(1);

/// The number of storage reloads for the token of a sibling that has renewed the session.
const SIBLING_RELOADS: u32 = 6;

/// The longest pause that a server may request: several attempts must fit into its retry window.
const MAX_REQUESTED_PAUSE: Duration = Duration::from_secs(10);

/// The longest time between two reads of the clock. An operator may set the clock, and it advances while the machine is
/// suspended.
const CLOCK_INTERVAL: Duration = Duration::from_secs(10);

impl Shared {
    pub(super) fn renew_if_due(self: &Arc<Self>) {
        let due = {
            let state = self.state.borrow();
            state.phase == Phase::Active && self.clock.now() >= state.saved.renew_after
        };
        if due {
            self.start_renewal();
        }
    }

    /// Starts a renewal in the background, unless one is in progress or postponed.
    pub(super) fn start_renewal(self: &Arc<Self>) {
        let Some(token) = self.begin_renewal() else {
            return;
        };
        let mut guard = RenewalGuard(Some((self.clone(), token)));
        tokio::spawn(async move {
            if let Some((shared, token)) = &guard.0 {
                let phase = shared.renew(token).await;
                shared.set_phase(token, phase);
            }
            drop(guard.0.take());
        });
    }

    /// Repeats attempts until one of them has a final response. Returns the phase of `token` afterwards.
    async fn renew(&self, token: &SessionToken) -> Phase {
        let mut attempts = Attempts::new(self.backoff);
        let mut sibling_reloads = SIBLING_RELOADS;
        loop {
            let Retry { reason, after } = match self.attempt_renewal(token, &mut sibling_reloads).await {
                Ok(phase) => return phase,
                Err(_) if self.handles.strong_count() == 0 => return Phase::Active,
                Err(retry) => retry,
            };
            let expires_at = self.state.borrow().saved.expires_at;
            let Some(pause) = attempts.next(self.clock.now() >= expires_at) else {
                return Phase::Over(SessionOver::Expired);
            };
            tracing::warn!(reason, "the session is not renewed yet");
            tokio::time::sleep(after.min(MAX_REQUESTED_PAUSE) + pause).await;
        }
    }

    /// Repeats the check at the start if no server has answered it. Returns true if it is still unanswered.
    async fn repeat_check(&self) -> bool {
        // The server would treat a token as stolen if a sibling replaced it long ago.
        let token = self.state.borrow().saved.token.clone();
        let reloaded = self.reload_stored(&token).await;
        let state = self.state.borrow().clone();
        if reloaded.is_err() || state.phase != Phase::Active {
            return true;
        }
        match self.server.check(&state.saved).await {
            Ok(CheckAnswer::Unavailable(_)) => return true,
            Ok(CheckAnswer::TokenNotAccepted) => tracing::warn!(TOKEN_NOT_ACCEPTED),
            Ok(CheckAnswer::Confirmed) => tracing::debug!("the session server has answered"),
            Err(error) => tracing::error!(%error, "the session cannot be renewed"),
        }
        false
    }
}

/// The log message for [`CheckAnswer::TokenNotAccepted`].
pub(super) const TOKEN_NOT_ACCEPTED: &str = "the session server does not accept the stored token";

/// Renews the session when it is due, even without requests, while a handle exists. First repeats the check at the start if the
/// session is `unchecked`: the schedule needs the server's time.
pub(super) async fn renew_when_due(session: Weak<Shared>, mut unchecked: bool) {
    while let Some(shared) = session.upgrade() {
        shared.renew_if_due();
        shared.renewal_finished().await;
        let left = shared.clock.until(shared.state.borrow().saved.renew_after);
        drop(shared);
        // A renewal that is still due cannot be made now.
        let pause = if left.is_zero() { CLOCK_INTERVAL } else { left };
        tokio::time::sleep(pause.min(CLOCK_INTERVAL)).await;
        if unchecked && let Some(shared) = session.upgrade() {
            unchecked = shared.repeat_check().await;
        }
    }
}

/// Ends a renewal that panicked or was dropped with its runtime, so that no request waits for it.
struct RenewalGuard(Option<(Arc<Shared>, SessionToken)>);

impl Drop for RenewalGuard {
    fn drop(&mut self) {
        if let Some((shared, token)) = &self.0 {
            shared.postpone_renewal(token, PAUSE_AFTER_PANIC);
            shared.set_phase(token, Phase::Active);
        }
    }
}
