//! One attempt at a renewal: reserve a key, send the request, save the new token.

use std::time::Duration;

use tower::BoxError;

use super::{
    backoff::Attempts,
    error::SessionOver,
    server::RenewalAnswer,
    state::{Phase, Shared},
    storage::SavedSession,
};
use crate::{session::IdempotencyKey, token::SessionToken};

/// The longest time for which the server's `Retry-After` postpones a renewal. A wrong clock may have caused the early renewal,
/// and may be corrected soon.
const MAX_POSTPONEMENT: Duration = Duration::from_secs(60);

/// An attempt that did not finish the renewal, and the shortest pause before the next one.
pub(super) struct Retry {
    pub(super) reason: String,
    pub(super) after: Duration,
}

impl From<BoxError> for Retry {
    fn from(error: BoxError) -> Self {
        Self {
            reason: format!("storage: {error}"),
            after: Duration::ZERO,
        }
    }
}

impl Shared {
    /// Makes one attempt to renew the session with this token. Returns the phase of `token` afterwards.
    ///
    /// `sibling_reloads` is the number of storage reloads left. A sibling saves the new token shortly after the server replaced the old one.
    pub(super) async fn attempt_renewal(
        &self,
        token: &SessionToken,
        sibling_reloads: &mut u32,
    ) -> Result<Phase, Retry> {
        let saved = self.load().await?;
        let Some((saved, key)) = self.reserve_key(saved, token).await? else {
            return Ok(Phase::Active);
        };
        match self.server.renew(&saved, &key).await {
            RenewalAnswer::Renewed(next) => {
                self.set_phase(token, Phase::Saving);
                Ok(self.save_renewed(&saved, next).await)
            }
            RenewalAnswer::TooEarly(after) => {
                self.postpone_renewal(token, after.min(MAX_POSTPONEMENT));
                Ok(Phase::Active)
            }
            RenewalAnswer::LimitReached => Ok(Phase::LastToken),
            RenewalAnswer::Over(over) => {
                self.reload_stored(token).await?;
                Ok(Phase::Over(over))
            }
            RenewalAnswer::TokenReplaced if self.reload_stored(token).await? => Ok(Phase::Active),
            RenewalAnswer::TokenReplaced if *sibling_reloads == 0 => Ok(Phase::Over(SessionOver::Superseded)),
            RenewalAnswer::TokenReplaced => {
                *sibling_reloads -= 1;
                Err(Retry {
                    reason: "the session has a new token that is not in this storage yet".to_owned(),
                    after: Duration::ZERO,
                })
            }
            RenewalAnswer::Retry { reason, after } => Err(Retry { reason, after }),
        }
    }

    /// Saves an idempotency key for the renewal, unless an earlier process or a sibling has saved one already. Returns `None` if
    /// the storage has another token, which is adopted.
    async fn reserve_key(
        &self,
        mut saved: SavedSession,
        token: &SessionToken,
    ) -> Result<Option<(SavedSession, IdempotencyKey)>, Retry> {
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
            None => Err(BoxError::from("the key of the renewal was not saved").into()),
        }
    }

    /// Saves the new token and then adopts it, or adopts a newer one that a sibling has saved.
    async fn save_renewed(&self, saved: &SavedSession, next: SavedSession) -> Phase {
        let mut expected = saved.clone();
        let mut attempts = Attempts::new(self.backoff);
        loop {
            match self.replace(&expected, &next).await {
                Ok(stored) if stored.token != saved.token => {
                    tracing::debug!("session renewed");
                    self.adopt(&saved.token, stored);
                    return Phase::Active;
                }
                // The old token was written back without the key.
                Ok(stored) => expected = stored,
                Err(error) => tracing::error!(%error, "the session's new token is not saved yet"),
            }
            let Some(pause) = attempts.next(self.clock.now() >= next.expires_at) else {
                return Phase::Over(SessionOver::Expired);
            };
            tokio::time::sleep(pause).await;
        }
    }
}
