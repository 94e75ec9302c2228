use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Version, request::Parts};
use http_body_util::Full;

use super::{
    ProtectionSpace,
    grpc::{grpc_response, is_call},
    problem::problem_response,
    protection_space::quotable,
};
use crate::{
    error::AuthError,
    telemetry::{ProtectedBy, RequestMetrics},
};

type Respond = dyn Fn(&AuthError, &HeaderMap) -> Response<Full<Bytes>> + Send + Sync;

/// The parts of a request that decide how its rejection is answered.
#[derive(Clone, Copy)]
pub(crate) struct RequestHead<'a> {
    pub(super) method: &'a Method,
    pub(super) version: Version,
    pub(super) headers: &'a HeaderMap,
}

impl<'a> RequestHead<'a> {
    pub(crate) const fn headers(self) -> &'a HeaderMap {
        self.headers
    }
}

impl<'a, B> From<&'a Request<B>> for RequestHead<'a> {
    fn from(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            version: request.version(),
            headers: request.headers(),
        }
    }
}

impl<'a> From<&'a Parts> for RequestHead<'a> {
    fn from(request: &'a Parts) -> Self {
        Self {
            method: &request.method,
            version: request.version,
            headers: &request.headers,
        }
    }
}

/// How a layer answers rejected requests.
#[derive(Clone)]
pub(crate) struct Rejections {
    space: ProtectionSpace,
    /// True if gRPC calls are answered with problem documents too.
    only_problems: bool,
    respond: Option<Arc<Respond>>,
    requests: RequestMetrics,
}

impl Default for Rejections {
    fn default() -> Self {
        Self::of(ProtectedBy::Session)
    }
}

impl Rejections {
    pub(crate) fn of(layer: ProtectedBy) -> Self {
        Self {
            space: ProtectionSpace::new("session"),
            only_problems: false,
            respond: None,
            requests: RequestMetrics::new(layer),
        }
    }

    /// The counters of the layer.
    pub(crate) const fn requests(&self) -> &RequestMetrics {
        &self.requests
    }

    pub(crate) fn set_realm(&mut self, realm: &str) {
        self.space.realm = quotable(realm);
    }

    pub(crate) fn set_resource_metadata(&mut self, url: &str) {
        self.space.resource_metadata = Some(quotable(url));
    }

    pub(crate) fn replace(
        &mut self,
        respond: impl Fn(&AuthError, &HeaderMap) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) {
        self.respond = Some(Arc::new(respond));
    }

    /// Answers every request with a problem document: for endpoints that are not gRPC services.
    pub(crate) fn set_only_problems(&mut self) {
        self.only_problems = true;
    }

    /// Answers a rejected request, and counts and logs it.
    pub(crate) fn respond<'a>(
        &self,
        error: &AuthError,
        request: impl Into<RequestHead<'a>>,
    ) -> Response<Full<Bytes>> {
        let request = request.into();
        self.requests.rejected(error);
        error.log();
        match &self.respond {
            None if !self.only_problems && is_call(request) => {
                grpc_response(error, &self.space, request.headers)
            }
            None => problem_response(error, &self.space, request.headers),
            Some(respond) => {
                let mut response = respond(error, request.headers);
                response.extensions_mut().insert(error.clone());
                response
            }
        }
    }
}
