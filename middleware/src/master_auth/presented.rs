//! Finding the administrator's credential in a request.

use std::str;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, header};

use super::{ADMIN_KEY_PREFIX, MAX_PASSWORD_LEN, X_MASTER_PASSWORD};
use crate::error::RejectionReason;

/// The longest `Authorization` header that is examined, in bytes.
const MAX_AUTHORIZATION_LEN: usize = 4096;

/// The credential of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Presented<'a> {
    MasterPassword(&'a [u8]),
    Key(PresentedKey),
}

/// The secret of an admin key, and the name that was sent with it (HTTP Basic only).
#[derive(PartialEq, Eq)]
pub(super) struct PresentedKey {
    pub(super) name: Option<String>,
    pub(super) secret: Vec<u8>,
}

/// The reason why a request has no usable credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unusable {
    Missing,
    MalformedPassword,
    Ambiguous,
}

impl Unusable {
    pub(super) const fn reason(self) -> RejectionReason {
        match self {
            Self::Missing => RejectionReason::MissingAdminCredential,
            Self::MalformedPassword => RejectionReason::MalformedMasterPassword,
            Self::Ambiguous => RejectionReason::AmbiguousAdminCredential,
        }
    }

    pub(super) const fn detail(self) -> &'static str {
        match self {
            Self::Missing => "This request needs the credential of an administrator.",
            Self::MalformedPassword => {
                "The X-Master-Password header must occur once, with at most 1024 bytes."
            }
            Self::Ambiguous => "The request has more than one credential. Send one.",
        }
    }
}

/// True if a request has something that looks like the credential of an administrator. It is not checked.
#[must_use]
pub fn has_credential(headers: &HeaderMap) -> bool {
    !matches!(Presented::find(headers, true), Err(Unusable::Missing))
}

impl<'a> Presented<'a> {
    /// Rules 1 and 2: exactly one credential. A single `Authorization` header without an admin key is not ours and is ignored.
    ///
    /// With `basic`, an admin key may also be the password of HTTP Basic.
    pub(super) fn find(headers: &'a HeaderMap, basic: bool) -> Result<Self, Unusable> {
        let mut passwords = headers.get_all(X_MASTER_PASSWORD).iter();
        let authorizations = headers.get_all(header::AUTHORIZATION).iter();
        // A second header, also a foreign one, could mean another client to the next service.
        let is_sole = headers.get_all(header::AUTHORIZATION).iter().count() == 1;
        let mut keys = authorizations.filter_map(|value| PresentedKey::parse(value, basic));
        match (passwords.next(), passwords.next(), keys.next(), keys.next()) {
            (None, _, None, _) => Err(Unusable::Missing),
            (None, _, Some(key), None) if is_sole => Ok(Self::Key(key)),
            (Some(password), None, None, _) if password.len() <= MAX_PASSWORD_LEN => {
                Ok(Self::MasterPassword(password.as_bytes()))
            }
            (Some(_), _, None, _) => Err(Unusable::MalformedPassword),
            _ => Err(Unusable::Ambiguous),
        }
    }
}

impl PresentedKey {
    /// Parses `Bearer wai_admin_…`, or with `basic` the Basic form of `name:wai_admin_…` (RFC 7617).
    fn parse(value: &HeaderValue, basic: bool) -> Option<Self> {
        let value = value.as_bytes();
        if value.len() > MAX_AUTHORIZATION_LEN {
            return None;
        }
        if let Some(secret) = after_scheme(value, "bearer") {
            return secret.starts_with(ADMIN_KEY_PREFIX.as_bytes()).then(|| Self {
                name: None,
                secret: secret.to_vec(),
            });
        }
        let encoded = after_scheme(value, "basic").filter(|_| basic)?;
        let decoded = STANDARD.decode(encoded).ok()?;
        let (name, secret) = str::from_utf8(&decoded).ok()?.split_once(':')?;
        secret.starts_with(ADMIN_KEY_PREFIX).then(|| Self {
            name: Some(name.to_owned()),
            secret: secret.as_bytes().to_vec(),
        })
    }
}

/// The credentials after a scheme in any case, without the spaces around them (RFC 9110, section 11.4).
fn after_scheme<'a>(value: &'a [u8], scheme: &str) -> Option<&'a [u8]> {
    let (found, rest) = value.split_at_checked(scheme.len())?;
    let is_scheme = found.eq_ignore_ascii_case(scheme.as_bytes()) && rest.first() == Some(&b' ');
    is_scheme.then(|| rest.trim_ascii())
}

impl std::fmt::Debug for PresentedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PresentedKey")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(headers: &[(&'static str, &str)], basic: bool) -> Result<String, Unusable> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        Presented::find(&map, basic).map(|presented| match presented {
            Presented::MasterPassword(password) => format!("password {}", str::from_utf8(password).unwrap()),
            Presented::Key(key) => {
                let secret = str::from_utf8(&key.secret).unwrap();
                format!("key {}:{secret}", key.name.unwrap_or_default())
            }
        })
    }

    #[test]
    fn exactly_one_credential_is_found() {
        type Headers<'a> = &'a [(&'static str, &'a str)];
        let (password, auth) = ("x-master-password", "authorization");
        let basic = format!("Basic {}", STANDARD.encode("prometheus:wai_admin_s"));
        let foreign = format!("Basic {}", STANDARD.encode("user:password"));
        let (missing, ambiguous) = (Err(Unusable::Missing), Err(Unusable::Ambiguous));
        let key = |text: &str| Ok(format!("key {text}"));
        #[rustfmt::skip]
        let cases: &[(Headers<'_>, bool, Result<String, Unusable>)] = &[
            (&[], false, missing.clone()),
            (&[(password, "p")], false, Ok("password p".to_owned())),
            (&[(password, "")], false, Ok("password ".to_owned())),
            (&[(password, "p"), (password, "p")], false, Err(Unusable::MalformedPassword)),
            (&[(auth, "Bearer wai_admin_s")], false, key(":wai_admin_s")),
            (&[(auth, "bEARER   wai_admin_s ")], false, key(":wai_admin_s")),
            (&[(auth, "Bearer wai_sess_s")], false, missing.clone()),
            (&[(auth, "wai_admin_s")], false, missing.clone()),
            (&[(auth, "Bearerwai_admin_s")], false, missing.clone()),
            (&[(auth, &basic)], true, key("prometheus:wai_admin_s")),
            (&[(auth, &basic)], false, missing.clone()),
            (&[(auth, &foreign)], true, missing.clone()),
            (&[(auth, "Basic !")], true, missing.clone()),
            (&[(password, "p"), (auth, &foreign)], true, Ok("password p".to_owned())),
            (&[(password, "p"), (auth, "Bearer wai_sess_s")], true, Ok("password p".to_owned())),
            (&[(password, "p"), (auth, "Bearer wai_admin_s")], false, ambiguous.clone()),
            (&[(password, "p"), (auth, &basic)], true, ambiguous.clone()),
            (&[(auth, "Bearer wai_admin_s"), (auth, "Bearer wai_admin_s")], false, ambiguous.clone()),
            (&[(auth, "Bearer wai_admin_s"), (auth, "Bearer wai_sess_s")], false, ambiguous.clone()),
        ];
        for (headers, basic, expected) in cases {
            assert_eq!(find(headers, *basic), *expected, "{headers:?}");
        }
    }
}
