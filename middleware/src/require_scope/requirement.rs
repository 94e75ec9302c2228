use crate::{
    error::AuthError,
    session::{InvalidScopes, Scopes},
};

/// The scopes that a request needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ScopeRequirement {
    /// All of them.
    All(Scopes),
    /// One of them.
    Any(Scopes),
}

impl ScopeRequirement {
    /// All of the scopes in this text. A text without a scope would admit every session, so it is an error.
    pub(crate) fn all(text: &str) -> Result<Self, InvalidScopes> {
        text.parse().map(Self::All)
    }

    /// All of the scopes in these texts, each of them as in [`all`](Self::all). `None` without a text.
    #[cfg(feature = "endpoints")]
    pub(crate) fn demanded<'a>(
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Option<Self>, InvalidScopes> {
        let mut texts = texts.into_iter().peekable();
        if texts.peek().is_none() {
            return Ok(None);
        }
        let scopes = Scopes::new(texts.flat_map(|text| text.split(' ')))?;
        Ok(Some(Self::All(scopes)))
    }

    /// One of the scopes in this text.
    pub(crate) fn any(text: &str) -> Result<Self, InvalidScopes> {
        text.parse().map(Self::Any)
    }

    /// Checks the scopes of a session.
    ///
    /// # Errors
    /// `InsufficientScope`, with the required scopes for the challenge.
    pub(crate) fn check(&self, own: &Scopes) -> Result<(), AuthError> {
        let (has, required) = match self {
            Self::All(required) => (own.contains_all(required), required),
            Self::Any(required) => (own.contains_any(required), required),
        };
        if has {
            Ok(())
        } else {
            Err(AuthError::insufficient_scope(required.as_str()))
        }
    }
}
