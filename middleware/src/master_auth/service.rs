use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Body;
use tower::Service;

use super::{
    ClientAddr, MAX_PASSWORD_LEN, MasterAuthLayer, ResponseFuture, X_MASTER_PASSWORD, future::Verification,
    password::Precheck,
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

    /// Rules 1 to 3. Rules 4 and 5 are in the returned verification.
    fn begin_verification(
        &self,
        headers: &HeaderMap,
        client: Option<ClientAddr>,
    ) -> Result<Verification, AuthError> {
        let password = sole_password(headers)?;
        let client = client.map(|ClientAddr(address)| address);
        if client.is_none() {
            self.layer.password.warn_once_without_client_addr();
        }
        match self.layer.password.precheck(password, client)? {
            Precheck::Verified => Ok(Verification::Done),
            Precheck::NeedsArgon2 => {
                let verify = self.layer.password.clone().verify(password.to_vec(), client);
                Ok(Verification::Argon2(Box::pin(verify)))
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
        match self.begin_verification(request.headers(), client) {
            Ok(verification) => ResponseFuture::verify(
                verification,
                self.layer.rejections.clone(),
                request,
                self.inner.clone(),
            ),
            Err(error) => ResponseFuture::rejected(self.layer.rejections.respond(&error, &request)),
        }
    }
}

/// Rule 1: exactly one password.
fn sole_password(headers: &HeaderMap) -> Result<&[u8], AuthError> {
    let mut values = headers.get_all(X_MASTER_PASSWORD).iter();
    match (values.next(), values.next()) {
        (Some(value), None) if value.len() <= MAX_PASSWORD_LEN => Ok(value.as_bytes()),
        (found, second) => Err(AuthError::new(ErrorKind::InvalidMasterPassword).with_reason(
            match (found, second) {
                (None, _) => RejectionReason::MissingMasterPassword,
                (_, Some(_)) => RejectionReason::DuplicateMasterPassword,
                _ => RejectionReason::MasterPasswordTooLong,
            },
        )),
    }
}

impl<S> std::fmt::Debug for MasterAuth<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MasterAuth").finish_non_exhaustive()
    }
}
