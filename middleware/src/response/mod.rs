//! Responses to rejected requests, and the body type of the layers' responses.
//!
//! The response to a rejected request is a problem document (RFC 9457). For a gRPC request it is a gRPC status. See
//! [`problem_response`] and [`grpc_response`].
//!
//! Each rejection is logged once, with the target `tower_session_auth::rejection`: see [`AuthError::log`](crate::AuthError::log). The
//! log line has the precise [reason](crate::RejectionReason), which no response contains. The extensions of the response hold the
//! [`AuthError`](crate::AuthError), for an outer layer with its own log line.

mod body;
mod grpc;
mod problem;
mod protection_space;
mod rejections;
#[cfg(feature = "endpoints")]
mod request_id;
mod session_ids;
#[cfg(test)]
mod tests;

pub use body::ResponseBody;
#[cfg(feature = "ext-authz")]
pub(crate) use grpc::code_of;
pub use grpc::grpc_response;
#[cfg(feature = "client")]
pub(crate) use grpc::has_grpc_type;
pub use problem::problem_response;
pub use protection_space::ProtectionSpace;
pub(crate) use rejections::{Rejections, RequestHead};
#[cfg(feature = "endpoints")]
pub use request_id::ensure_request_id;
pub use session_ids::SessionIds;

use http::HeaderName;

/// The header that carries the id of a request.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
