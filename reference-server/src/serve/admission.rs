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
    endpoints::{EXT_AUTHZ_PATH, is_forward_auth},
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
///    with an admin key have a limit of their own, of the same size. Requests with a master password have none here: `MasterAuthLayer`
///    decides which of them wait for Argon2, by what it knows of their clients.
/// 5. In the reserve, at most half of the connections have a request with a master password in flight, and each has at most one.
///    The rest remains for health checks and admin keys.
///
/// A refused request does not reach the other layers: under overload, a refusal must cost much less than an answer.
#[derive(Clone)]
pub(crate) struct Admit<S, R> {
    inner: S,
    state: Arc<ServerState>,
    refuse: R,
    in_flight: Arc<InFlight>,
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
            in_flight_key: Arc::default(),
            in_flight_reserve_password: Arc::default(),
        }
    }

    /// Applies the rules.
    fn decide<B>(&self, request: &Request<B>) -> Result<Permits, AuthError> {
        let path = request.uri().path();
        if path == "/readyz" && self.state.stage() != Stage::Serving {
            return Err(AuthError::new(ErrorKind::Overloaded).with_detail("The server is stopping."));
        }
        if matches!(path, "/healthz" | "/readyz") {
            return Ok(Permits::default());
        }
        let connection = request.extensions().get::<Arc<Connection>>();
        let reserve = connection.filter(|connection| connection.is_in_reserve());
        let limit = self.state.limits.requests;
        if !is_of_administrator(path, request.headers()) {
            return match reserve {
                Some(_) => Err(self.refused_in_reserve()),
                None => self.enter(&self.in_flight, limit),
            };
        }
        if !request.headers().contains_key(X_MASTER_PASSWORD) {
            return self.enter(&self.in_flight_key, limit);
        }
        let Some(connection) = reserve else {
            return Ok(Permits::default());
        };
        let of_connection = InFlight::enter(connection.with_password(), 1);
        let counted = InFlight::enter(&self.in_flight_reserve_password, RESERVE / 2);
        if of_connection.is_none() || counted.is_none() {
            return Err(self.refused_in_reserve());
        }
        Ok(Permits {
            counted,
            _of_connection: of_connection,
        })
    }

    fn enter(&self, in_flight: &Arc<InFlight>, limit: usize) -> Result<Permits, AuthError> {
        let counted = InFlight::enter(in_flight, limit);
        if counted.is_none() {
            self.state.counters.requests_refused_overload.add();
            return Err(AuthError::new(ErrorKind::Overloaded));
        }
        Ok(Permits {
            counted,
            _of_connection: None,
        })
    }

    fn refused_in_reserve(&self) -> AuthError {
        self.state.counters.requests_refused_reserve.add();
        AuthError::new(ErrorKind::Overloaded).with_detail("The server has too many connections.")
    }
}

/// The permits of an admitted request. It ends them with its response.
#[derive(Default)]
struct Permits {
    /// Not held while the request waits for its body.
    counted: Option<Permit>,
    _of_connection: Option<Permit>,
}

/// True for a request of an administrator, by its path and by an unverified credential.
fn is_of_administrator(path: &str, headers: &HeaderMap) -> bool {
    // A proxy passes the headers of any client.
    let of_a_proxy = is_forward_auth(path) || path == EXT_AUTHZ_PATH;
    let is_of_session = path == "/v1/session" || path.ends_with("/renew") || of_a_proxy;
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
            Ok(permits) => {
                let request = request.map(|body| CountedBody::new(body, permits.counted.as_ref()));
                AdmitFuture::Admitted {
                    inner: self.inner.call(request),
                    _permits: permits,
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
        Admitted { #[pin] inner: F, _permits: Permits },
        Refused { response: Option<Response<Full<Bytes>>> },
    }
}

impl<F, ResBody> Future for AdmitFuture<F>
where
    F: Future<Output = Result<Response<ResBody>, Infallible>>,
{
    type Output = Result<Response<Either<ResBody, Full<Bytes>>>, Infallible>;

    #[expect(clippy::expect_used, reason = "a future must not be polled after its end")]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            AdmitFutureProj::Admitted { inner, .. } => {
                inner.poll(cx).map_ok(|response| response.map(Either::Left))
            }
            AdmitFutureProj::Refused { response } => {
                let response = response.take().expect("a future is not polled after its end");
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
            ("/v1/auth", "x-master-password", "x", false),
            (
                "/v1/auth/v1/sessions",
                "authorization",
                "Bearer wai_admin_x",
                false,
            ),
            ("/v1/authx", "x-master-password", "x", true),
            (EXT_AUTHZ_PATH, "x-master-password", "x", false),
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
