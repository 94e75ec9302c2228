use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use pin_project_lite::pin_project;

use super::layer::RenewalConfig;
use crate::{
    auth_future::Authorize,
    error::{AuthError, ErrorKind, RejectionReason},
    id::SessionId,
    response::{Rejections, RequestHead},
    session::{SessionRecord, decide::Rejection},
    session_auth::PresentedSession,
    store::SessionStore,
    token::VerifiedToken,
};

pin_project! {
    /// Waits for the record of a session, then checks that the session is not revoked.
    pub(super) struct RenewalCheck<St>
    where
        St: SessionStore,
    {
        #[pin]
        pub(super) read: St::Read,
        pub(super) config: Arc<RenewalConfig<St>>,
        pub(super) token: VerifiedToken,
        // The session in the path of the request, if it has one.
        pub(super) named: Option<String>,
        // The key that signed the token, for the log.
        pub(super) key_id: Option<String>,
    }
}

impl<St: SessionStore> RenewalConfig<St> {
    fn check(
        &self,
        record: Option<SessionRecord>,
        token: &VerifiedToken,
        named: Option<&str>,
    ) -> Result<PresentedSession, AuthError> {
        let Some(record) = record else {
            // A store removes a session some time after its expiry.
            token
                .check_expiry(self.settings.clock.now())
                .map_err(|kind| Rejection::by_expiry(kind).to_error())?;
            return Err(AuthError::for_token(ErrorKind::SessionNotFound));
        };
        let presented = PresentedSession::new(record, token.clone())
            .map_err(|kind| Rejection::by_session(kind).to_error())?;
        if let Some(named) = named {
            let named: SessionId = named
                .parse()
                .map_err(|error| AuthError::invalid_field("id", format!("{error}")))?;
            if named != presented.session_id() {
                let error = AuthError::new(ErrorKind::SessionNotFound);
                return Err(error.with_reason(RejectionReason::OtherSession));
            }
        }
        Ok(presented)
    }
}

impl<St: SessionStore> Authorize for RenewalCheck<St> {
    fn poll_authorize<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        request: &mut Request<B>,
    ) -> Poll<Result<(), AuthError>> {
        let this = self.project();
        let record = ready!(this.read.poll(cx))?;
        let presented = this.config.check(record, this.token, this.named.as_deref())?;
        request
            .extensions_mut()
            .insert(presented.with_key_id(this.key_id.take()));
        Poll::Ready(Ok(()))
    }

    fn rejections(&self) -> &Rejections {
        &self.config.settings.rejections
    }

    fn reject(&self, error: &AuthError, request: RequestHead<'_>) -> Response<Full<Bytes>> {
        let claims = self.token.claims();
        let mut error = error.clone().with_session(claims.session_id, claims.agent_id);
        if let Some(key_id) = &self.key_id {
            error = error.with_key_id(key_id);
        }
        self.config.settings.rejections.respond(&error, request)
    }
}
