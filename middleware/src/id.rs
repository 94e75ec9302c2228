//! The ids of agents and sessions.

mod sequence;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::clock::Timestamp;

/// An agent's id: a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct AgentId(Uuid);

impl AgentId {
    /// Generates a random id (UUIDv4).
    ///
    /// # Errors
    /// If the operating system has no randomness.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)?;
        Ok(Self(uuid::Builder::from_random_bytes(random).into_uuid()))
    }

    /// Wraps a UUID.
    #[must_use]
    pub const fn from_uuid(id: Uuid) -> Self {
        Self(id)
    }

    /// The UUID.
    #[must_use]
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }

    /// The agent's bucket: a stable 16-bit hash, which is part of each of its session ids.
    ///
    /// The bucket is the first two bytes of the id's SHA-256, big endian. It is part of the stored layout and never changes.
    #[must_use]
    pub fn bucket(&self) -> u16 {
        let digest: [u8; 32] = Sha256::digest(self.0.as_bytes()).into();
        u16::from_be_bytes([digest[0], digest[1]])
    }
}

/// A session's id: a `UUIDv7` (RFC 9562, section 5.7) whose last 16 bits are the agent's [bucket](AgentId::bucket).
///
/// An id therefore carries the creation time of its session and the cluster slot of its agent's state.
///
/// # Order
///
/// The ids that one process generates are strictly increasing, across agents and threads. The 58 bits between the timestamp
/// and the bucket are a counter. It starts at a random value, and each id advances it by a random amount of 40 bits.
///
/// A clock that stops, or is set back by less than a second, does not change the order. After a larger step back, new ids take
/// the clock's time and sort before older ones. Otherwise their sessions would have a creation time far in the future and could
/// not be renewed in time.
///
/// When the counter overflows, after at least 131,072 ids, the timestamp advances by one millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct SessionId(Uuid);

impl SessionId {
    /// Generates an id for a session of `agent` that is created at `now_millis`, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// When the operating system's random generator fails.
    pub fn generate(agent: AgentId, now_millis: u64) -> Result<Self, getrandom::Error> {
        let position = sequence::next(now_millis)?;
        let trailing = position.trailing_bytes(agent.bucket());
        let id = uuid::Builder::from_unix_timestamp_millis(position.millis, &trailing);
        Ok(Self(id.into_uuid()))
    }

    /// Wraps a UUID.
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

    /// The session's creation time: the timestamp in the id's first 48 bits.
    ///
    /// It is never earlier than the time given to [`generate`](Self::generate), and at most one second later: see [`SessionId`].
    #[must_use]
    pub const fn created_at(&self) -> Timestamp {
        let bytes = self.0.as_bytes();
        let millis = u64::from_be_bytes([0, 0, bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]]);
        Timestamp(millis / 1000)
    }
}

/// The error of a text that is not a hyphenated UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a UUID such as 0190f3a1-7c1e-7d2a-9b3c-4d5e6f708192")]
pub struct InvalidId;

/// Implements parsing and display of an id. Display writes lower case.
macro_rules! impl_text_form {
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

impl_text_form!(AgentId);
impl_text_form!(SessionId);

/// Accepts the hyphenated form only. `Uuid` itself also parses braces, URNs and bare digits.
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
    fn an_id_contains_its_creation_time_and_its_agents_bucket() {
        let agent: AgentId = "6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a11".parse().unwrap();
        let id = SessionId::generate(agent, 1_760_000_000_999).unwrap();
        assert_eq!(id.bucket(), agent.bucket());
        assert_eq!(id.created_at(), Timestamp(1_760_000_000));
        assert_eq!(id.as_uuid().get_version_num(), 7);
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn an_id_of_a_later_millisecond_sorts_after_an_earlier_one() {
        let agent: AgentId = "6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a11".parse().unwrap();
        let earlier = SessionId::generate(agent, 1_760_000_000_000).unwrap();
        let later = SessionId::generate(agent, 1_760_000_000_001).unwrap();
        assert!(earlier < later);
    }

    #[test]
    fn the_bucket_is_the_start_of_the_agent_ids_sha256() {
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
