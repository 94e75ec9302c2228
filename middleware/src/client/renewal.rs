//! One renewal at a time, until it has a final answer.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};
use tower::BoxError;

use super::{SavedSession, SessionOver, backoff::Attempts, endpoint::Answer, session::Shared};
use crate::{session::IdempotencyKey, token::SessionToken};

/// For how long the server is believed at most that it is too early. What it says counts for its clock, and this process may have
/// asked only because its own was wrong for a moment.
const LONGEST_PUT_OFF: Duration = Duration::from_secs(60);

const AFTER_PANIC: Duration = Duration::from_secs(1);

/// How often the storage is read again for the token of a sibling, which saves it a little after the server has changed it.
const SIBLING_SAVES: u32 = 6;

/// The longest pause that a server may ask for: a retry window must hold several attempts.
const LONGEST_ASKED: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(super) struct State {
    pub(super) saved: SavedSession,
    pub(super) phase: Phase,
    /// No renewal begins before: by a clock that nobody sets.
    pub(super) not_before: Option<Instant>,
}

impl State {
    pub(super) const fn new(saved: SavedSession) -> Self {
        Self {
            saved,
            phase: Phase::Steady,
            not_before: None,
        }
    }

    /// Whether a renewal may begin now, due or not.
    pub(super) fn may_begin(&self) -> bool {
        matches!(self.phase, Phase::Steady | Phase::Last)
            && self.not_before.is_none_or(|instant| instant <= Instant::now())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Steady,
    Renewing,
    /// The server has replaced the token, and the new one is not saved yet.
    Saving,
    /// The token is the session's last one.
    Last,
    Over(SessionOver),
}

impl Phase {
    const fn is_renewal(self) -> bool {
        matches!(self, Self::Renewing | Self::Saving)
    }
}

/// Why an attempt has to be made again, and after how long at least.
struct Again {
    why: String,
    after: Duration,
}

impl From<BoxError> for Again {
    fn from(error: BoxError) -> Self {
        Self {
            why: format!("storage: {error}"),
            after: Duration::ZERO,
        }
    }
}

impl Shared {
    pub(super) fn renew_if_due(self: &Arc<Self>) {
        let due = {
            let state = self.state.borrow();
            state.phase == Phase::Steady && self.clock.now() >= state.saved.renew_after
        };
        if due {
            self.start_renewal();
        }
    }

    /// Begins a renewal in the background unless one is under way.
    pub(super) fn start_renewal(self: &Arc<Self>) {
        let mut token = None;
        self.state.send_if_modified(|state| {
            let may = state.may_begin();
            if may {
                state.phase = Phase::Renewing;
                token = Some(state.saved.token.clone());
            }
            may
        });
        if let Some(token) = token {
            let mut guard = RenewalGuard(Some((self.clone(), token)));
            tokio::spawn(async move {
                if let Some((shared, token)) = &guard.0 {
                    let phase = shared.renew(token).await;
                    shared.settle(token, phase);
                }
                drop(guard.0.take());
            });
        }
    }

    pub(super) async fn renewal_ended(&self) {
        let mut state = self.state.subscribe();
        let _ = state.wait_for(|state| !state.phase.is_renewal()).await;
    }

    /// Goes on with what is saved, if that is another token than this one and this is still the one in use.
    pub(super) fn adopt(&self, token: &SessionToken, saved: SavedSession) {
        self.state.send_if_modified(|state| {
            let other = state.saved.token == *token && saved.token != *token;
            if other {
                *state = State::new(saved);
            }
            other
        });
    }

    /// Reads the storage: whether it holds another token than this one, with which the session goes on then.
    pub(super) async fn saved_anew(&self, token: &SessionToken) -> Result<bool, BoxError> {
        let saved = self.load().await?;
        let anew = saved.token != *token;
        self.adopt(token, saved);
        Ok(anew)
    }

    async fn load(&self) -> Result<SavedSession, BoxError> {
        timeout(self.attempt_timeout, self.storage.load()).await?
    }

    async fn replace(&self, expected: &SavedSession, next: &SavedSession) -> Result<SavedSession, BoxError> {
        timeout(self.attempt_timeout, self.storage.replace(expected, next)).await?
    }

    /// Goes on with the same token, unless there is another one by now.
    pub(super) fn settle(&self, token: &SessionToken, phase: Phase) {
        self.state.send_if_modified(|state| {
            let same = state.saved.token == *token;
            if same {
                state.phase = phase;
            }
            same
        });
    }

