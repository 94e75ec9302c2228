//! Finding the token of a request and verifying it.

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header, request::Parts};

use super::{
    MAX_HEADER_LEN, TokenVerifier, VerifiedToken,
    key_source::{KeyLookup, Refreshing},
};
use crate::error::{AuthError, Diagnosis, ErrorKind, RejectionReason};

/// A request without a valid token.
pub(crate) struct RejectedToken {
    pub(crate) error: AuthError,
    /// The refresh of the keys that this request waits for, if the token's key is unknown and the verifier follows a source.
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
    /// `InvalidToken`. Its detail describes the mistake, for example a tab after `Bearer`. `StoreUnavailable` if the verifier follows
    /// the keys of a server (feature `key-follower`), the token's key is unknown, and the server has not confirmed that
    /// it does not exist.
    pub fn verify_request(&self, request: &Parts) -> Result<VerifiedToken, AuthError> {
        let checked = self.check_request(&request.uri, &request.headers);
        checked.map_err(|rejected| rejected.error)
    }

    /// Like [`verify_request`](Self::verify_request). If the key is unknown, also returns the refresh of the keys that this
    /// request has started.
    pub(crate) fn check_request(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<VerifiedToken, RejectedToken> {
        self.check(uri, headers, |diagnosis| self.look_up_key(diagnosis))
    }

    /// Checks a request again after the refresh that it waited for. `is_absent` is the result of that refresh.
    pub(crate) fn check_refreshed(
        &self,
        request: &Parts,
        is_absent: bool,
    ) -> Result<VerifiedToken, AuthError> {
        let look_up = |diagnosis: &Diagnosis| (!is_absent).then(|| self.look_up_key(diagnosis)).flatten();
        let checked = self.check(&request.uri, &request.headers, look_up);
        checked.map_err(|rejected| rejected.error)
    }

    fn check(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        look_up: impl FnOnce(&Diagnosis) -> Option<KeyLookup>,
    ) -> Result<VerifiedToken, RejectedToken> {
        self.reject_token_in_query(uri)?;
        let value = self.header_value(headers)?;
        // A cached token is found by its bytes. Only other values are examined further.
        let diagnosis = match self.token_in(value.as_bytes()) {
            None => None,
            Some(token) => match self.verify_bytes(token) {
                Ok(token) => return Ok(token),
                Err(diagnosis) => Some(diagnosis),
            },
        };
        let (refreshing, retry_after) = match diagnosis.as_deref().and_then(look_up) {
            None | Some(KeyLookup::Absent) => (None, None),
            Some(KeyLookup::Unavailable { retry_after }) => (None, Some(retry_after)),
            Some(KeyLookup::Pending(refreshing)) => (Some(refreshing), Some(1)),
        };
        let error = match retry_after {
            None => self.explain(value, diagnosis),
            // After a 401, the client would discard a session that is valid.
            Some(seconds) => self.with_key_id_of(keys_unavailable(seconds), headers),
        };
        Err(RejectedToken { error, refreshing })
    }

    /// The id of the key that the token of a request names, for the log. The token need not be valid.
    pub(crate) fn key_id_of(&self, headers: &HeaderMap) -> Option<String> {
        let value = headers.get(&self.header)?;
        self.key_id_in(self.token_in(value.as_bytes())?)
    }

    /// Adds [`key_id_of`](Self::key_id_of) to the error of a rejected request.
    pub(crate) fn with_key_id_of(&self, error: AuthError, headers: &HeaderMap) -> AuthError {
        match self.key_id_of(headers) {
            Some(key_id) => error.with_key_id(&key_id),
            None => error,
        }
    }

    /// Marks every value that can hold a token as sensitive, so that a log line of an inner service does not show it.
    pub(crate) fn redact(&self, headers: &mut HeaderMap) {
        redact(headers, &header::AUTHORIZATION);
        if self.header != header::AUTHORIZATION {
            redact(headers, &self.header);
        }
    }

    /// The value of the token's header, which must occur once.
    fn header_value<'a>(&self, headers: &'a HeaderMap) -> Result<&'a HeaderValue, AuthError> {
        let mut values = headers.get_all(&self.header).iter();
        let Some(value) = values.next() else {
            return Err(self.missing());
        };
        if values.next().is_some() {
            let detail = format!("There is more than one {} header.", self.name());
            return Err(invalid(RejectionReason::DuplicateHeader, detail));
        }
        if value.len() > MAX_HEADER_LEN {
            let name = self.name();
            let detail = format!("The {name} header is longer than {MAX_HEADER_LEN} bytes.");
            return Err(invalid(RejectionReason::HeaderTooLong, detail));
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
    fn explain(&self, value: &HeaderValue, diagnosis: Option<Box<Diagnosis>>) -> AuthError {
        let name = self.name();
        let malformed = |detail: String| invalid(RejectionReason::MalformedHeader, detail);
        if self.header == header::AUTHORIZATION
            && after_scheme(value.as_bytes()).is_none()
            && value.to_str().is_err()
        {
            return self.other_scheme();
        }
        let Ok(text) = value.to_str() else {
            return malformed(format!("The {name} header has characters outside ASCII."));
        };
        let token = match after_scheme(text.as_bytes()) {
            None if self.header == header::AUTHORIZATION => {
                return if self.contains_token(text) {
                    malformed("The scheme Bearer is missing before the token.".to_owned())
                } else {
                    self.other_scheme()
                };
            }
            // A proxy may send an empty header for a request without a token.
            None if text.trim_matches(' ').is_empty() => return self.missing(),
            None => text.trim_matches(' '),
            Some([]) => "",
            Some([b'\t', ..]) => return malformed("A tab follows Bearer, where a space must be.".to_owned()),
            Some([b':', ..]) => {
                return malformed("A colon follows Bearer, where a space must be.".to_owned());
            }
            Some([b' ', ..]) => text["bearer".len()..].trim_matches(' '),
            Some(_) if self.contains_token(text) => {
                return malformed("A space is missing between Bearer and the token.".to_owned());
            }
            Some(_) => return self.other_scheme(),
        };
        match token {
            "" => malformed(format!("The {name} header has no token after Bearer.")),
            _ if token.starts_with(['"', '\'', '<']) => {
                malformed("The token is in quotes or brackets. Send it without them.".to_owned())
            }
            _ if token.contains([',', ' ', '\t']) => {
                malformed(format!("The {name} header must hold one token and nothing else."))
            }
            _ => match diagnosis {
                Some(diagnosis) => AuthError::new(ErrorKind::InvalidToken).with_diagnosis(diagnosis),
                None => ErrorKind::InvalidToken.into(),
            },
        }
    }

    /// Credentials of another scheme, for another service.
    fn other_scheme(&self) -> AuthError {
        self.missing().with_reason(RejectionReason::OtherScheme)
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
    fn reject_token_in_query(&self, uri: &Uri) -> Result<(), AuthError> {
        let Some(query) = uri.query() else {
            return Ok(());
        };
        let found = form_urlencoded::parse(query.as_bytes())
            .any(|(name, value)| self.contains_token(&name) || self.contains_token(&value));
        if found {
            let detail = "A session token must not be sent in the query.".to_owned();
            return Err(invalid(RejectionReason::TokenInQuery, detail));
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

fn redact(headers: &mut HeaderMap, name: &HeaderName) {
    if headers.contains_key(name)
        && let header::Entry::Occupied(mut values) = headers.entry(name)
    {
        values.iter_mut().for_each(|value| value.set_sensitive(true));
    }
}

fn keys_unavailable(retry_after: u64) -> AuthError {
    AuthError::for_token(ErrorKind::StoreUnavailable)
        .with_detail(
            "The key of this token is unknown. The session server has not confirmed that it does not exist.",
        )
        .with_retry_after(retry_after)
        .with_reason(RejectionReason::KeysUnavailable)
}

fn invalid(reason: RejectionReason, detail: String) -> AuthError {
    AuthError::for_token(ErrorKind::InvalidToken)
        .with_reason(reason)
        .with_detail(detail)
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
