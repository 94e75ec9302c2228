//! The handle of a session.

use std::{fmt, sync::Arc};

use tower::BoxError;

use super::{
    error::SessionOver,
    state::{Phase, Shared},
};
use crate::{clock::Timestamp, error::ErrorKind, id::SessionId, token::SessionToken};

/// Seconds after the renewal was due. After that, this process was probably suspended, and a sibling has renewed the session.
const SIBLING_RENEWAL_GRACE: u64 = 30;

/// The session of this process. Clones share it. See [`client`](super) for the rules.
#[derive(Clone)]
pub struct ClientSession {
    pub(super) shared: Arc<Shared>,
    /// Counted by [`Shared::handles`].
    pub(super) _handle: Arc<()>,
}

impl ClientSession {
    /// The session's id.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.shared.state.borrow().saved.id
    }

    /// When the current token expires, by the server's clock.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.shared.state.borrow().saved.expires_at
    }

    /// Returns the current token. A renewal that is due starts in the background. This method waits for it only if the token
    /// has expired.
    ///
    /// # Errors
    /// When the session is over.
    pub async fn token(&self) -> Result<SessionToken, SessionOver> {
        self.shared.adopt_renewal_of_sibling().await;
        let mut waited = false;
        loop {
            if !waited {
                self.shared.renew_if_due();
            }
            let state = self.shared.state.borrow().clone();
            match state.phase {
                Phase::Over(over) => return Err(over),
                // The server has already replaced the current token.
                Phase::Saving => {
                    self.shared.renewal_finished().await;
                    continue;
                }
                _ => {}
            }
            // The server has rejected a renewal as too early: by its clock, the token has not expired.
            let confirmed = waited && state.phase == Phase::Active;
            if self.shared.clock.now() < state.saved.expires_at || confirmed {
                return Ok(state.saved.token);
            }
            if state.phase == Phase::LastToken {
                let over = Phase::Over(SessionOver::LimitReached);
                self.shared.set_phase(&state.saved.token, over);
            } else {
                self.shared.start_renewal();
                self.shared.renewal_finished().await;
                waited = true;
            }
        }
    }

    /// Returns the token, after the renewal if one is due or in progress. Use it for work that a renewal must not interrupt.
    ///
    /// # Errors
    /// When the session is over.
    pub async fn fresh_token(&self) -> Result<SessionToken, SessionOver> {
        self.shared.renew_if_due();
        self.shared.renewal_finished().await;
        self.token().await
    }

    /// Waits until the session is over.
    pub async fn ended(&self) -> SessionOver {
        let mut state = self.shared.state.subscribe();
        loop {
            if let Phase::Over(over) = state.borrow_and_update().phase {
                return over;
            }
            // The sender lives as long as `self`.
            let _ = state.changed().await;
        }
    }

    /// Reloads the storage and uses the stored session. Call it after the application has stored a new session. An ended
    /// session becomes active again.
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn reload(&self) -> Result<(), BoxError> {
        let token = self.shared.state.borrow().saved.token.clone();
        if !self.shared.reload_stored(&token).await? {
            self.shared.reactivate(&token);
        }
        Ok(())
    }

    /// Reacts to a response that rejected the token: adopts a newer token from the storage, or renews the session. Returns true if
    /// there is another token now.
    pub(super) async fn token_rejected(
        &self,
        token: &SessionToken,
        kind: ErrorKind,
    ) -> Result<bool, SessionOver> {
        if !self.is_current(token)? {
            return Ok(true);
        }
        if matches!(self.shared.reload_stored(token).await, Ok(true)) {
            return Ok(true);
        }
        if kind == ErrorKind::SessionRevoked {
            self.shared.set_phase(token, Phase::Over(SessionOver::Revoked));
        } else {
            // Only the session server can confirm this: the other service may read another store.
            self.shared.start_renewal();
            self.shared.renewal_finished().await;
        }
        Ok(!self.is_current(token)?)
    }

    fn is_current(&self, token: &SessionToken) -> Result<bool, SessionOver> {
        let state = self.shared.state.borrow();
        match state.phase {
            Phase::Over(over) => Err(over),
            _ => Ok(state.saved.token == *token),
        }
    }
}

impl Shared {
    /// Reloads the storage if a sibling should have renewed the session long ago. The server would treat the old token as a
    /// stolen copy.
    async fn adopt_renewal_of_sibling(&self) {
        let state = self.state.borrow().clone();
        let overdue = self.clock.now().since(state.saved.renew_after);
        if state.phase == Phase::Active && state.may_renew() && overdue >= SIBLING_RENEWAL_GRACE {
            // If the reload fails, the renewal repeats it.
            let _ = self.reload_stored(&state.saved.token).await;
        }
    }
}

impl fmt::Debug for ClientSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state.borrow();
        f.debug_struct("ClientSession")
            .field("id", &state.saved.id)
            .field("expires_at", &state.saved.expires_at)
            .field("phase", &state.phase)
            .finish_non_exhaustive()
    }
}
