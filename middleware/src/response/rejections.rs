use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::Full;

use super::{
    grpc::{grpc_response, is_grpc},
    problem::problem_response,
};
use crate::error::AuthError;

type Respond = dyn Fn(&AuthError, &HeaderMap) -> Response<Full<Bytes>> + Send + Sync;

/// Builds the responses to rejected requests of a layer.
#[derive(Clone)]
pub(crate) struct Rejections {
    realm: String,
    respond: Option<Arc<Respond>>,
}

impl Default for Rejections {
    fn default() -> Self {
        Self {
            realm: "session".to_owned(),
            respond: None,
        }
    }
}

impl Rejections {
    pub(crate) fn set_realm(&mut self, realm: &str) {
        realm.clone_into(&mut self.realm);
    }

    pub(crate) fn replace(
        &mut self,
        respond: impl Fn(&AuthError, &HeaderMap) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) {
        self.respond = Some(Arc::new(respond));
    }

    /// Builds the response to a rejected request. Only this method logs the cause of the error.
    pub(crate) fn respond(&self, error: &AuthError, request_headers: &HeaderMap) -> Response<Full<Bytes>> {
        tracing::debug!(code = error.kind().code(), "request rejected");
        error.log_cause();
        match &self.respond {
            None if is_grpc(request_headers) => grpc_response(error, &self.realm, request_headers),
            None => problem_response(error, &self.realm, request_headers),
            Some(respond) => {
                let mut response = respond(error, request_headers);
                response.extensions_mut().insert(error.clone());
                response
            }
        }
    }
}
