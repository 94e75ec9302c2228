//! Finding the bearer token in a request.

use http::{HeaderMap, HeaderValue, Uri, header};

use crate::{
    error::{AuthError, ErrorKind},
    token::{MAX_HEADER_LEN, TokenVerifier, VerifiedToken},
};

impl TokenVerifier {
    /// Proves the token of a request: rules 1 and 2 of [`session_auth`](crate::session_auth), for those who ask no store.
    /// Expiry is for [`VerifiedToken::check_expiry`] to judge.
    ///
    /// # Errors
    /// `InvalidToken`.
    pub fn verify_request(&self, headers: &HeaderMap, uri: &Uri) -> Result<VerifiedToken, AuthError> {
        let credentials = credentials(headers, uri, self)?;
        // What was proven before is known by its bytes: only the rest is worth a look at each of them.
        let token = bearer(credentials.as_bytes());
        if let Some(token) = token.and_then(|token| self.prove(token)) {
            return Ok(token);
        }
        match (credentials.to_str(), token) {
            (Err(_), _) => Err(invalid("The Authorization header is not of the form: Bearer …")),
            (Ok(_), Some(_)) => Err(ErrorKind::InvalidToken.into()),
            (Ok(_), None) => Err(AuthError::token_missing()),
        }
    }
}

fn invalid(detail: &'static str) -> AuthError {
    AuthError::token(ErrorKind::InvalidToken).with_detail(detail)
}

/// The Authorization header of a request (RFC 6750, section 2.1).
///
/// A token in the query is refused even beside a good header: it stands in logs and histories, so it has to be noticed.
fn credentials<'a>(
    headers: &'a HeaderMap,
    uri: &Uri,
    verifier: &TokenVerifier,
) -> Result<&'a HeaderValue, AuthError> {
    if token_in_query(uri, verifier) {
        return Err(invalid("A session token does not belong into the query."));
    }
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Err(AuthError::token_missing());
    };
    if values.next().is_some() {
        return Err(invalid("There is more than one Authorization header."));
    }
    if value.len() > MAX_HEADER_LEN {
        return Err(invalid("The Authorization header is longer than 4096 bytes."));
    }
    Ok(value)
}

/// The bearer string of credentials; `None` when they are of another scheme.
fn bearer(credentials: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer";
    let (scheme, mut token) = credentials.split_at_checked(SCHEME.len())?;
    if !scheme.eq_ignore_ascii_case(SCHEME) || token.first().is_some_and(|&next| next != b' ') {
        return None;
    }
    while let [b' ', rest @ ..] | [rest @ .., b' '] = token {
        token = rest;
    }
    Some(token)
}

fn token_in_query(uri: &Uri, verifier: &TokenVerifier) -> bool {
    uri.query().is_some_and(|query| {
        form_urlencoded::parse(query.as_bytes()).any(|(name, value)| {
            name.eq_ignore_ascii_case("access_token")
                || verifier.contains_token(&name)
                || verifier.contains_token(&value)
        })
    })
}
