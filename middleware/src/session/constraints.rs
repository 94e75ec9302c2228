//! Constraints: limits that the application enforces.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_json::value::RawValue;

/// The largest constraints, in bytes of JSON text.
pub const MAX_CONSTRAINTS_LEN: usize = 4096;

/// A JSON object that an administrator gives to a session, kept exactly as it was written.
///
/// This crate does not interpret it. A layer hands it to the inner service in
/// [`AuthenticatedSession::constraints`](crate::AuthenticatedSession::constraints). For a role:
///
/// ```
/// use serde::Deserialize;
/// use tower_session_auth::session::Constraints;
///
/// #[derive(Deserialize)]
/// struct Limits {
///     role: String,
/// }
///
/// fn may_delete(constraints: Option<&Constraints>) -> bool {
///     constraints.is_some_and(|constraints| {
///         constraints.parse::<Limits>().is_ok_and(|limits| limits.role == "editor")
///     })
/// }
///
/// assert!(may_delete(Some(&Constraints::new(r#"{"role":"editor"}"#)?)));
/// assert!(!may_delete(Some(&Constraints::new(r#"{"role":"reader"}"#)?)));
/// assert!(!may_delete(None));
/// # Ok::<(), tower_session_auth::session::InvalidConstraints>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraints(Arc<str>);

/// The text is not a JSON object of at most [`MAX_CONSTRAINTS_LEN`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a JSON object of at most 4096 bytes")]
pub struct InvalidConstraints;

impl Constraints {
    /// Parses the text of a JSON object.
    ///
    /// # Errors
    /// If the text is not a JSON object, or is too long.
    pub fn new(json: &str) -> Result<Self, InvalidConstraints> {
        let json = json.trim_matches([' ', '\t', '\n', '\r']);
        if json.len() > MAX_CONSTRAINTS_LEN || !json.starts_with('{') {
            return Err(InvalidConstraints);
        }
        serde_json::from_str::<&RawValue>(json).map_err(|_| InvalidConstraints)?;
        Ok(Self(json.into()))
    }

    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Parses the constraints as a type of the application.
    ///
    /// # Errors
    /// If they do not have the form of that type.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.0)
    }
}

impl Serialize for Constraints {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(&self.0)
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Constraints {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::new(raw.get()).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_keep_the_original_text() {
        let text = r#"{"max":100000000000000000000.10,"b":1,"a":2}"#;
        let constraints: Constraints = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&constraints).unwrap(), text);
    }

    #[test]
    fn constraints_must_be_an_object_within_the_length_limit() {
        let longest = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_CONSTRAINTS_LEN - 8));
        assert_eq!(longest.len(), MAX_CONSTRAINTS_LEN);
        assert!(Constraints::new(&longest).is_ok());
        assert!(Constraints::new(&longest.replacen('x', "xx", 1)).is_err());
        for text in ["", "null", "[]", "\"{}\"", "{", "{}{}", "{\"a\":}"] {
            assert!(Constraints::new(text).is_err(), "{text}");
        }
    }
}
