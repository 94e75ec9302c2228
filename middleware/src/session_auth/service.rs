use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body::Body;
use tower::Service;

use super::{
    AuthenticatedSession, PresentedSession, ResponseFuture,
    layer::{Gate, Mode},
};
use crate::{
    error::{AuthError, ErrorKind},
    response::ResponseBody,
    security,
    session::{self, MatchedToken, Rejection, SessionRecord},
    store::{SessionStore, StoreError},
    token::VerifiedToken,
};

/// The service of [`SessionAuthLayer`](crate::SessionAuthLayer).
#[derive(Clone)]
pub struct SessionAuth<St: SessionStore, S> {
    gate: Arc<Gate<St>>,
    inner: S,
}

impl<St: SessionStore, S> SessionAuth<St, S> {
    pub(super) const fn new(gate: Arc<Gate<St>>, inner: S) -> Self {
        Self { gate, inner }
    }
}

impl<St, S, ReqBody, ResBody> Service<Request<ReqBody>> for SessionAuth<St, S>
where
    St: SessionStore,
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    ResBody: Body<Data = Bytes>,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<St, S, ReqBody>;

    /// Always ready. The inner service is driven to readiness only for requests that were let pass, so that traffic without
    /// a session never holds its capacity.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        match self
            .gate
            .verifier
            .verify_request(request.headers(), request.uri())
        {
            Ok(token) => match self.gate.ask(&token, &mut request) {
                None => ResponseFuture::passed(request, self.inner.clone()),
                Some(read) => {
                    ResponseFuture::deciding(read, self.gate.clone(), token, request, self.inner.clone())
                }
            },
            Err(error) => ResponseFuture::rejected(self.gate.rejections.respond(&error, request.headers())),
        }
    }
}

/// Why a request does not pass.
pub(super) enum Stop {
    Refused(AuthError),
    /// There is something to be done about it first.
    Suspected(Box<(Rejection, SessionRecord)>),
}

impl From<AuthError> for Stop {
    fn from(error: AuthError) -> Self {
        Self::Refused(error)
    }
}

impl<St: SessionStore> Gate<St> {
    /// Rules 3 to 7, from memory: `None` lets the request pass. Else the read that has to decide, as about every refusal.
    fn ask<B>(&self, token: &VerifiedToken, request: &mut Request<B>) -> Option<St::Read> {
        let id = token.claims().session_id;
        let Some(cache) = &self.cache else {
            return Some(self.store.read(id));
        };
        match cache.cached(id) {
            None => Some(cache.read_through(id)),
            Some(record) => {
                let refused = self.pass(&record, token, request).is_err();
                refused.then(|| self.store.read(id))
            }
        }
    }

    /// Rules 3 to 7.
    pub(super) fn admit<B>(
        &self,
        token: VerifiedToken,
        read: Result<Option<SessionRecord>, StoreError>,
        request: &mut Request<B>,
    ) -> Result<(), Stop> {
        let Some(record) = read.map_err(AuthError::from)? else {
            // Stores forget sessions some time after their expiry.
            token.check_expiry(self.clock.now()).map_err(AuthError::token)?;
            return Err(AuthError::token(ErrorKind::SessionNotFound).into());
        };
        match self.mode {
            Mode::Access => self
                .pass(&record, &token, request)
                .map_err(|refusal| match refusal.suspicion {
                    Some(_) => Stop::Suspected(Box::new((refusal, record))),
                    None => Stop::Refused(refusal.into()),
                }),
            Mode::Renewal => {
                session::check_session(&record, &token).map_err(AuthError::token)?;
                hide_credentials(request);
                request
                    .extensions_mut()
                    .insert(PresentedSession::new(record, token));
                Ok(())
            }
        }
    }

    /// Rules 5 to 7.
    fn pass<B>(
        &self,
        record: &SessionRecord,
        token: &VerifiedToken,
        request: &mut Request<B>,
    ) -> Result<(), Rejection> {
        let admission = session::admit(record, token, &self.rotation, self.clock.now())?;
        let mut session = AuthenticatedSession::new(record, token.claims());
        session.previous_token = admission == MatchedToken::Previous;
        hide_credentials(request);
        request.extensions_mut().insert(session);
        Ok(())
    }

    /// Does what is to be done about a suspicion, and answers the refusal.
    pub(super) fn suspect(
        self: Arc<Self>,
        suspected: Box<(Rejection, SessionRecord)>,
        token: VerifiedToken,
    ) -> Pin<Box<dyn Future<Output = AuthError> + Send>> {
        Box::pin(async move {
            let (refusal, record) = *suspected;
            let now = self.clock.now();
            security::refuse(
                refusal,
                &record,
                &token,
                &self.rotation,
                &self.events,
                &self.store,
                now,
            )
            .await
        })
    }
}

/// A log line of an inner service must not show the token.
fn hide_credentials<B>(request: &mut Request<B>) {
    if let Some(credentials) = request.headers_mut().get_mut(header::AUTHORIZATION) {
        credentials.set_sensitive(true);
    }
}

impl<St: SessionStore, S> std::fmt::Debug for SessionAuth<St, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionAuth").finish_non_exhaustive()
    }
}
