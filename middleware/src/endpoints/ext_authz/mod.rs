//! `envoy.service.auth.v3.Authorization/Check`: external authorization (ext_authz) of Envoy over gRPC.
//!
//! 1. The checked request passes the same layer as a request to `/v1/auth`. Its token is found in its headers.
//! 2. A rejected request is denied with the response that the client of `/v1/auth` receives.
//! 3. A call without HTTP attributes, a malformed message, and a call past its deadline are gRPC errors. Envoy denies the request then,
//!    unless `failure_mode_allow` is true.
//!
//! | module | content |
//! |---|---|
//! | `messages` | the messages of protobuf |
//! | `checked_request` | the message as the head of a request |
//! | `verdict` | the decision as a message |
//! | `deadline` | `grpc-timeout` |

mod checked_request;
mod deadline;
mod messages;
mod verdict;

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version, header};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tokio::time::sleep;
use tonic::{Code, Status, server::Grpc};
use tonic_prost::ProstCodec;
use tower::{BoxError, Layer, ServiceExt, service_fn};

use self::messages::{CheckRequest, CheckResponse};
use super::{input::has_media_type, state::State};
use crate::{
    error::{AuthError, ErrorKind},
    response::{ResponseBody, SessionIds, X_REQUEST_ID, grpc_response, problem_response},
    session_auth::AuthenticatedSession,
    store::{AgentStore, SessionStore},
};

/// The path of the gRPC method `envoy.service.auth.v3.Authorization/Check`.
pub const PATH: &str = "/envoy.service.auth.v3.Authorization/Check";

/// The largest message that is read, in bytes. By default, Envoy accepts up to 60 KiB of headers from a client.
const MAX_MESSAGE: usize = 128 * 1024;

/// True for the path of the method.
pub(super) fn is_path(path: &str) -> bool {
    path == PATH
}

/// True if a request is a call of `envoy.service.auth.v3.Authorization/Check`: `POST`, HTTP/2, its path, and the content type of gRPC with
/// protobuf.
///
/// An outer layer that answers such a call itself must answer with a gRPC status: see
/// [`grpc_response`](crate::response::grpc_response).
#[must_use]
pub fn is_check_call<B>(request: &Request<B>) -> bool {
    is_path(request.uri().path())
        && request.method() == Method::POST
        && request.version() == Version::HTTP_2
        && has_protobuf_type(request.headers())
}

/// `application/grpc` or `application/grpc+proto`, with any parameters.
fn has_protobuf_type(headers: &HeaderMap) -> bool {
    has_media_type(headers, b"application/grpc") || has_media_type(headers, b"application/grpc+proto")
}

type Reply = Response<ResponseBody<Full<Bytes>>>;

/// Answers a request with the path of the method.
pub(super) async fn serve<S, B>(state: Arc<State<S>>, request: Request<B>) -> Reply
where
    S: SessionStore + AgentStore,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let headers = request.headers().clone();
    if !is_check_call(&request) {
        return not_a_call(&state, request.method(), &headers);
    }
    let timeout = match deadline::timeout_of(&headers) {
        Ok(timeout) => timeout,
        Err(error) => return failed(&state, &error, &headers),
    };
    let Some(timeout) = timeout else {
        return answer(state, request).await;
    };
    // The deadline is polled first: an answer that is ready after it is late.
    tokio::select! {
        biased;
        () = sleep(timeout) => failed(&state, &ErrorKind::RequestTimeout.into(), &headers),
        reply = answer(state.clone(), request) => reply,
    }
}

/// A request of another protocol than gRPC over HTTP/2.
fn not_a_call<S: SessionStore>(state: &State<S>, method: &Method, headers: &HeaderMap) -> Reply {
    let kind = if method == Method::POST {
        ErrorKind::UnsupportedMediaType
    } else {
        ErrorKind::MethodNotAllowed
    };
    let error = AuthError::new(kind).with_detail("This path is a gRPC method: application/grpc over HTTP/2.");
    count(state, &error);
    let mut response = problem_response(&error, &state.space, headers);
    if kind == ErrorKind::MethodNotAllowed {
        response
            .headers_mut()
            .insert(header::ALLOW, HeaderValue::from_static("POST"));
    }
    response.map(ResponseBody::own)
}

/// A call without a verdict.
fn failed<S: SessionStore>(state: &State<S>, error: &AuthError, headers: &HeaderMap) -> Reply {
    count(state, error);
    grpc_response(error, &state.space, headers).map(ResponseBody::own)
}

fn count<S: SessionStore>(state: &State<S>, error: &AuthError) {
    state.rejections.count(error);
    error.log();
}

