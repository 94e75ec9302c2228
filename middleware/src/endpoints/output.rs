//! Making responses.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;

use crate::error::{AuthError, ErrorKind};

/// The outcome of an endpoint.
pub(super) type Answer = Result<Response<Full<Bytes>>, AuthError>;

/// A JSON response that no cache may store.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(value)
        .map_err(|error| AuthError::new(ErrorKind::InternalError).with_internal_cause(error))?;
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// A page of a list. A `Link` header (RFC 8288) refers to the next page. Its target is a query, relative to the request, so it
/// is right under any prefix.
pub(super) fn page(items: &impl Serialize, next: Option<&str>) -> Answer {
    let mut response = json(StatusCode::OK, items)?;
    if let Some(next) = next
        && let Ok(link) = HeaderValue::try_from(format!("<?{next}>; rel=\"next\""))
    {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

/// The response to a revocation: 202 if the replicas and the disk that the store waits for did not acknowledge it in time.
pub(super) fn revocation(durable: Option<bool>, value: &impl Serialize) -> Answer {
    let status = match durable {
        Some(false) => StatusCode::ACCEPTED,
        None | Some(true) => StatusCode::OK,
    };
    json(status, value)
}

/// Like [`revocation`], of all sessions of an agent. Adds the field `durable` to the object.
pub(super) fn agent_revocation(durable: Option<bool>, mut object: serde_json::Value) -> Answer {
    if let Some(durable) = durable {
        object["durable"] = durable.into();
    }
    revocation(durable, &object)
}
