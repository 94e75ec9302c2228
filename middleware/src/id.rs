//! The ids of agents and sessions.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::clock::Timestamp;

/// An agent's id, a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct AgentId(Uuid);

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

/// A session's id: a `UUIDv7` (RFC 9562, section 5.7) whose last 16 bits are the agent's [bucket](AgentId::bucket).
///
/// So an id alone tells when the session was created and where all of its agent's state lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct SessionId(Uuid);

impl SessionId {
    /// A fresh id for a session of `agent`, created at `now_millis`.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn generate(agent: AgentId, now_millis: u64) -> Result<Self, getrandom::Error> {
        let mut random = [0; 10];
        getrandom::fill(&mut random)?;
        random[8..].copy_from_slice(&agent.bucket().to_be_bytes());
        Ok(Self(
            uuid::Builder::from_unix_timestamp_millis(now_millis, &random).into_uuid(),
        ))
    }

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

    /// The bucket of the session's agent.
    #[must_use]
    pub const fn bucket(&self) -> u16 {
        let bytes = self.0.as_bytes();
        u16::from_be_bytes([bytes[14], bytes[15]])
    }

    /// When the session was created, from the id's first 48 bits.
    #[must_use]
    pub const fn created_at(&self) -> Timestamp {
        let bytes = self.0.as_bytes();
        let millis = u64::from_be_bytes([0, 0, bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]]);
        Timestamp(millis / 1000)
    }
}

/// A text that is not a hyphenated UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a UUID such as 0190f3a1-7c1e-7d2a-9b3c-4d5e6f708192")]
pub struct InvalidId;

/// An id's text: the hyphenated form, lower-case when written.
macro_rules! textual {
    ($id:ident) => {
        impl TryFrom<String> for $id {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl FromStr for $id {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                parse_hyphenated(text).map(Self)
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

textual!(AgentId);
textual!(SessionId);

/// `Uuid` itself also takes braces, URNs and bare digits; the wire has one form.
fn parse_hyphenated(text: &str) -> Result<Uuid, InvalidId> {
    if text.len() != 36 {
        return Err(InvalidId);
    }
    Uuid::try_parse(text).map_err(|_| InvalidId)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_id_has_its_time_and_the_bucket_of_its_agent() {
        let agent: AgentId = "6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a11".parse().unwrap();
        let id = SessionId::generate(agent, 1_760_000_000_999).unwrap();
        assert_eq!(id.bucket(), agent.bucket());
        assert_eq!(id.created_at(), Timestamp(1_760_000_000));
        assert_eq!(id.as_uuid().get_version_num(), 7);
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn later_session_ids_sort_later() {
        let agent: AgentId = "6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a11".parse().unwrap();
        let earlier = SessionId::generate(agent, 1_760_000_000_000).unwrap();
        let later = SessionId::generate(agent, 1_760_000_000_001).unwrap();
        assert!(earlier < later);
    }

    #[test]
    fn bucket_is_the_first_16_bits_of_the_agents_hash() {
        let agent: AgentId = "00000000-0000-0000-0000-000000000000".parse().unwrap();
        // SHA-256 of 16 zero bytes begins 37 47.
        assert_eq!(agent.bucket(), 0x3747);
    }

    #[test]
    fn only_the_hyphenated_form_is_parsed() {
        for text in [
            "",
            "6f1c7a522f394b0e9c550b7f3e3d2a11",
            "{6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a11}",
            "urn:uuid:6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a11",
            "6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a1g",
        ] {
            assert_eq!(text.parse::<SessionId>(), Err(InvalidId), "{text}");
        }
    }
}
