use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Body;
use tower::Service;

use super::{
    Administrator, ClientAddr, MasterAuthLayer, ResponseFuture,
    admin_keys::Lookup,
    future::{Verification, Verifying},
    presented::{Presented, PresentedKey},
    state::Precheck,
};
use crate::{
    error::{AuthError, ErrorKind, RejectionReason},
    response::ResponseBody,
};

/// The service of [`MasterAuthLayer`].
#[derive(Clone)]
pub struct MasterAuth<S> {
    layer: MasterAuthLayer,
    inner: S,
}

impl<S> MasterAuth<S> {
    pub(super) const fn new(layer: MasterAuthLayer, inner: S) -> Self {
        Self { layer, inner }
    }

    /// Rules 1 to 6. Rules 7 and 8 are in the returned verification.
    fn begin(&self, headers: &HeaderMap, client: Option<ClientAddr>) -> Result<Verification, AuthError> {
        let presented = Presented::find(headers, self.layer.basic).map_err(|unusable| {
            AuthError::new(ErrorKind::InvalidMasterPassword)
                .with_detail(unusable.detail())
                .with_reason(unusable.reason())
        })?;
        match presented {
            Presented::Key(key) => self.find_key(&key).map(Verification::Done),
            Presented::MasterPassword(password) => {
                let client = client.map(|ClientAddr(address)| address);
                if client.is_none() {
                    self.layer.shared.warn_once_without_client_addr();
                }
                Ok(
                    match self
                        .layer
                        .shared
                        .begin(password, client, &self.layer.settings.clock)?
                    {
                        Precheck::Verified => Verification::Done(Administrator::master()),
                        Precheck::Waiting(verdict) => Verification::Argon2(verdict),
                    },
                )
            }
        }
    }

    /// Rule 3.
    fn find_key(&self, key: &PresentedKey) -> Result<Administrator, AuthError> {
        let credentials = self.layer.shared.credentials.load();
        let now = self.layer.settings.clock.now();
        match credentials.keys.find(&key.secret, key.name.as_deref(), now) {
            Lookup::Valid(administrator) => Ok(administrator),
            Lookup::Expired => {
                let error = AuthError::new(ErrorKind::InvalidMasterPassword);
                Err(error.with_reason(RejectionReason::ExpiredAdminKey))
            }
            Lookup::Unknown => {
                let error = AuthError::new(ErrorKind::InvalidMasterPassword);
                Err(error.with_reason(RejectionReason::UnknownAdminKey))
            }
        }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for MasterAuth<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    ResBody: Body<Data = Bytes>,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody>;

    /// Always ready. An admitted request waits for the inner service in its future.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let client = request.extensions().get::<ClientAddr>().copied();
        let verification = self.begin(request.headers(), client);
        let verifying = Verifying::new(&self.layer, verification);
        ResponseFuture::verify(verifying, request, self.inner.clone())
    }
}

impl<S> std::fmt::Debug for MasterAuth<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MasterAuth").finish_non_exhaustive()
    }
}
