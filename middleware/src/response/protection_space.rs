/// The protection space that the challenges of rejections name (RFC 9110, section 11.5).
///
/// ```
/// use http::HeaderMap;
/// use tower_session_auth::{AuthError, response::{ProtectionSpace, problem_response}};
///
/// let space = ProtectionSpace::new("api")
///     .resource_metadata("https://api.example/.well-known/oauth-protected-resource");
/// let response = problem_response(&AuthError::missing_token(), &space, &HeaderMap::new());
/// assert_eq!(
///     response.headers()["www-authenticate"],
///     "Bearer realm=\"api\", resource_metadata=\"https://api.example/.well-known/oauth-protected-resource\""
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectionSpace {
    pub(super) realm: String,
    pub(super) resource_metadata: Option<String>,
}

impl ProtectionSpace {
    /// A space with this realm.
    ///
    /// Quotes, backslashes and characters other than visible ASCII are removed.
    #[must_use]
    pub fn new(realm: &str) -> Self {
        Self {
            realm: quotable(realm),
            resource_metadata: None,
        }
    }

    /// Names the metadata of the protected resource in the challenge for a session token (RFC 9728, section 5.1).
    #[must_use]
    pub fn resource_metadata(mut self, url: &str) -> Self {
        self.resource_metadata = Some(quotable(url));
        self
    }
}

impl From<&str> for ProtectionSpace {
    fn from(realm: &str) -> Self {
        Self::new(realm)
    }
}

impl From<&Self> for ProtectionSpace {
    fn from(space: &Self) -> Self {
        space.clone()
    }
}

/// The text without the characters that a quoted string must escape.
pub(super) fn quotable(text: &str) -> String {
    let is_quotable = |c: &char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
    text.chars().filter(is_quotable).collect()
}
