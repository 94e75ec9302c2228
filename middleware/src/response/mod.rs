//! Answers to rejected requests, and the body type of the layers' responses.
//!
//! A rejected request is answered with a problem document (RFC 9457), a gRPC request with a gRPC status: see
//! [`problem_response`] and [`grpc_response`].

mod body;
mod grpc;
mod problem;
mod rejections;
#[cfg(test)]
mod tests;

pub use body::ResponseBody;
pub use grpc::grpc_response;
#[cfg(feature = "client")]
pub(crate) use grpc::has_grpc_type;
pub use problem::problem_response;
pub(crate) use rejections::{Rejections, RequestHead};

use http::HeaderName;

/// The header that carries the id of a request.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
