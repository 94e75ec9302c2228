//! `/.well-known/oauth-protected-resource`: the metadata of the protected resource (RFC 9728).

use http::{HeaderValue, StatusCode, Uri, header};

use super::{
    output::{self, Answer},
    state::State,
};
use crate::{error::ErrorKind, store::SessionStore};

/// The metadata, at the path that belongs to the URL of the resource. 404 at any other path, and without such a URL.
pub(super) fn get<S: SessionStore>(state: &State<S>, uri: &Uri) -> Answer {
    let resource = state
        .resource
        .as_ref()
        .filter(|resource| resource.metadata_path() == uri.path());
    let resource = resource.ok_or(ErrorKind::NotFound)?;
    let in_authorization = state.verifier.header_name() == header::AUTHORIZATION;
    let mut response = output::json(StatusCode::OK, &resource.metadata(in_authorization))?;
    let lifetime = HeaderValue::from_static("max-age=300");
    response.headers_mut().insert(header::CACHE_CONTROL, lifetime);
    Ok(response)
}
