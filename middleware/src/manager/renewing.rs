use super::{IssuedSession, SessionManager, cannot_sign};
use crate::{
    clock::Timestamp,
    error::{AuthError, ErrorKind},
    id::SessionId,
    security,
    session::{
        IdempotencyKey, RetryHash, SessionRecord,
        decide::{self, NextToken, Renewal},
    },
    session_auth::PresentedSession,
    store::{AgentDirectory, SessionStore, SwapOutcome, TokenSwap},
    token::{Claims, SessionToken},
};

impl<S: SessionStore, D: AgentDirectory> SessionManager<S, D> {
    /// Renews the session that a [renewal layer](crate::SessionAuthLayer::for_renewal) has let through: its token is
    /// replaced, and the old one is dead at once (but for its [overlap](crate::session::ReplacedTokenPolicy::previous_token_overlap)).
    ///
    /// With an idempotency key the renewal can be repeated inside the [retry window](crate::session::ReplacedTokenPolicy::retry_window):
    /// with the same old token and key it gives the same new token, byte for byte. The [`renewal`](crate::renewal) page tells
    /// the whole story.
    ///
    /// # Errors
    /// Those of [`renew`](crate::session::decide::renew), `SessionNotFound`, `StoreUnavailable`, `InternalError`. After
    /// `StoreUnavailable` the token may have been replaced all the same: repeat the renewal with the same key.
    pub async fn renew(
        &self,
        presented: &PresentedSession,
        key: Option<&IdempotencyKey>,
    ) -> Result<IssuedSession, AuthError> {
        let now = self.clock.now();
        let (current, token) = (presented.record(), presented.token());
        let rotation = &self.policy.rotation;
        let decision = |record| decide::renew(record, token, key, rotation, now);

        let grant = match decision(current) {
            Ok(Renewal::NextToken(grant)) => grant,
            Ok(Renewal::Repeat(claims)) => return self.repeat(current, &claims),
            Err(refusal) => {
                let (events, store) = (&self.events, &self.store);
                return Err(security::refuse(refusal, current, token, rotation, events, store, now).await);
            }
        };
        let fresh = self.sign(&grant.claims)?;
        let next = SessionRecord {
            last_renewed_at: Some(now),
            previous_token_hash: Some(*token.hash()).filter(|_| rotation.previous_token_overlap > 0),
            retry_hash: key
                .filter(|_| rotation.retry_window > 0)
                .map(|key| RetryHash::of(token.hash(), &fresh.hash(), key)),
            ..successor(current, &grant, &fresh)
        };
        match self.swap(current, next, now).await? {
            Swap::Done(record) => Ok(IssuedSession::new(record, fresh)),
            Swap::NotFound => Err(AuthError::token(ErrorKind::SessionNotFound)),
            // Another renewal with this token came first: perhaps the same one, sent twice.
            Swap::Overtaken(record) => match decision(&record) {
                Ok(Renewal::Repeat(claims)) => self.repeat(&record, &claims),
                _ => Err(ErrorKind::SessionRenewalMismatch.into()),
            },
        }
    }

    /// Puts a new token in place of a session's current one, which is dead at once, overlap or not. Renewal count and expiry
    /// stay; the session's last renewal cannot be repeated any more.
    ///
    /// # Errors
    /// `SessionNotFound`, `SessionRevoked`, `SessionAbsoluteLifetimeExceeded`, `TokenExpired`, `StoreUnavailable`,
    /// `InternalError`. After `StoreUnavailable` the token may have been replaced all the same.
    pub async fn rotate(&self, id: SessionId) -> Result<IssuedSession, AuthError> {
        let mut current = self.get(id).await?;
        loop {
            let now = self.clock.now();
            let grant = decide::rotate(&current, now)?;
            let fresh = self.sign(&grant.claims)?;
            let next = SessionRecord {
                previous_token_hash: None,
                retry_hash: None,
                rotated_generation: Some(grant.claims.generation),
                ..successor(&current, &grant, &fresh)
            };
            // Whatever came first has changed the token: there is progress each time.
            match self.swap(&current, next, now).await? {
                Swap::Done(record) => return Ok(IssuedSession::new(record, fresh)),
                Swap::Overtaken(record) => current = record,
                Swap::NotFound => return Err(ErrorKind::SessionNotFound.into()),
            }
        }
    }

    /// Gives the current token again.
    fn repeat(&self, record: &SessionRecord, claims: &Claims) -> Result<IssuedSession, AuthError> {
        let token = self.signer.sign_again(claims, &record.token_hash);
        match token.map_err(|error| cannot_sign(&error))? {
            Some(token) => Ok(IssuedSession::new(record.clone(), token)),
            None => {
                tracing::error!(
                    session = %record.id,
                    "a renewal cannot be repeated: the key that signed its token is no longer there, or prefix, issuer or \
                     audience were changed"
                );
                Err(ErrorKind::InternalError.into())
            }
        }
    }

    async fn swap(
        &self,
        current: &SessionRecord,
        next: SessionRecord,
        now: Timestamp,
    ) -> Result<Swap, AuthError> {
        let swap = TokenSwap {
            current: current.clone(),
            next,
            retention: self.policy.retention,
            now,
        };
        match self.store.replace_token(&swap).await? {
            SwapOutcome::Done => Ok(Swap::Done(swap.next)),
            SwapOutcome::Mismatch(record) => Ok(Swap::Overtaken(*record)),
            SwapOutcome::Revoked => Err(ErrorKind::SessionRevoked.into()),
            SwapOutcome::NotFound => Ok(Swap::NotFound),
        }
    }
}

/// What became of the record.
enum Swap {
    Done(SessionRecord),
    /// Another change came first and left this.
    Overtaken(SessionRecord),
    NotFound,
}

fn successor(current: &SessionRecord, grant: &NextToken, fresh: &SessionToken) -> SessionRecord {
    SessionRecord {
        token_hash: fresh.hash(),
        generation: grant.claims.generation,
        renewal_count: grant.renewal_count,
        expires_at: grant.claims.expires_at,
        ..current.clone()
    }
}
