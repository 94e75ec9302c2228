//! The layers of the server: request id, log line, time limit, and an answer even if a handler panics.
//!
//! The endpoints limit the bodies that they read.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{Either, Full};
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_http::{
    catch_panic::CatchPanicLayer, request_id::PropagateRequestIdLayer,
    sensitive_headers::SetSensitiveRequestHeadersLayer, timeout::TimeoutLayer, trace::TraceLayer,
};
use tower_session_auth::{
    AuthError, ErrorKind,
    endpoints::is_check_call,
    master_auth::X_MASTER_PASSWORD,
    response::{X_REQUEST_ID, ensure_request_id, grpc_response, problem_response},
};

use crate::{
    access_log::{self, AccessLog},
    config::REALM,
    serve::Refuse,
};

/// Wraps the service of the server. It expects requests that have an id.
pub(crate) fn around<S, B, ResBody>(
    routed: S,
    timeout: Duration,
    token_header: HeaderName,
    access_log: AccessLog,
) -> impl Service<
    Request<B>,
    Response = Response<impl Body<Data = Bytes, Error = BoxError> + Send + 'static>,
    Error = Infallible,
    Future: Send,
> + Clone
where
    S: Service<Request<B>, Response = Response<ResBody>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    ResBody: Body<Data = Bytes, Error: Into<BoxError>> + Default + Send + 'static,
{
    let bounded = ServiceBuilder::new()
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            timeout,
        ))
        .layer(CatchPanicLayer::new())
        .service(routed);
    let with_problems = service_fn(move |request: Request<B>| {
        let bounded = bounded.clone();
        async move {
            let id = request.headers().get(X_REQUEST_ID).cloned();
            let respond = respond_to(&request);
            let response = bounded.oneshot(request).await?;
            Ok(match bare_status(&response) {
                Some(error) => {
                    let headers = id.map(|id| (X_REQUEST_ID, id)).into_iter().collect();
                    respond(&error, REALM, &headers).map(Either::Right)
                }
                None => response.map(Either::Left),
            })
        }
    });
    ServiceBuilder::new()
        .layer(SetSensitiveRequestHeadersLayer::new([
            header::AUTHORIZATION,
            X_MASTER_PASSWORD,
            token_header,
        ]))
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(access_log::span)
                .on_response(access_log)
                // The line of the response has the status. A second line for each 503 would flood the log.
                .on_failure(()),
        )
        .service(with_problems)
}

/// Gives each request an id, and each response the id of its request.
pub(crate) fn identify<S, B, ResBody>(
    inner: S,
) -> impl Service<Request<B>, Response = Response<ResBody>, Error = Infallible, Future: Send> + Clone
where
    S: Service<Request<B>, Response = Response<ResBody>, Error = Infallible, Future: Send> + Clone,
{
    ServiceBuilder::new()
        .map_request(|mut request: Request<B>| {
            ensure_request_id(request.headers_mut());
            request
        })
        .layer(PropagateRequestIdLayer::new(X_REQUEST_ID))
        .service(inner)
}

/// Answers requests that are refused before they reach the layers of [`around`].
#[derive(Clone)]
pub(crate) struct RefusedRequests(pub(crate) AccessLog);

impl Refuse for RefusedRequests {
    fn refuse<B>(&self, request: &Request<B>, error: &AuthError) -> Response<Full<Bytes>> {
        self.0.not_admitted(request, error);
        respond_to(request)(error, REALM, request.headers())
    }
}

type Respond = fn(&AuthError, &str, &HeaderMap) -> Response<Full<Bytes>>;

/// The form of an error: a gRPC status for a call of ext_authz. A proxy that calls any other path judges by the HTTP status.
fn respond_to<B>(request: &Request<B>) -> Respond {
    if is_check_call(request) {
        |error, realm, headers| grpc_response(error, realm, headers)
    } else {
        |error, realm, headers| problem_response(error, realm, headers)
    }
}

/// The layers for panics and time answer with a bare status. Responses of `tower-session-auth` carry their error as an
/// extension.
fn bare_status<B>(response: &Response<B>) -> Option<AuthError> {
    if response.extensions().get::<AuthError>().is_some() {
        return None;
    }
    let kind = match response.status() {
        StatusCode::REQUEST_TIMEOUT => ErrorKind::RequestTimeout,
        StatusCode::INTERNAL_SERVER_ERROR => ErrorKind::InternalError,
        _ => return None,
    };
    Some(AuthError::new(kind))
}

#[cfg(test)]
mod tests;
