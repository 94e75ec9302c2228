use http::HeaderMap;
use http_body::Body;
use tower::BoxError;

use super::super::input;
use crate::error::AuthError;

const MEDIA_TYPE: &[u8] = b"application/x-www-form-urlencoded";

/// Reads the parameter `token` of a form.
///
/// Other parameters, such as `token_type_hint`, have no effect (RFC 7662, section 2.1). A repeated parameter is an error (RFC 6749,
/// section 3.2).
pub(super) async fn token<B>(headers: &HeaderMap, body: B) -> Result<String, AuthError>
where
    B: Body<Data: Send, Error: Into<BoxError>>,
{
    if !input::has_media_type(headers, MEDIA_TYPE) {
        let message = "must be application/x-www-form-urlencoded";
        return Err(AuthError::invalid_field("Content-Type", message));
    }
    let body = input::read(body).await?;
    let mut names = Vec::new();
    let mut token = None;
    for (name, value) in form_urlencoded::parse(&body) {
        if names.contains(&name) {
            return Err(AuthError::invalid_field(name, "must not be repeated"));
        }
        if name == "token" {
            token = Some(value.into_owned());
        }
        names.push(name);
    }
    // RFC 6749, section 3.1: a parameter without a value counts as absent.
    let token = token.filter(|token| !token.is_empty());
    token.ok_or_else(|| AuthError::invalid_field("token", "is required"))
}
