//! `/metrics`: the responses, and the listener that serves nothing else.

mod listener;

pub(crate) use listener::MetricsListener;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::Full;
use tower_session_auth::{AuthError, ErrorKind, response::problem_response};

use crate::{config::REALM, metrics::Metrics};

/// The path of the metrics.
pub(crate) const PATH: &str = "/metrics";

/// The media type of the text format of Prometheus.
const TEXT_FORMAT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// The response to a request for the metrics.
pub(crate) fn respond<B>(metrics: &Metrics, request: &Request<B>) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = refuse(ErrorKind::MethodNotAllowed, request);
        let allowed = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(header::ALLOW, allowed);
        return response;
    }
    let mut response = Response::new(Full::from(metrics.text()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, TEXT_FORMAT);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn refuse<B>(kind: ErrorKind, request: &Request<B>) -> Response<Full<Bytes>> {
    problem_response(&AuthError::new(kind), REALM, request.headers())
}