/// Reads the message, and answers it.
async fn answer<S, B>(state: Arc<State<S>>, request: Request<B>) -> Reply
where
    S: SessionStore + AgentStore,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let headers = request.headers().clone();
    let request_id = headers.get(X_REQUEST_ID).cloned();
    let method = {
        let state = state.clone();
        service_fn(move |call: tonic::Request<CheckRequest>| {
            let (state, request_id) = (state.clone(), request_id.clone());
            async move { check(&state, request_id, call.into_inner()).await }
        })
    };
    let request = request.map(|body| body.map_err(Into::<BoxError>::into));
    let response = Grpc::new(ProstCodec::<CheckResponse, CheckRequest>::default())
        .max_decoding_message_size(MAX_MESSAGE)
        .unary(method, request)
        .await;
    let (mut parts, body) = response.into_parts();
    if let Some(status) = Status::from_header_map(&parts.headers) {
        let error = AuthError::invalid_field("", status.message());
        count(&state, &error);
        parts.extensions.insert(error);
    }
    match body.collect().await {
        Ok(body) => {
            let trailers = body.trailers().cloned();
            Response::from_parts(
                parts,
                ResponseBody::with_trailers(Full::from(body.to_bytes()), trailers),
            )
        }
        Err(status) => {
            let error = AuthError::new(ErrorKind::InternalError).with_internal_cause(status);
            failed(&state, &error, &headers)
        }
    }
}

/// Sends the checked request through the layer of sessions. `request_id` is that of the call, so that a client can name it to the
/// operator, who finds it in the log.
async fn check<S>(
    state: &State<S>,
    request_id: Option<HeaderValue>,
    message: CheckRequest,
) -> Result<tonic::Response<CheckResponse>, Status>
where
    S: SessionStore + AgentStore,
{
    let missing = |name| Status::new(Code::InvalidArgument, format!("{name} is missing"));
    let attributes = message.attributes.ok_or_else(|| missing("attributes"))?;
    let http = attributes.request.and_then(|request| request.http);
    let http = http.ok_or_else(|| missing("attributes.request.http"))?;
    let mut head = match checked_request::head(http) {
        Ok(head) => head,
        Err(error) => {
            let request_id = request_id.map(|id| (X_REQUEST_ID, id));
            return Ok(refuse(state, &error, &request_id.into_iter().collect()).await);
        }
    };
    if let Some(id) = request_id {
        head.headers_mut().insert(X_REQUEST_ID, id);
    }
    let client = head.headers().clone();
    let admit = service_fn(async |head: Request<()>| {
        let mut response = Response::new(Full::<Bytes>::default());
        *response.extensions_mut() = head.extensions().clone();
        Ok::<_, Infallible>(response)
    });
    let response = match state.session.layer(admit).oneshot(head).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let Some(session) = response.extensions().get::<AuthenticatedSession>() else {
        return Ok(denied(response, &client).await);
    };
    let ids = SessionIds::new(session.session_id, session.agent_id);
    let required = checked_request::required_scopes(&attributes.context_extensions);
    let permitted = required.and_then(|required| match required {
        Some(required) => required.check(&session.scopes),
        None => Ok(()),
    });
    let mut verdict = match permitted {
        Ok(()) => tonic::Response::new(verdict::admitted(session, &client)),
        Err(error) => {
            let error = error.with_session(session.session_id, session.agent_id);
            refuse(state, &state.verifier.with_key_id_of(error, &client), &client).await
        }
    };
    verdict.extensions_mut().insert(ids);
    Ok(verdict)
}

/// Denies a request that the layer has admitted, or that could not reach it.
async fn refuse<S: SessionStore>(
    state: &State<S>,
    error: &AuthError,
    client: &HeaderMap,
) -> tonic::Response<CheckResponse> {
    count(state, error);
    denied(problem_response(error, &state.space, client), client).await
}

/// The response to the client as a verdict, with the id of the call. Its error goes into the extensions of the response to the call.
async fn denied<B>(response: Response<B>, client: &HeaderMap) -> tonic::Response<CheckResponse>
where
    B: Body<Data = Bytes, Error = Infallible>,
{
    let (mut parts, body) = response.into_parts();
    if let Some(id) = client.get(X_REQUEST_ID) {
        parts.headers.insert(X_REQUEST_ID, id.clone());
    }
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(never) => match never {},
    };
    let error = parts.extensions.get::<AuthError>();
    let message = error.map(AuthError::to_string).unwrap_or_default();
    let mut verdict = tonic::Response::new(verdict::denied(parts.status, &parts.headers, &body, message));
    if let Some(error) = error {
        verdict.extensions_mut().insert(error.clone());
    }
    verdict
}
