//! Which requests are served: the limit of requests in flight, the reserve of connections, and `/readyz` while the server stops.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{Either, Full};
use pin_project_lite::pin_project;
use tower::Service;
use tower_session_auth::{
    AuthError, ErrorKind,
    master_auth::{X_MASTER_PASSWORD, has_credential},
};

use super::{
    connection::Connection,
    in_flight::{CountedBody, InFlight, Permit},
    state::{RESERVE, ServerState, Stage},
};

/// Serves a request, or refuses it.
///
/// # Rules
///
/// 1. While the server stops, `/readyz` is a 503, so that load balancers take the server out. Other requests are served.
/// 2. `/healthz` and `/readyz` are always served.
/// 3. A connection of the reserve serves only those and requests with a credential of an administrator.
/// 4. Above the limit of requests in flight, a request is refused. A request that waits for its body does not count. Requests
///    with a master password and requests with an admin key have the same limit each: guesses of passwords, which wait for
///    Argon2, must not take the capacity from sessions or from admin keys.
/// 5. Requests with a master password take at most half of the reserve: the rest remains for health checks and admin keys.
///
/// A refused request does not reach the other layers: under overload, a refusal must cost much less than an answer.
#[derive(Clone)]
pub(crate) struct Admit<S, R> {
    inner: S,
    state: Arc<ServerState>,
    refuse: R,
    in_flight: Arc<InFlight>,
    in_flight_password: Arc<InFlight>,
    in_flight_key: Arc<InFlight>,
    in_flight_reserve_password: Arc<InFlight>,
}

/// Answers a refused request.
pub(crate) trait Refuse {
    fn refuse<B>(&self, request: &Request<B>, error: &AuthError) -> Response<Full<Bytes>>;
}

impl<S, R> Admit<S, R> {
    pub(crate) fn new(inner: S, state: Arc<ServerState>, refuse: R) -> Self {
        Self {
            inner,
            state,
            refuse,
            in_flight: Arc::default(),
            in_flight_password: Arc::default(),
            in_flight_key: Arc::default(),
            in_flight_reserve_password: Arc::default(),
        }
    }

    /// Applies the rules.
    fn decide<B>(&self, request: &Request<B>) -> Result<Option<Permit>, AuthError> {
        let path = request.uri().path();
        if path == "/readyz" && self.state.stage() != Stage::Serving {
            return Err(AuthError::new(ErrorKind::Overloaded).with_detail("The server is stopping."));
        }
        if matches!(path, "/healthz" | "/readyz") {
            return Ok(None);
        }
        let connection = request.extensions().get::<Arc<Connection>>();
        let in_reserve = connection.is_some_and(|connection| connection.is_in_reserve());
        let is_admin = is_of_administrator(path, request.headers());
        if in_reserve && !is_admin {
            self.state.counters.requests_refused_reserve.add();
            return Err(
                AuthError::new(ErrorKind::Overloaded).with_detail("The server has too many connections.")
            );
        }
        let has_password = request.headers().contains_key(X_MASTER_PASSWORD);
        let requests = self.state.limits.requests;
        let (in_flight, max) = match (is_admin, has_password) {
            (false, _) => (&self.in_flight, requests),
            (true, true) if in_reserve => (&self.in_flight_reserve_password, RESERVE / 2),
            (true, true) => (&self.in_flight_password, requests),
            (true, false) => (&self.in_flight_key, requests),
        };
        InFlight::enter(in_flight, max).map(Some).ok_or_else(|| {
            self.state.counters.requests_refused_overload.add();
            AuthError::new(ErrorKind::Overloaded)
        })
    }
}

/// True for a request of an administrator, by its path and by an unverified credential.
fn is_of_administrator(path: &str, headers: &HeaderMap) -> bool {
    let is_of_session = path == "/v1/session" || path.ends_with("/renew");
    !is_of_session && has_credential(headers)
}

impl<S, R, B, ResBody> Service<Request<B>> for Admit<S, R>
where
    R: Refuse,
    S: Service<Request<CountedBody<B>>, Response = Response<ResBody>, Error = Infallible>,
{
    type Response = Response<Either<ResBody, Full<Bytes>>>;
    type Error = Infallible;
    type Future = AdmitFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.decide(&request) {
            Ok(permit) => {
                let request = request.map(|body| CountedBody::new(body, permit.as_ref()));
                AdmitFuture::Admitted {
                    inner: self.inner.call(request),
                    _permit: permit,
                }
            }
            Err(error) => AdmitFuture::Refused {
                response: Some(self.refuse.refuse(&request, &error)),
            },
        }
    }
}

pin_project! {
    /// The response future of [`Admit`].
    #[project = AdmitFutureProj]
    pub(crate) enum AdmitFuture<F> {
        Admitted { #[pin] inner: F, _permit: Option<Permit> },
        Refused { response: Option<Response<Full<Bytes>>> },
    }
}

impl<F, ResBody> Future for AdmitFuture<F>
where
    F: Future<Output = Result<Response<ResBody>, Infallible>>,
{
    type Output = Result<Response<Either<ResBody, Full<Bytes>>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            AdmitFutureProj::Admitted { inner, .. } => {
                inner.poll(cx).map_ok(|response| response.map(Either::Left))
            }
            AdmitFutureProj::Refused { response } => {
                let response = response.take().unwrap_or_default();
                Poll::Ready(Ok(response.map(Either::Right)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credential_of_an_administrator_counts_only_on_routes_of_administrators() {
        for (path, name, value, expected) in [
            ("/v1/sessions", "x-master-password", "x", true),
            ("/v1/sessions", "authorization", "bearer  wai_admin_x", true),
            ("/metrics", "authorization", "Basic eDp3YWlfYWRtaW5feA==", true),
            ("/v1/sessions", "authorization", "Bearer wai_sess_x", false),
            ("/v1/session", "x-master-password", "x", false),
            (
                "/v1/sessions/1/renew",
                "authorization",
                "Bearer wai_admin_x",
                false,
            ),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(
                is_of_administrator(path, &headers),
                expected,
                "{path} {name}: {value}"
            );
        }
    }
}
