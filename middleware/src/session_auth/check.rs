//! The check of a verified token against its session's record: rules 3 to 7.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use pin_project_lite::pin_project;

use super::{
    AuthenticatedSession,
    config::{SessionAuthConfig, redact_token},
};
use crate::{
    auth_future::Authorize,
    error::{AuthError, ErrorKind},
    session::{
        SessionRecord,
        decide::{self, MatchedToken, Rejection},
    },
    store::{CacheRead, SessionStore},
    token::VerifiedToken,
};

type Handling = Pin<Box<dyn Future<Output = AuthError> + Send>>;

pin_project! {
    /// Waits for the record of a session, then decides.
    pub(super) struct SessionCheck<St>
    where
        St: SessionStore,
    {
        #[pin]
        read: St::Read,
        // Whether the read was started for another request. Its record can admit this request, but not reject it.
        shared: bool,
        config: Arc<SessionAuthConfig<St>>,
        token: VerifiedToken,
        // Handles a security event before the request is rejected.
        handling: Option<Handling>,
    }
}

/// The first step of a check, which needs no I/O.
pub(super) enum FirstStep<St: SessionStore> {
    /// A cached record admits the request.
    Admitted(AuthenticatedSession),
    /// A read must decide.
    Read(SessionCheck<St>),
}

impl<St: SessionStore> SessionAuthConfig<St> {
    /// Looks into the near cache, if the layer has one. A cached record can only admit a request.
    pub(super) fn first_step(self: &Arc<Self>, token: VerifiedToken) -> FirstStep<St> {
        let id = token.claims().session_id;
        let read = match &self.cache {
            None => CacheRead::Own(self.store.read(id)),
            Some(cache) => match cache.cached(id) {
                None => cache.read_through(id),
                Some(record) => match self.decide(&record, &token) {
                    Ok(session) => return FirstStep::Admitted(session),
                    Err(_) => CacheRead::Own(self.store.read(id)),
                },
            },
        };
        let (read, shared) = match read {
            CacheRead::Own(read) => (read, false),
            CacheRead::Shared(read) => (read, true),
        };
        FirstStep::Read(SessionCheck {
            read,
            shared,
            config: self.clone(),
            token,
            handling: None,
        })
    }

    /// Rules 5 to 7.
    fn decide(
        &self,
        record: &SessionRecord,
        token: &VerifiedToken,
    ) -> Result<AuthenticatedSession, Rejection> {
        let matched = decide::admit(record, token, self.clock.now())?;
        let mut session = AuthenticatedSession::new(record, token.claims());
        session.previous_token = matched == MatchedToken::Previous;
        Ok(session)
    }

    /// Adds the session to an admitted request.
    pub(super) fn admit<B>(&self, request: &mut Request<B>, session: AuthenticatedSession) {
        redact_token(request, &self.verifier);
        request.extensions_mut().insert(session);
    }
}

impl<St: SessionStore> Authorize for SessionCheck<St> {
    fn poll_authorize<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        request: &mut Request<B>,
    ) -> Poll<Result<(), AuthError>> {
        let mut this = self.project();
        loop {
            if let Some(handling) = this.handling {
                return handling.as_mut().poll(cx).map(Err);
            }
            let record = match ready!(this.read.as_mut().poll(cx)) {
                Ok(record) => record,
                Err(error) => return Poll::Ready(Err(error.into())),
            };
            let decision = record
                .as_ref()
                .map(|record| this.config.decide(record, this.token));
            if let Some(Ok(session)) = decision {
                this.config.admit(request, session);
                return Poll::Ready(Ok(()));
            }
            if std::mem::take(this.shared) {
                let id = this.token.claims().session_id;
                this.read.set(this.config.store.read(id));
                continue;
            }
            match (record, decision) {
                (Some(record), Some(Err(rejection))) if rejection.event.is_some() => {
                    let (config, token) = (this.config.clone(), this.token.clone());
                    *this.handling = Some(Box::pin(handle(config, rejection, record, token)));
                }
                (_, Some(Err(rejection))) => return Poll::Ready(Err(rejection.into())),
                // A store removes a session some time after its expiry.
                _ => {
                    let kind = match this.token.check_expiry(this.config.clock.now()) {
                        Ok(()) => ErrorKind::SessionNotFound,
                        Err(kind) => kind,
                    };
                    return Poll::Ready(Err(AuthError::token(kind)));
                }
            }
        }
    }

    fn reject(&self, error: &AuthError, request_headers: &HeaderMap) -> Response<Full<Bytes>> {
        self.config.rejections.respond(error, request_headers)
    }
}

async fn handle<St: SessionStore>(
    config: Arc<SessionAuthConfig<St>>,
    rejection: Rejection,
    record: SessionRecord,
    token: VerifiedToken,
) -> AuthError {
    let now = config.clock.now();
    config
        .events
        .handle(rejection, &record, &token, &config.store, now)
        .await
}
