//! `/.well-known/oauth-protected-resource`: the metadata of the protected resource (RFC 9728).

use http::{HeaderValue, StatusCode, Uri, header};

use super::{
    output::{self, Answer},
    state::State,
};
use crate::{error::ErrorKind, store::SessionStore};

/// The `Cache-Control` of the metadata: a client finds a change within five minutes.
pub(super) const CACHE_CONTROL: &str = "max-age=300";

/// The metadata, at the path that belongs to the URL of the resource. 404 at any other path, and without such a URL.
pub(super) fn get<S: SessionStore>(state: &State<S>, uri: &Uri) -> Answer {
    let resource = state
        .resource
        .as_ref()
        .filter(|resource| resource.metadata_path() == uri.path());
    let resource = resource.ok_or(ErrorKind::NotFound)?;
    let in_authorization = state.verifier.header_name() == header::AUTHORIZATION;
    let mut response = output::json(StatusCode::OK, &resource.metadata(in_authorization))?;
    let cached = HeaderValue::from_static(CACHE_CONTROL);
    response.headers_mut().insert(header::CACHE_CONTROL, cached);
    Ok(response)
}
