//! The rights of administrators.

use std::{fmt, str::FromStr};

/// A right of an administrator. Each request of the HTTP API needs exactly one.
///
/// ```
/// use tower_session_auth::master_auth::{Right, Rights};
///
/// let rights: Rights = [Right::Open, Right::List].into_iter().collect();
/// assert!(rights.contains(Right::Open) && !rights.contains(Right::Revoke));
/// assert_eq!("revoke".parse(), Ok(Right::Revoke));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Right {
    /// Create sessions.
    Open,
    /// Read and list sessions.
    List,
    /// Revoke sessions.
    Revoke,
    /// Issue new tokens for existing sessions.
    Rotate,
    /// Register, read, list and delete agents. A deletion also revokes the agent's sessions.
    Agents,
    /// Read the metrics.
    Metrics,
    /// Examine tokens (RFC 7662).
    Introspect,
}

/// The text is not a right. The message lists all rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of open, list, revoke, rotate, agents, metrics, introspect")]
pub struct UnknownRight;

impl Right {
    /// All rights.
    pub const ALL: &[Self] = &[
        Self::Open,
        Self::List,
        Self::Revoke,
        Self::Rotate,
        Self::Agents,
        Self::Metrics,
        Self::Introspect,
    ];

    /// The name of the right in key files and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::List => "list",
            Self::Revoke => "revoke",
            Self::Rotate => "rotate",
            Self::Agents => "agents",
            Self::Metrics => "metrics",
            Self::Introspect => "introspect",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl FromStr for Right {
    type Err = UnknownRight;

    fn from_str(text: &str) -> Result<Self, UnknownRight> {
        let named = Self::ALL.iter().find(|right| right.as_str() == text);
        named.copied().ok_or(UnknownRight)
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of rights.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Rights(u8);

impl Rights {
    /// No right.
    #[must_use]
    pub const fn none() -> Self {
        Self(0)
    }

    /// Every right.
    #[must_use]
    pub fn all() -> Self {
        Right::ALL.iter().copied().collect()
    }

    /// True if the set has this right.
    #[must_use]
    pub const fn contains(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }

    /// The rights in the set.
    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL
            .iter()
            .copied()
            .filter(move |right| self.contains(*right))
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        Self(rights.into_iter().fold(0, |bits, right| bits | right.bit()))
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_right_has_a_name_and_a_bit_of_its_own() {
        for right in Right::ALL {
            assert_eq!(right.as_str().parse(), Ok(*right));
            let only: Rights = [*right].into_iter().collect();
            assert_eq!(only.iter().collect::<Vec<_>>(), [*right]);
        }
        for text in ["", "Open", "open ", "all"] {
            assert_eq!(text.parse::<Right>(), Err(UnknownRight), "{text:?}");
        }
        let message = UnknownRight.to_string();
        assert!(Right::ALL.iter().all(|right| message.contains(right.as_str())));
    }
}
