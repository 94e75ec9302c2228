use std::collections::HashSet;

use http::HeaderMap;
use http_body::Body;
use tower::BoxError;

use super::super::input;
use crate::error::{AdminSchemes, AuthError, ErrorKind};

const MEDIA_TYPE: &[u8] = b"application/x-www-form-urlencoded";
/// The largest form that is read, in bytes. It is read before the client is authenticated. A token has less than 4 KiB.
pub(in super::super) const MAX_FORM: usize = 8 * 1024;

/// Reads the parameter `token` of a form.
///
/// Other parameters, such as `token_type_hint`, have no effect (RFC 7662, section 2.1). A repeated parameter is an error (RFC 6749,
/// section 3.2). Client authentication in the form is refused: without an error, the client would not know that it has no effect.
pub(super) async fn token<B>(headers: &HeaderMap, body: B) -> Result<String, AuthError>
where
    B: Body<Data: Send, Error: Into<BoxError>>,
{
    if !input::has_media_type(headers, MEDIA_TYPE) {
        let message = "must be application/x-www-form-urlencoded";
        return Err(AuthError::invalid_field("Content-Type", message));
    }
    let body = input::read(body, MAX_FORM).await?;
    let mut names = HashSet::new();
    let mut token = None;
    for (name, value) in form_urlencoded::parse(&body) {
        if matches!(&*name, "client_secret" | "client_assertion") {
            return Err(client_authentication_in_the_form());
        }
        if name == "token" {
            token = Some(value.into_owned());
        }
        // The name is not repeated in the message, since it may be a secret in the wrong place.
        if !names.insert(name) {
            return Err(AuthError::invalid_field("form", "has a repeated parameter"));
        }
    }
    // RFC 6749, section 3.1: a parameter without a value counts as absent.
    let token = token.filter(|token| !token.is_empty());
    token.ok_or_else(|| AuthError::invalid_field("token", "is required"))
}

fn client_authentication_in_the_form() -> AuthError {
    AuthError::new(ErrorKind::InvalidMasterPassword)
        .with_admin_schemes(AdminSchemes {
            master_password: false,
            bearer: true,
            basic: true,
            key_was_sent: false,
        })
        .with_detail("Send the credential of the client in the header Authorization: Bearer or Basic.")
}
