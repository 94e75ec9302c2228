//! The form of tokens, and the header that carries them.

use http::{HeaderName, header};
use tower_session_auth::protected_resource::ProtectedResource;
use tower_session_auth::{
    master_auth::ADMIN_KEY_PREFIX,
    token::{DEFAULT_ISSUER, DEFAULT_PREFIX},
};

use super::Checks;
use crate::config::Settings;

pub(super) fn prefix(settings: &Settings, checks: &mut Checks<'_>) -> String {
    let prefix = settings
        .token_prefix
        .clone()
        .unwrap_or_else(|| DEFAULT_PREFIX.into());
    if prefix.len() > 64 || !prefix.bytes().all(is_token_byte) {
        checks.wrong(
            "token_prefix",
            "must have at most 64 of the characters A-Z a-z 0-9 - . _ ~ + /",
        );
    }
    if prefix.starts_with(ADMIN_KEY_PREFIX) {
        checks.wrong("token_prefix", "must not begin like an admin key");
    }
    prefix
}

/// Returns the issuer and the audience.
pub(super) fn claims(settings: &Settings, checks: &mut Checks<'_>) -> (String, Option<String>) {
    let issuer = settings.issuer.clone().unwrap_or_else(|| DEFAULT_ISSUER.into());
    let audience = settings.audience.clone();
    for (name, value) in [("issuer", Some(&issuer)), ("audience", audience.as_ref())] {
        if value.is_some_and(|text| text.is_empty() || text.len() > 255 || text.chars().any(char::is_control))
        {
            checks.wrong(name, "must have 1 to 255 bytes, and no control characters");
        }
    }
    (issuer, audience)
}

/// Returns the URL of the protected resource.
pub(super) fn resource(settings: &Settings, checks: &mut Checks<'_>) -> Option<ProtectedResource> {
    let url = settings.resource_url.as_deref()?;
    let parsed = ProtectedResource::parse(url);
    parsed.map_err(|error| checks.wrong("resource_url", error)).ok()
}

pub(super) fn header(settings: &Settings, checks: &mut Checks<'_>) -> HeaderName {
    let name = settings.token_header.as_deref().unwrap_or("authorization");
    name.parse().unwrap_or_else(|_| {
        checks.wrong(
            "token_header",
            "must be the name of a header, such as x-session-token",
        );
        header::AUTHORIZATION
    })
}

/// True if a bearer token can have this byte (RFC 6750, section 2.1).
const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
}
