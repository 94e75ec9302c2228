//! Finding the token of a request and verifying it.

use http::{HeaderMap, HeaderValue, header, request::Parts};

use super::{MAX_HEADER_LEN, TokenVerifier, VerifiedToken, key_source::Refreshing, verifier::Unverified};
use crate::error::{AuthError, ErrorKind};

/// A request without a valid token.
pub(crate) struct RejectedToken {
    pub(crate) error: AuthError,
    /// The refresh of the keys, if the token's key is unknown and the verifier follows a source.
    pub(crate) refreshing: Option<Refreshing>,
}

impl From<AuthError> for RejectedToken {
    fn from(error: AuthError) -> Self {
        Self {
            error,
            refreshing: None,
        }
    }
}

impl TokenVerifier {
    /// Verifies the token of a request: rules 1 and 2 of [`session_auth`](crate::session_auth), without a store.
    ///
    /// Expiry is a separate check: [`VerifiedToken::check_expiry`].
    ///
    /// # Errors
    /// `InvalidToken`. Its detail describes the mistake, for example a tab after `Bearer`.
    pub fn verify_request(&self, request: &Parts) -> Result<VerifiedToken, AuthError> {
        self.check_request(request).map_err(|rejected| rejected.error)
    }

    /// Like [`verify_request`](Self::verify_request). If the key is unknown, also returns the refresh of the keys that this
    /// request has started.
    pub(crate) fn check_request(&self, request: &Parts) -> Result<VerifiedToken, RejectedToken> {
        self.reject_token_in_query(request)?;
        let value = self.header_value(&request.headers)?;
        // A cached token is found by its bytes. Only other values are examined further.
        let token = self.token_in(value.as_bytes());
        let refreshing = match token.map(|token| self.verify_bytes(token)) {
            Some(Ok(token)) => return Ok(token),
            Some(Err(Unverified::UnknownKey)) => self.refresh(),
            _ => None,
        };
        Err(RejectedToken {
            error: self.explain(value),
            refreshing,
        })
    }

    /// The value of the token's header, which must occur once.
    fn header_value<'a>(&self, headers: &'a HeaderMap) -> Result<&'a HeaderValue, AuthError> {
        let mut values = headers.get_all(&self.header).iter();
        let Some(value) = values.next() else {
            return Err(self.missing());
        };
        if values.next().is_some() {
            return Err(invalid(format!("There is more than one {} header.", self.name())));
        }
        if value.len() > MAX_HEADER_LEN {
            let name = self.name();
            return Err(invalid(format!(
                "The {name} header is longer than {MAX_HEADER_LEN} bytes."
            )));
        }
        Ok(value)
    }

    /// The token in a header value. `None` if the value has another form.
    fn token_in<'a>(&self, value: &'a [u8]) -> Option<&'a [u8]> {
        match after_scheme(value) {
            Some([]) => Some(&[]),
            Some(rest @ [b' ', ..]) => Some(trim_spaces(rest)),
            _ if self.header == header::AUTHORIZATION => None,
            _ => Some(trim_spaces(value)),
        }
    }

    /// The error for a value that holds no valid token, with the mistake in its detail.
    fn explain(&self, value: &HeaderValue) -> AuthError {
        let name = self.name();
        if self.header == header::AUTHORIZATION
            && after_scheme(value.as_bytes()).is_none()
            && value.to_str().is_err()
        {
            // Credentials of another scheme, for another service.
            return self.missing();
        }
        let Ok(text) = value.to_str() else {
            return invalid(format!("The {name} header has characters outside ASCII."));
        };
        let token = match after_scheme(text.as_bytes()) {
            None if self.header == header::AUTHORIZATION => {
                return if self.contains_token(text) {
                    invalid("The scheme Bearer is missing before the token.".to_owned())
                } else {
                    // Credentials of another scheme, for another service.
                    self.missing()
                };
            }
            // A proxy may send an empty header for a request without a token.
            None if text.trim_matches(' ').is_empty() => return self.missing(),
            None => text.trim_matches(' '),
            Some([]) => "",
            Some([b'\t', ..]) => return invalid("A tab follows Bearer, where a space must be.".to_owned()),
            Some([b':', ..]) => return invalid("A colon follows Bearer, where a space must be.".to_owned()),
            Some([b' ', ..]) => text["bearer".len()..].trim_matches(' '),
            Some(_) if self.contains_token(text) => {
                return invalid("A space is missing between Bearer and the token.".to_owned());
            }
            Some(_) => return self.missing(),
        };
        match token {
            "" => invalid(format!("The {name} header has no token after Bearer.")),
            _ if token.starts_with(['"', '\'', '<']) => {
                invalid("The token stands in quotes or brackets. Send it without them.".to_owned())
            }
            _ if token.contains([',', ' ', '\t']) => {
                invalid(format!("The {name} header must hold one token and nothing else."))
            }
            _ => ErrorKind::InvalidToken.into(),
        }
    }

    fn missing(&self) -> AuthError {
        if self.header == header::AUTHORIZATION {
            AuthError::missing_token()
        } else {
            let name = self.name();
            AuthError::missing_token()
                .with_detail(format!("This request needs a session token: {name}: Bearer …"))
        }
    }

    /// Rejects one of this verifier's tokens in the query, even beside a valid header: a query is written to logs and
    /// histories. Other parameters are not examined, including an `access_token` of another system.
    fn reject_token_in_query(&self, request: &Parts) -> Result<(), AuthError> {
        let Some(query) = request.uri.query() else {
            return Ok(());
        };
        let found = form_urlencoded::parse(query.as_bytes())
            .any(|(name, value)| self.contains_token(&name) || self.contains_token(&value));
        if found {
            return Err(invalid(
                "A session token must not be sent in the query.".to_owned(),
            ));
        }
        Ok(())
    }

    /// The header's name for messages.
    fn name(&self) -> &str {
        if self.header == header::AUTHORIZATION {
            "Authorization"
        } else {
            self.header.as_str()
        }
    }
}

fn invalid(detail: String) -> AuthError {
    AuthError::for_token(ErrorKind::InvalidToken).with_detail(detail)
}

/// The bytes after the scheme `Bearer`, in any case (RFC 9110, section 11.1). `None` if the value starts otherwise.
fn after_scheme(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked("bearer".len())?;
    scheme.eq_ignore_ascii_case(b"bearer").then_some(rest)
}

fn trim_spaces(mut bytes: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] | [rest @ .., b' '] = bytes {
        bytes = rest;
    }
    bytes
}
