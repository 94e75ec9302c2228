//! The check of a verified token against its session's record: rules 3 to 7.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use pin_project_lite::pin_project;

use super::{AuthenticatedSession, config::SessionAuthConfig, extension::LayerRejections};
use crate::{
    auth_future::Authorize,
    error::{AuthError, ErrorKind},
    response::{Rejections, RequestHead},
    session::{
        SessionRecord,
        decide::{self, MatchedToken, Rejection},
    },
    store::SessionStore,
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
    /// Looks up the near cache, if the layer has one. A cached record can only admit a request.
    pub(super) fn first_step(self: &Arc<Self>, token: VerifiedToken) -> FirstStep<St> {
        let id = token.claims().session_id;
        let read = match &self.cache {
            None => self.store.read(id),
            Some(cache) => match cache.cached(id) {
                None => cache.read_through(id),
                Some(record) => match self.decide(&record, &token) {
                    Ok(session) => return FirstStep::Admitted(session),
                    Err(_) => self.store.read(id),
                },
            },
        };
        FirstStep::Read(SessionCheck {
            read,
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
        let matched = decide::admit(record, token, self.settings.clock.now())?;
        let mut session = AuthenticatedSession::new(record, token.claims());
        session.previous_token = matched == MatchedToken::Previous;
        session.layer = LayerRejections(Some(self.settings.rejections.clone()));
        Ok(session)
    }
}

impl<St: SessionStore> Authorize for SessionCheck<St> {
    fn poll_authorize<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        request: &mut Request<B>,
    ) -> Poll<Result<(), AuthError>> {
        let this = self.project();
        if let Some(handling) = this.handling {
            return handling.as_mut().poll(cx).map(Err);
        }
        let Some(record) = ready!(this.read.poll(cx))? else {
            // A store removes a session some time after its expiry.
            let expiry = this.token.check_expiry(this.config.settings.clock.now());
            let rejection = expiry.map_or_else(Rejection::by_expiry, |()| ErrorKind::SessionNotFound.into());
            return Poll::Ready(Err(rejection.to_error()));
        };
        match this.config.decide(&record, this.token) {
            Ok(session) => {
                request.extensions_mut().insert(session);
                Poll::Ready(Ok(()))
            }
            Err(rejection) if rejection.event.is_none() => Poll::Ready(Err(rejection.to_error())),
            Err(rejection) => {
                let handling = handle(this.config.clone(), rejection, record, this.token.clone());
                this.handling
                    .insert(Box::pin(handling))
                    .as_mut()
                    .poll(cx)
                    .map(Err)
            }
        }
    }

    fn rejections(&self) -> &Rejections {
        &self.config.settings.rejections
    }

    fn reject(&self, error: &AuthError, request: RequestHead<'_>) -> Response<Full<Bytes>> {
        let claims = self.token.claims();
        let error = error.clone().with_session(claims.session_id, claims.agent_id);
        let error = self.config.verifier.with_key_id_of(error, request.headers());
        self.config.settings.rejections.respond(&error, request)
    }
}

async fn handle<St: SessionStore>(
    config: Arc<SessionAuthConfig<St>>,
    rejection: Rejection,
    record: SessionRecord,
    token: VerifiedToken,
) -> AuthError {
    let now = config.settings.clock.now();
    config
        .events
        .handle(rejection, &record, &token, &config.store, now)
        .await
}
