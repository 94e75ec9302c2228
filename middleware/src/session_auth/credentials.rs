//! Finding the bearer token in a request.

use http::{HeaderMap, Uri, header};

use crate::{
    error::{AuthError, ErrorKind},
    token::{MAX_HEADER_LEN, ProvenToken, TokenVerifier},
};

impl TokenVerifier {
    /// Proves the token of a request: rules 1 and 2 of [`session_auth`](crate::session_auth), for those who ask no store.
    /// Expiry is for [`ProvenToken::unexpired`] to judge.
    ///
    /// # Errors
    /// `InvalidToken`.
    pub fn verify_request(&self, headers: &HeaderMap, uri: &Uri) -> Result<ProvenToken, AuthError> {
        Ok(self.verify(bearer(headers, uri, self)?)?)
    }
}

/// The bearer string of a request (RFC 6750, section 2.1).
///
/// A token in the query is refused even beside a good header: it stands in logs and histories, so it has to be noticed.
fn bearer<'a>(headers: &'a HeaderMap, uri: &Uri, verifier: &TokenVerifier) -> Result<&'a str, AuthError> {
    let invalid = |detail| Err(AuthError::token(ErrorKind::InvalidToken).with_detail(detail));
    if token_in_query(uri, verifier) {
        return invalid("A session token does not belong into the query.");
    }
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Err(AuthError::token_missing());
    };
    if values.next().is_some() {
        return invalid("There is more than one Authorization header.");
    }
    if value.len() > MAX_HEADER_LEN {
        return invalid("The Authorization header is longer than 4096 bytes.");
    }
    let Ok(credentials) = value.to_str() else {
        return invalid("The Authorization header is not of the form: Bearer …");
    };
    let (scheme, token) = credentials.split_once(' ').unwrap_or((credentials, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(AuthError::token_missing());
    }
    Ok(token.trim_matches(' '))
}

fn token_in_query(uri: &Uri, verifier: &TokenVerifier) -> bool {
    uri.query().is_some_and(|query| {
        form_urlencoded::parse(query.as_bytes()).any(|(name, value)| {
            name.eq_ignore_ascii_case("access_token")
                || verifier.is_within(&name)
                || verifier.is_within(&value)
        })
    })
}