    /// Renews the session whose token this is, and answers what is left to say of that token when it is still the one.
    async fn renew(&self, token: &SessionToken) -> Phase {
        let mut attempts = Attempts::new(self.backoff);
        let mut sibling_saves = SIBLING_SAVES;
        loop {
            let again = match self.attempt(token, &mut sibling_saves).await {
                Ok(phase) => return phase,
                Err(_) if self.handles.strong_count() == 0 => return Phase::Steady,
                Err(again) => again,
            };
            let expires_at = self.state.borrow().saved.expires_at;
            let Some(pause) = attempts.next(self.clock.now() >= expires_at) else {
                return Phase::Over(SessionOver::Expired);
            };
            tracing::warn!(why = again.why, "the session is not renewed yet");
            tokio::time::sleep(again.after.min(LONGEST_ASKED) + pause).await;
        }
    }

    async fn attempt(&self, token: &SessionToken, sibling_saves: &mut u32) -> Result<Phase, Again> {
        let saved = self.load().await?;
        let Some((saved, key)) = self.reserve(saved, token).await? else {
            return Ok(Phase::Steady);
        };
        match self.endpoint.renew(&saved, &key, self.attempt_timeout).await {
            Answer::Renewed(next) => {
                self.settle(token, Phase::Saving);
                Ok(self.commit(&saved, next).await)
            }
            Answer::TooEarly(seconds) => {
                self.put_off(token, Duration::from_secs(seconds).min(LONGEST_PUT_OFF));
                Ok(Phase::Steady)
            }
            Answer::LimitReached => Ok(Phase::Last),
            Answer::Over(over) => {
                self.saved_anew(token).await?;
                Ok(Phase::Over(over))
            }
            Answer::Mismatch if self.saved_anew(token).await? => Ok(Phase::Steady),
            Answer::Mismatch if *sibling_saves == 0 => Ok(Phase::Over(SessionOver::Superseded)),
            Answer::Mismatch => {
                *sibling_saves -= 1;
                Err(Again {
                    why: "the session goes on with a token that is not saved here yet".to_owned(),
                    after: Duration::ZERO,
                })
            }
            Answer::Again { why, after } => Err(Again { why, after }),
        }
    }

    /// Saves a key for the renewal, unless one is saved already: by a process before this one, or by a sibling. `None` when
    /// another token is saved, with which the session goes on.
    async fn reserve(
        &self,
        mut saved: SavedSession,
        token: &SessionToken,
    ) -> Result<Option<(SavedSession, IdempotencyKey)>, Again> {
        if saved.token == *token && saved.pending_key.is_none() {
            let key = IdempotencyKey::generate().map_err(BoxError::from)?;
            let next = SavedSession {
                pending_key: Some(key),
                ..saved.clone()
            };
            saved = self.replace(&saved, &next).await?;
        }
        if saved.token != *token {
            self.adopt(token, saved);
            return Ok(None);
        }
        match saved.pending_key.clone() {
            Some(key) => Ok(Some((saved, key))),
            None => Err(BoxError::from("it saved no key").into()),
        }
    }

    /// Saves the new token, then goes on with it; or with a newer one that a sibling has saved.
    async fn commit(&self, saved: &SavedSession, next: SavedSession) -> Phase {
        let mut expected = saved.clone();
        let mut attempts = Attempts::new(self.backoff);
        loop {
            match self.replace(&expected, &next).await {
                Ok(kept) if kept.token != saved.token => {
                    tracing::debug!("the session is renewed");
                    self.adopt(&saved.token, kept);
                    return Phase::Steady;
                }
                // Somebody has put the old token back, without the key.
                Ok(kept) => expected = kept,
                Err(error) => tracing::error!(%error, "the session's new token is not saved yet"),
            }
            let Some(pause) = attempts.next(self.clock.now() >= next.expires_at) else {
                return Phase::Over(SessionOver::Expired);
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Begins no renewal of this token for a while.
    fn put_off(&self, token: &SessionToken, pause: Duration) {
        let until = Instant::now().checked_add(pause);
        self.state.send_if_modified(|state| {
            if state.saved.token == *token {
                state.not_before = until;
            }
            false
        });
    }
}

/// Ends a renewal that panicked or was given up with its runtime, so that nobody waits for it.
struct RenewalGuard(Option<(Arc<Shared>, SessionToken)>);

impl Drop for RenewalGuard {
    fn drop(&mut self) {
        if let Some((shared, token)) = &self.0 {
            shared.put_off(token, AFTER_PANIC);
            shared.settle(token, Phase::Steady);
        }
    }
}
