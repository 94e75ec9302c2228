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
