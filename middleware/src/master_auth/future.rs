use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header::AUTHORIZATION};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::sync::oneshot;
use tower::Service;

use super::{
    Administrator, MasterAuthLayer, X_MASTER_PASSWORD, demand::Demand, job::Verdict, presented::Presented,
};
use crate::{
    auth_future::{AuthFuture, Authorize},
    error::{AdminSchemes, AuthError, ErrorKind},
    layer_settings::LayerSettings,
    response::{Rejections, ResponseBody},
};

pin_project! {
    /// The response future of [`MasterAuth`](crate::master_auth::MasterAuth).
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        future: AuthFuture<Verifying, S, S::Future, B>,
    }
}

/// The remaining verification of a credential.
pub(super) enum Verification {
    Done(Administrator),
    /// The verdict about the master password.
    Argon2(oneshot::Receiver<Verdict>),
    Failed(AuthError),
}

pub(super) struct Verifying {
    verification: Verification,
    demand: Demand,
    schemes: AdminSchemes,
    settings: Arc<LayerSettings>,
}

impl Verifying {
    pub(super) fn new(layer: &MasterAuthLayer, verification: Result<Verification, AuthError>) -> Self {
        Self {
            verification: verification.unwrap_or_else(Verification::Failed),
            demand: layer.demand,
            schemes: layer.shared.credentials.load().schemes(layer.basic),
            settings: layer.settings.clone(),
        }
    }

    /// Resolves to the administrator of the request.
    fn poll_verification(&mut self, cx: &mut Context<'_>) -> Poll<Result<Administrator, AuthError>> {
        Poll::Ready(match &mut self.verification {
            Verification::Done(administrator) => Ok(administrator.clone()),
            Verification::Failed(error) => Err(error.clone()),
            Verification::Argon2(verdict) => match ready!(Pin::new(verdict).poll(cx)) {
                Ok(verdict) => verdict.map(|()| Administrator::master()),
                // The thread panicked.
                Err(_) => Err(ErrorKind::InternalError.into()),
            },
        })
    }

    /// Adds the challenges of the layer to an error about the credential.
    fn with_challenges(&self, error: AuthError, headers: &HeaderMap) -> AuthError {
        if error.kind() != ErrorKind::InvalidMasterPassword {
            return error;
        }
        let key_was_sent = matches!(
            Presented::find(headers, self.schemes.basic),
            Ok(Presented::Key(_))
        );
        error.with_admin_schemes(AdminSchemes {
            key_was_sent,
            ..self.schemes
        })
    }
}

impl Authorize for Verifying {
    fn poll_authorize<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        request: &mut Request<B>,
    ) -> Poll<Result<(), AuthError>> {
        // The inner service, or the function for rejections, may log the headers: the value prints as `Sensitive`.
        for (name, value) in request.headers_mut() {
            if *name == X_MASTER_PASSWORD || *name == AUTHORIZATION {
                value.set_sensitive(true);
            }
        }
        let administrator = match ready!(self.poll_verification(cx)) {
            Ok(administrator) => administrator,
            Err(error) => return Poll::Ready(Err(self.with_challenges(error, request.headers()))),
        };
        Poll::Ready(self.demand.admit(&administrator, request))
    }

    fn rejections(&self) -> &Rejections {
        &self.settings.rejections
    }
}

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    pub(super) const fn verify(verifying: Verifying, request: Request<B>, inner: S) -> Self {
        Self {
            future: AuthFuture::authorizing(verifying, request, inner),
        }
    }
}

impl<S, B, ResBody> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes>,
{
    type Output = Result<Response<ResponseBody<ResBody>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().future.poll(cx)
    }
}

impl<S, B> std::fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
