//! The id of a request: every response carries `X-Request-Id`.

use http::{HeaderMap, HeaderValue, Response};

use crate::response::X_REQUEST_ID;

/// The longest request id that is accepted from a client, in bytes.
const MAX_LEN: usize = 128;

/// Keeps the request's id if it is 1 to 128 visible ASCII characters without spaces. Otherwise sets a random UUID.
pub(super) fn ensure(headers: &mut HeaderMap) -> Option<HeaderValue> {
    let mut ids = headers.get_all(X_REQUEST_ID).iter();
    let sent = match (ids.next(), ids.next()) {
        (Some(id), None) if is_usable(id) => Some(id.clone()),
        _ => None,
    };
    let id = sent.or_else(random)?;
    headers.insert(X_REQUEST_ID, id.clone());
    Some(id)
}

pub(super) fn set<B>(response: &mut Response<B>, id: Option<HeaderValue>) {
    if let Some(id) = id {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
}

fn is_usable(id: &HeaderValue) -> bool {
    (1..=MAX_LEN).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
}

/// `None` if the operating system has no randomness.
fn random() -> Option<HeaderValue> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).ok()?;
    let id = uuid::Builder::from_random_bytes(random).into_uuid();
    HeaderValue::try_from(id.to_string()).ok()
}
