//! Agents: the principals that sessions are granted to.

use std::{fmt, future::Future, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{clock::Timestamp, store::StoreError};

/// An agent's id, a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct AgentId(Uuid);

/// A text that is not a hyphenated UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a UUID such as 0190f3a1-7c1e-7d2a-9b3c-4d5e6f708192")]
pub struct InvalidId;

impl AgentId {
    /// An id from a UUID.
    #[must_use]
    pub const fn from_uuid(id: Uuid) -> Self {
        Self(id)
    }

    /// The UUID.
    #[must_use]
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }

    /// The agent's bucket: a stable 16-bit hash, written into the ids of its sessions.
    ///
    /// It is the first two bytes of the id's SHA-256, big endian. It is part of the stored layout: it never changes.
    #[must_use]
    pub fn bucket(&self) -> u16 {
        let digest: [u8; 32] = Sha256::digest(self.0.as_bytes()).into();
        u16::from_be_bytes([digest[0], digest[1]])
    }
}

impl TryFrom<String> for AgentId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl FromStr for AgentId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_hyphenated(text).map(Self)
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `Uuid` itself also takes braces, URNs and bare digits; the wire has one form.
pub(crate) fn parse_hyphenated(text: &str) -> Result<Uuid, InvalidId> {
    if text.len() != 36 {
        return Err(InvalidId);
    }
    Uuid::try_parse(text).map_err(|_| InvalidId)
}

/// A registered agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// The agent's id.
    pub id: AgentId,
    /// A name for people.
    pub name: Option<String>,
    /// When it was registered.
    pub created_at: Timestamp,
}

/// Tells whether an agent exists, before a session is opened for it.
pub trait AgentDirectory: Send + Sync + 'static {
    /// Whether the agent may have sessions.
    fn contains(&self, agent: AgentId) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// Accepts any agent: for those who know their agents themselves.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnyAgent;

impl AgentDirectory for AnyAgent {
    async fn contains(&self, _: AgentId) -> Result<bool, StoreError> {
        Ok(true)
    }
}
