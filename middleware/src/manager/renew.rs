use super::{IssuedSession, SessionManager, cannot_sign};
use crate::{
    clock::Timestamp,
    error::{AuthError, ErrorKind, RejectionReason},
    id::SessionId,
    session::{
        IdempotencyKey, LastRenewal, RetryHash, SessionRecord,
        decide::{self, NextToken, RenewalDecision},
    },
    session_auth::PresentedSession,
    store::{AgentDirectory, SessionStore, SwapOutcome, TokenSwap},
    telemetry::RenewalOutcome,
    token::{Claims, SessionToken},
};

impl<S: SessionStore, D: AgentDirectory> SessionManager<S, D> {
    /// Renews the session of a [`PresentedSession`]. A new token replaces the presented one. The old token is rejected at once,
    /// or after its [overlap](crate::session::ReplacedTokenPolicy::previous_token_overlap).
    ///
    /// With an idempotency key, the renewal can be repeated within the [retry
    /// window](crate::session::ReplacedTokenPolicy::retry_window): the same old token and key return the same new token, byte
    /// for byte. The page [`renewal`](crate::renewal) has the details.
    ///
    /// # Errors
    /// Those of [`decide::renew`], `SessionNotFound`, `StoreUnavailable`, `InternalError`. After `StoreUnavailable` the token may have
    /// been replaced: repeat the renewal with the same key.
    pub async fn renew(
        &self,
        presented: &PresentedSession,
        key: Option<&IdempotencyKey>,
    ) -> Result<IssuedSession, AuthError> {
        let (issued, outcome) = self
            .try_renew(presented, key)
            .await
            .map_err(|error| presented.identify(error))
            .inspect_err(|error| self.renewals.count(Err(error)))?;
        self.renewals.count(Ok(outcome));
        Ok(issued)
    }

    async fn try_renew(
        &self,
        presented: &PresentedSession,
        key: Option<&IdempotencyKey>,
    ) -> Result<(IssuedSession, RenewalOutcome), AuthError> {
        let now = self.clock.now();
        let (current, token) = (presented.record(), presented.token());
        let next = match decide::renew(current, token, key, now) {
            Ok(RenewalDecision::Replace(next)) => next,
            Ok(RenewalDecision::Repeat(claims)) => {
                let repeated = self.repeat(current, &claims)?;
                return Ok((repeated, RenewalOutcome::Repeated));
            }
            Err(rejection) => {
                let (events, store) = (&self.events, &self.store);
                return Err(events.handle(rejection, current, token, store, now).await);
            }
        };
        let fresh = self.sign(&next.claims)?;
        let replaced = self.policy.replaced_tokens;
        let mut renewal = LastRenewal::new(now, next.renewal_count, replaced);
        if replaced.previous_token_overlap > 0 {
            renewal.previous_token_hash = Some(*token.hash());
        }
        if replaced.retry_window > 0 {
            renewal.retry_hash = key.map(|key| RetryHash::of(token.hash(), &fresh.hash(), key));
        }
        let mut record = successor(current, &next, &fresh);
        record.last_renewal = Some(renewal);
        match self.swap(current, record, now).await? {
            Swap::Done(record) => Ok((IssuedSession::new(record, fresh), RenewalOutcome::Renewed)),
            Swap::NotFound => Err(AuthError::for_token(ErrorKind::SessionNotFound)),
            // Another renewal with this token was first. It may be the same request, sent twice.
            Swap::Lost(record) => {
                match decide::renew(&record, token, key, now) {
                    Ok(RenewalDecision::Repeat(claims)) => {
                        let repeated = self.repeat(&record, &claims)?;
                        Ok((repeated, RenewalOutcome::Repeated))
                    }
                    _ => Err(AuthError::new(ErrorKind::SessionRenewalMismatch)
                        .with_reason(RejectionReason::LostRace)),
                }
            }
        }
    }

    /// Replaces the current token of a session with a new one, for an administrator. The old token is rejected at once, without
    /// an overlap. The renewal count and the expiry stay as they are. The session's last renewal can no longer be repeated.
    ///
    /// # Errors
    /// `SessionNotFound`, `SessionRevoked`, `SessionAbsoluteLifetimeExceeded`, `TokenExpired`, `StoreUnavailable`,
    /// `InternalError`. After `StoreUnavailable` the token may have been replaced.
    pub async fn rotate(&self, id: SessionId) -> Result<IssuedSession, AuthError> {
        let mut current = self.get(id).await?;
        loop {
            let now = self.clock.now();
            let next = decide::rotate(&current, now)?;
            let fresh = self.sign(&next.claims)?;
            let mut record = successor(&current, &next, &fresh);
            record.rotated_generation = Some(next.claims.generation);
            if let Some(renewal) = &mut record.last_renewal {
                renewal.previous_token_hash = None;
                renewal.retry_hash = None;
            }
            // Each lost swap means that another change succeeded, so the loop makes progress.
            match self.swap(&current, record, now).await? {
                Swap::Done(record) => return Ok(IssuedSession::new(record, fresh)),
                Swap::Lost(record) => current = record,
                Swap::NotFound => return Err(ErrorKind::SessionNotFound.into()),
            }
        }
    }

    /// Signs the current token again.
    pub(super) fn repeat(&self, record: &SessionRecord, claims: &Claims) -> Result<IssuedSession, AuthError> {
        match self
            .signer
            .sign_again(claims, &record.token_hash)
            .map_err(cannot_sign)?
        {
            Some(token) => Ok(IssuedSession::new(record.clone(), token)),
            None => {
                Err(AuthError::new(ErrorKind::InternalError).with_internal_cause(CannotRepeat(record.id)))
            }
        }
    }

    async fn swap(
        &self,
        current: &SessionRecord,
        next: SessionRecord,
        now: Timestamp,
    ) -> Result<Swap, AuthError> {
        let swap = TokenSwap::new(current.clone(), next, self.policy.retention, now);
        match self.store.replace_token(&swap).await? {
            SwapOutcome::Replaced => Ok(Swap::Done(swap.next)),
            SwapOutcome::Mismatch(record) => Ok(Swap::Lost(*record)),
            SwapOutcome::Revoked => Err(ErrorKind::SessionRevoked.into()),
            SwapOutcome::NotFound => Ok(Swap::NotFound),
        }
    }
}

/// No configured key reproduces the token in the record.
#[derive(Debug, thiserror::Error)]
#[error(
    "the token of session {0} cannot be issued again: its signing key is no longer configured, or prefix, issuer or audience \
     were changed"
)]
struct CannotRepeat(SessionId);

/// The outcome of a compare-and-swap.
enum Swap {
    Done(SessionRecord),
    /// Another change was first. Contains the record after that change.
    Lost(SessionRecord),
    NotFound,
}

fn successor(current: &SessionRecord, next: &NextToken, fresh: &SessionToken) -> SessionRecord {
    SessionRecord {
        token_hash: fresh.hash(),
        generation: next.claims.generation,
        ..current.clone()
    }
}
