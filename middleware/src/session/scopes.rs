//! Scopes: the permissions of a session (RFC 6749, section 3.3).

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The longest list of scopes, in bytes of text with one space between two scopes.
pub const MAX_SCOPES_LEN: usize = 1024;

/// The scopes that an administrator gives to a session when it is created. No renewal or rotation changes them.
///
/// A scope is a case-sensitive name of visible ASCII characters without `"` and `\` (RFC 6749, section 3.3). The text form has one
/// space between two scopes. A repeated scope counts once. The order has no meaning and is kept.
///
/// ```
/// use tower_session_auth::session::Scopes;
///
/// let scopes: Scopes = "reports:read reports:write".parse()?;
/// assert!(scopes.contains("reports:read"));
/// assert!(!scopes.contains("reports"));
/// assert!(!Scopes::NONE.contains("reports:read"));
/// # Ok::<(), tower_session_auth::session::InvalidScopes>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes(Option<Arc<str>>);

/// The text is not a list of scopes (RFC 6749, section 3.3) of at most [`MAX_SCOPES_LEN`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be scopes of visible ASCII characters without \" and \\, with one space between two, at most 1024 bytes in all"
)]
pub struct InvalidScopes;

impl Scopes {
    /// No scopes.
    pub const NONE: Self = Self(None);

    /// A list of these scopes. No scope at all is [`NONE`](Self::NONE).
    ///
    /// # Errors
    /// If a scope is empty or has another character, or if they are too long.
    pub fn new<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidScopes> {
        let mut text = String::new();
        for scope in scopes {
            if !is_scope(scope) {
                return Err(InvalidScopes);
            }
            if text.split(' ').any(|other| other == scope) {
                continue;
            }
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(scope);
            if text.len() > MAX_SCOPES_LEN {
                return Err(InvalidScopes);
            }
        }
        Ok(Self((!text.is_empty()).then(|| text.into())))
    }

    /// The text form. Empty if there are none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// The scopes.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.as_deref().into_iter().flat_map(|text| text.split(' '))
    }

    /// True if there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// True if this scope is among them.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.iter().any(|own| own == scope)
    }

    /// True if all of the others are among them.
    #[must_use]
    pub fn contains_all(&self, others: &Self) -> bool {
        others.iter().all(|other| self.contains(other))
    }

    /// True if one of the others is among them.
    #[must_use]
    pub fn contains_any(&self, others: &Self) -> bool {
        others.iter().any(|other| self.contains(other))
    }
}

/// `scope-token = 1*( %x21 / %x23-5B / %x5D-7E )`
fn is_scope(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    !text.is_empty() && text.bytes().all(is_allowed)
}

/// Parses the text form, which names at least one scope.
impl FromStr for Scopes {
    type Err = InvalidScopes;

    fn from_str(text: &str) -> Result<Self, InvalidScopes> {
        Self::new(text.split(' '))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An array of scopes.
impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// An array of scopes, or their text form.
impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Scopes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of scopes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Scopes, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut array: A) -> Result<Scopes, A::Error> {
                let mut scopes = Vec::new();
                while let Some(scope) = array.next_element::<String>()? {
                    scopes.push(scope);
                }
                Scopes::new(scopes.iter().map(String::as_str)).map_err(de::Error::custom)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_scopes_follows_rfc_6749() {
        for valid in ["a", "a b", "reports:read", "!#[]~", "https://a.example/b"] {
            let scopes: Scopes = valid.parse().unwrap();
            assert_eq!(scopes.as_str(), valid);
        }
        for invalid in ["", " ", "a  b", " a", "a ", "a\tb", "a\"", "a\\", "é", "a\u{7f}"] {
            assert_eq!(invalid.parse::<Scopes>(), Err(InvalidScopes), "{invalid:?}");
        }
        let longest = "x".repeat(MAX_SCOPES_LEN);
        assert!(longest.parse::<Scopes>().is_ok());
        assert!(format!("{longest}x").parse::<Scopes>().is_err());
    }

    #[test]
    fn repeated_scope_counts_once() {
        let scopes: Scopes = "b a b".parse().unwrap();
        assert_eq!(scopes.as_str(), "b a");
        assert_eq!(Scopes::new(["a b"]), Err(InvalidScopes));
        assert_eq!(Scopes::new([]), Ok(Scopes::NONE));
    }

    #[test]
    fn scopes_are_compared_as_whole_names() {
        let own: Scopes = "read write".parse().unwrap();
        let other = |text: &str| text.parse::<Scopes>().unwrap();
        assert!(own.contains("read"));
        for absent in ["rea", "READ", "", "read write"] {
            assert!(!own.contains(absent), "{absent}");
        }
        assert!(own.contains_all(&other("write read")));
        assert!(!own.contains_all(&other("write admin")));
        assert!(own.contains_any(&other("write admin")));
        assert!(!own.contains_any(&other("admin")));
        assert!(!own.contains_any(&Scopes::NONE));
        assert!(!Scopes::NONE.contains_any(&own));
    }

    #[test]
    fn json_is_an_array() {
        let scopes: Scopes = serde_json::from_str(r#"["a","b","a"]"#).unwrap();
        assert_eq!(serde_json::to_string(&scopes).unwrap(), r#"["a","b"]"#);
        assert_eq!(serde_json::from_str::<Scopes>(r#""a b""#).unwrap(), scopes);
        assert!(serde_json::from_str::<Scopes>("[]").unwrap().is_empty());
        for invalid in [r#"["a b"]"#, r#"[""]"#, r#""""#, "[1]", "1", "{}"] {
            assert!(serde_json::from_str::<Scopes>(invalid).is_err(), "{invalid}");
        }
    }
}
