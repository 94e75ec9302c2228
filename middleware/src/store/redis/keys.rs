//! The names of keys, and the values of keys that are not session records.

use std::sync::Arc;

use redis::{Cmd, FromRedisValue, ParsingError, Value};
use uuid::Uuid;

use crate::{
    clock::Timestamp,
    id::{AgentId, SessionId},
    session::CreationId,
    store::{Agent, StoreError},
};

/// The names of the keys of a store. Each begins with the prefix of the store, which is empty by default.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: Arc<str>,
}

/// The keys of an agent's state.
pub(super) struct AgentKeys {
    pub(super) agent: String,
    pub(super) index: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.into(),
        }
    }

    /// The registry of agents. It belongs to no bucket.
    pub(super) fn registry(&self) -> String {
        format!("{}agents", self.prefix)
    }

    pub(super) fn of_agent(&self, agent: AgentId) -> AgentKeys {
        let (prefix, bucket) = (&self.prefix, agent.bucket());
        let id = agent.as_uuid().as_simple();
        AgentKeys {
            agent: format!("{prefix}agent:{{{bucket:04x}}}:{id}"),
            // Not `index:…`: that needs the allocator's next size, 16 bytes more for each agent.
            index: format!("{prefix}idx:{{{bucket:04x}}}:{id}"),
        }
    }

    /// The prefix of the keys of session records.
    pub(super) fn session_prefix(&self) -> String {
        [&self.prefix, SESSION].concat()
    }

    /// The key of a session record. The tag holds the last four of the id's 32 digits; the other 28 follow.
    pub(super) fn session(&self, id: SessionId) -> String {
        let mut digits = [0; 32];
        let (rest, bucket) = id.as_uuid().as_simple().encode_lower(&mut digits).split_at(28);
        [&self.prefix, SESSION, bucket, "}:", rest].concat()
    }

    /// The prefix of the keys of agent epochs.
    pub(super) fn agent_epochs_prefix(&self) -> String {
        [&self.prefix, EPOCHS].concat()
    }

    /// The key of the epochs of a bucket's agents.
    pub(super) fn agent_epochs(&self, bucket: u16) -> String {
        format!("{}{EPOCHS}{bucket:04x}}}", self.prefix)
    }

    /// Returns the bucket of a key of agent epochs; `None` for any other key.
    pub(super) fn bucket_of_epochs(&self, key: &[u8]) -> Option<u16> {
        let key = std::str::from_utf8(key).ok()?;
        let bucket = key.strip_prefix(&*self.prefix)?.strip_prefix(EPOCHS)?;
        u16::from_str_radix(bucket.strip_suffix('}')?, 16).ok()
    }

    /// `MGET` of a session's record and the epochs of its bucket's agents: one command, so that both are of one moment.
    pub(super) fn read_session(&self, id: SessionId) -> Cmd {
        let mut digits = [0; 32];
        let digits = &*id.as_uuid().as_simple().encode_lower(&mut digits);
        // The last four digits are the bucket.
        let (rest, bucket) = digits.split_at(28);
        let words = [
            &*self.prefix,
            SESSION,
            bucket,
            "}:",
            rest,
            &*self.prefix,
            EPOCHS,
            bucket,
            "}",
        ];
        // Both keys in one buffer: every strict check allocates them.
        let keys = words.concat();
        let (session, epochs) = keys.split_at(self.prefix.len() + SESSION.len() + digits.len() + "}:".len());
        let mut mget = Cmd::with_capacity(3, "MGET".len() + keys.len());
        mget.arg("MGET").arg(session).arg(epochs);
        mget
    }

    /// Returns the session of a record's key; `None` for any other key.
    pub(super) fn session_of(&self, key: &[u8]) -> Option<SessionId> {
        let key = std::str::from_utf8(key).ok()?;
        let key = key.strip_prefix(&*self.prefix)?.strip_prefix(SESSION)?;
        let (bucket, digits) = key.split_once("}:")?;
        if bucket.len() != 4 || digits.len() != 28 {
            return None;
        }
        let id = Uuid::try_parse(&[digits, bucket].concat()).ok()?;
        Some(SessionId::from_uuid(id))
    }

    /// The key of the retry entry of a session's creation, in the slot of its agent.
    pub(super) fn session_retry(&self, agent: AgentId, creation: CreationId) -> String {
        self.retry(agent, Uuid::from_bytes(*creation.as_bytes()))
    }

    /// The key of a retry entry.
    pub(super) fn retry(&self, agent: AgentId, creation: Uuid) -> String {
        format!(
            "{}retry:{{{:04x}}}:{}",
            self.prefix,
            agent.bucket(),
            creation.as_simple()
        )
    }

    /// The key of the retry entry of an agent's registration. It belongs to no bucket, since the agent's id is not known before.
    pub(super) fn agent_retry(&self, creation: CreationId) -> String {
        self.agent_retry_of(Uuid::from_bytes(*creation.as_bytes()))
    }

    /// The key of such an entry.
    pub(super) fn agent_retry_of(&self, creation: Uuid) -> String {
        format!("{}retry:agents:{}", self.prefix, creation.as_simple())
    }
}

