//! The footer of a token, which names its key.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

use crate::error::RejectionReason;

/// The longest footer that is decoded, in base64 characters. The footers of this crate have 82.
const MAX_LEN: usize = 256;

#[derive(Deserialize)]
struct Footer<'a> {
    #[serde(borrow)]
    kid: &'a str,
}

/// Decodes the footer of a token.
pub(super) fn decode(paseto: &str) -> Result<Vec<u8>, RejectionReason> {
    let footer = encoded(paseto).ok_or(RejectionReason::MalformedToken)?;
    if footer.len() > MAX_LEN {
        return Err(RejectionReason::MalformedFooter);
    }
    let decoded = URL_SAFE_NO_PAD.decode(footer);
    decoded.map_err(|_| RejectionReason::MalformedFooter)
}

/// The key id in a decoded footer.
pub(super) fn key_id(footer: &[u8]) -> Option<&str> {
    let footer: Footer<'_> = serde_json::from_slice(footer).ok()?;
    Some(footer.kid)
}

/// The footer of a PASETO v4.public token, in base64. `None` if the token has another form.
fn encoded(paseto: &str) -> Option<&str> {
    let mut parts = paseto.split('.');
    match (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) {
        (Some("v4"), Some("public"), Some(_), Some(footer), None) => Some(footer),
        _ => None,
    }
}
