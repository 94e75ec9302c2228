//! Idempotency keys of creations: they make it safe to repeat the creation of a session or an agent.

use std::fmt;

use sha2::{Digest, Sha256};

use super::{CreateSession, IdempotencyKey};
use crate::{id::AgentId, token::secret_hash};

/// The idempotency key of a creation, and the administrator who sent it.
///
/// A creation whose response was lost can be repeated with the same key. Two administrators with the same key never receive each
/// other's results.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreationKey {
    /// The key.
    pub key: IdempotencyKey,
    /// The name of the administrator. `None` for the holder of the master password, or if there is only one administrator.
    pub administrator: Option<String>,
}

impl CreationKey {
    /// A key of the only administrator.
    #[must_use]
    pub const fn new(key: IdempotencyKey) -> Self {
        Self {
            key,
            administrator: None,
        }
    }

    /// A key of the administrator with this name.
    #[must_use]
    pub fn of_administrator(key: IdempotencyKey, name: impl Into<String>) -> Self {
        Self {
            key,
            administrator: Some(name.into()),
        }
    }
}

/// Names a creation that can be repeated: the first 16 bytes of a SHA-256 over its kind, the administrator, the idempotency key,
/// and the agent of a session. A store keeps this hash and never the key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CreationId([u8; 16]);

impl CreationId {
    /// The creation of a session for `agent`. The same key for another agent is another creation.
    #[must_use]
    pub fn of_session(agent: AgentId, key: &CreationKey) -> Self {
        Self::of(b"session", Some(agent), key)
    }

    /// The registration of an agent.
    #[must_use]
    pub fn of_agent(key: &CreationKey) -> Self {
        Self::of(b"agent", None, key)
    }

    fn of(kind: &[u8], agent: Option<AgentId>, key: &CreationKey) -> Self {
        let mut fields = Fields::default();
        fields.add(kind);
        fields.add_optional(key.administrator.as_deref().map(str::as_bytes));
        fields.add(key.key.expose().as_bytes());
        fields.add_optional(agent.as_ref().map(|agent| agent.as_uuid().as_bytes().as_slice()));
        let digest = fields.digest();
        Self(std::array::from_fn(|index| digest[index]))
    }

    /// The 16 bytes of the hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for CreationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CreationId(..)")
    }
}

secret_hash! {
    /// The SHA-256 over the fields of a creation, as the administrator sent them. A repetition must have the same.
    RequestHash
}

impl RequestHash {
    /// The hash of a request for a session. Defaults of the policy are not part of it.
    #[must_use]
    pub fn of_session(request: &CreateSession) -> Self {
        // Lists every field, so that a new one cannot be forgotten here.
        let CreateSession {
            agent_id,
            ttl,
            max_renewals,
            absolute_lifetime,
            scopes,
            constraints,
            idempotency_key: _,
        } = request;
        let mut fields = Fields::default();
        fields.add(agent_id.as_uuid().as_bytes());
        for number in [*ttl, max_renewals.map(u64::from), *absolute_lifetime] {
            fields.add_optional(number.map(u64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice));
        }
        fields.add(scopes.as_str().as_bytes());
        fields.add_optional(constraints.as_ref().map(|text| text.as_str().as_bytes()));
        Self(fields.digest())
    }

    /// The hash of a request for an agent.
    #[must_use]
    pub fn of_agent(id: Option<AgentId>, name: Option<&str>) -> Self {
        let mut fields = Fields::default();
        fields.add_optional(id.as_ref().map(|id| id.as_uuid().as_bytes().as_slice()));
        fields.add_optional(name.map(str::as_bytes));
        Self(fields.digest())
    }
}

/// A hash over fields. Each has its length before it, so that no two lists of fields give the same bytes.
#[derive(Default)]
struct Fields(Sha256);

impl Fields {
    fn add(&mut self, field: &[u8]) {
        self.0.update((field.len() as u64).to_be_bytes());
        self.0.update(field);
    }

    fn add_optional(&mut self, field: Option<&[u8]>) {
        self.0.update([u8::from(field.is_some())]);
        if let Some(field) = field {
            self.add(field);
        }
    }

    fn digest(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::session::Constraints;

    fn agent(number: u128) -> AgentId {
        AgentId::from_uuid(uuid::Uuid::from_u128(number))
    }

    fn key(text: &str) -> IdempotencyKey {
        text.parse().unwrap()
    }

    #[test]
    fn creation_id_differs_by_kind_administrator_agent_and_key() {
        let keys = [
            CreationKey::new(key("key-number-1")),
            CreationKey::new(key("key-number-2")),
            CreationKey::of_administrator(key("key-number-1"), ""),
            CreationKey::of_administrator(key("key-number-1"), "ci"),
            // Without lengths, this and the next would have the same bytes.
            CreationKey::of_administrator(key("ey-number-1"), "cik"),
            CreationKey::of_administrator(key("key-number-2"), "ci"),
        ];
        let ids: HashSet<_> = keys
            .iter()
            .flat_map(|key| {
                [
                    CreationId::of_agent(key),
                    CreationId::of_session(agent(0), key),
                    CreationId::of_session(agent(1), key),
                ]
            })
            .collect();
        assert_eq!(ids.len(), 3 * keys.len());
        let again = CreationKey::new(key("key-number-1"));
        assert_eq!(CreationId::of_agent(&again), CreationId::of_agent(&keys[0]));
    }

    #[test]
    fn request_hash_differs_by_every_field_and_ignores_the_key() {
        let base = CreateSession::new(agent(0));
        let constraints = |text| Some(Constraints::new(text).unwrap());
        let requests = [
            base.clone(),
            CreateSession::new(agent(1)),
            CreateSession {
                ttl: Some(300),
                ..base.clone()
            },
            CreateSession {
                ttl: Some(301),
                ..base.clone()
            },
            CreateSession {
                max_renewals: Some(300),
                ..base.clone()
            },
            CreateSession {
                absolute_lifetime: Some(300),
                ..base.clone()
            },
            CreateSession {
                scopes: "a".parse().unwrap(),
                ..base.clone()
            },
            CreateSession {
                constraints: constraints("{}"),
                ..base.clone()
            },
            CreateSession {
                constraints: constraints(r#"{"a":1}"#),
                ..base.clone()
            },
        ];
        let hashes: HashSet<_> = requests
            .iter()
            .map(|request| *RequestHash::of_session(request).as_bytes())
            .collect();
        assert_eq!(hashes.len(), requests.len());
        let with_key = CreateSession {
            idempotency_key: Some(CreationKey::new(key("key-number-1"))),
            ..base.clone()
        };
        assert_eq!(RequestHash::of_session(&with_key), RequestHash::of_session(&base));

        let agents = [
            RequestHash::of_agent(None, None),
            RequestHash::of_agent(Some(agent(0)), None),
            RequestHash::of_agent(None, Some("")),
            RequestHash::of_agent(None, Some("a")),
            RequestHash::of_agent(Some(agent(0)), Some("a")),
        ];
        let hashes: HashSet<_> = agents.iter().map(|hash| *hash.as_bytes()).collect();
        assert_eq!(hashes.len(), agents.len());
    }

    #[test]
    fn debug_output_shows_no_key() {
        let key = CreationKey::of_administrator(key("key-number-1"), "ci");
        let debug = format!("{key:?} {:?}", CreationId::of_agent(&key));
        assert!(!debug.contains("number"), "{debug}");
    }
}