/// The start of the keys of session records, after the prefix of the store.
const SESSION: &str = "session:{";

/// The start of the keys of agent epochs, after the prefix of the store.
const EPOCHS: &str = "gone:{";

/// The fields of an agent's record, in the order of [`agent`].
pub(super) const AGENT_FIELDS: [&str; 2] = ["c", "n"];

pub(super) fn agent_fields(agent: &Agent) -> Vec<(&'static str, Vec<u8>)> {
    let mut fields = vec![("c", decimal(agent.created_at.0))];
    if let Some(name) = &agent.name {
        fields.push(("n", name.clone().into_bytes()));
    }
    fields
}

/// Parses the reply to `HMGET` with [`AGENT_FIELDS`].
pub(super) fn agent(id: AgentId, reply: Value) -> Result<Option<Agent>, StoreError> {
    let (created, name): (Option<Vec<u8>>, Option<String>) =
        FromRedisValue::from_redis_value(reply).map_err(unexpected)?;
    Ok(number("c", created)?.map(|created| Agent {
        id,
        name,
        created_at: Timestamp(created),
    }))
}

/// Parses the sessions of an agent in a bucket.
pub(super) fn session_ids(bucket: u16, members: Vec<Value>) -> Result<Vec<SessionId>, StoreError> {
    let ids = members.into_iter().map(|member| {
        let id = Vec::<u8>::from_redis_value(member).map_err(unexpected)?;
        let id = uuid(&id).map(SessionId::from_uuid)?;
        if id.bucket() == bucket {
            Ok(id)
        } else {
            Err(StoreError::Unexpected("an id is that of another bucket".into()))
        }
    });
    ids.collect()
}

pub(super) fn uuid(bytes: &[u8]) -> Result<Uuid, StoreError> {
    Uuid::from_slice(bytes).map_err(|_| StoreError::Unexpected("an id is not 16 bytes long".into()))
}

pub(super) fn number<T: std::str::FromStr>(
    field: &str,
    value: Option<Vec<u8>>,
) -> Result<Option<T>, StoreError> {
    value
        .map(|value| {
            std::str::from_utf8(&value)
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| missing(field))
        })
        .transpose()
}

pub(super) fn decimal(number: impl ToString) -> Vec<u8> {
    number.to_string().into_bytes()
}

pub(super) fn missing(field: &str) -> StoreError {
    StoreError::Unexpected(format!("field {field} is missing or unreadable"))
}

/// The error for a value that is not what LAYOUT.md describes.
pub(super) fn damaged(key: &str) -> StoreError {
    StoreError::Unexpected(format!("{key} has a value of another layout than this version's"))
}

/// Adds the key to an error about its value.
pub(super) fn named(key: &str, error: StoreError) -> StoreError {
    match error {
        StoreError::Unexpected(problem) if !problem.contains(key) => {
            StoreError::Unexpected(format!("{key}: {problem}"))
        }
        other => other,
    }
}

pub(super) fn unexpected(error: ParsingError) -> StoreError {
    StoreError::Unexpected(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_of_a_session_names_its_record_and_the_epochs_of_its_bucket() {
        let id = SessionId::from_uuid(Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef));
        for prefix in ["", "app:"] {
            let keys = Keys::new(prefix);
            let words: Vec<_> = keys
                .read_session(id)
                .args_iter()
                .map(|word| match word {
                    redis::Arg::Simple(word) => String::from_utf8(word.to_vec()).unwrap(),
                    _ => panic!("another word"),
                })
                .collect();
            let expected = [
                "MGET".to_owned(),
                keys.session(id),
                keys.agent_epochs(id.bucket()),
            ];
            assert_eq!(words, expected);
            assert_eq!(keys.session_of(words[1].as_bytes()), Some(id));
            assert_eq!(keys.bucket_of_epochs(words[2].as_bytes()), Some(id.bucket()));
        }
    }
}
