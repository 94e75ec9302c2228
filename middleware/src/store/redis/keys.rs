//! The names of keys, the fields of records, and how both read and write the types of this crate.

use redis::{FromRedisValue, ParsingError, Value};
use uuid::Uuid;

use crate::{
    clock::Timestamp,
    id::{AgentId, SessionId},
    session::{Constraints, RetryHash, SessionRecord},
    store::{Agent, StoreError},
    token::TokenHash,
};

/// The registry of agents, outside every bucket.
pub(super) const REGISTRY: &str = "agents";

/// The fields that make up a session record, in the order of [`session`].
///
/// `replace_token.lua` answers the same.
pub(super) const SESSION_FIELDS: [&str; 14] = [
    "h", "a", "n", "o", "x", "t", "e", "l", "u", "r", "c", "p", "k", "g",
];

/// Stands in field `c` for constraints that are kept in a key of their own. It is no JSON object, so none can be taken for it.
const APART: &str = "*";

/// A hash stays a listpack as long as no value is longer (`hash-max-listpack-value`).
const MAX_VALUE_LEN: usize = 64;

/// The names of the keys that hold an agent's state.
pub(super) struct AgentKeys {
    pub(super) agent: String,
    pub(super) index: String,
}

impl AgentKeys {
    pub(super) fn of(agent: AgentId) -> Self {
        let bucket = agent.bucket();
        let id = agent.as_uuid().as_simple();
        Self {
            agent: format!("agent:{{{bucket:04x}}}:{id}"),
            index: format!("index:{{{bucket:04x}}}:{id}"),
        }
    }
}

/// The bucket stands in the tag, so the last four of the id's 32 digits are left out behind it.
pub(super) fn session_key(id: SessionId) -> String {
    keyed("session", id)
}

pub(super) fn constraints_key(id: SessionId) -> String {
    keyed("constraints", id)
}

fn keyed(what: &str, id: SessionId) -> String {
    let mut digits = [0; 32];
    let digits = &*id.as_uuid().as_simple().encode_lower(&mut digits);
    format!("{what}:{{{}}}:{}", &digits[28..], &digits[..28])
}

/// A session record's fields at its creation.
pub(super) fn session_fields(record: &SessionRecord) -> Vec<(&'static str, Vec<u8>)> {
    let mut fields = vec![
        ("h", record.token_hash.as_bytes().to_vec()),
        ("a", record.agent_id.as_uuid().as_bytes().to_vec()),
        ("n", decimal(record.renewal_count)),
        ("x", decimal(record.max_renewals)),
        ("t", decimal(record.ttl)),
        ("e", decimal(record.expires_at.0)),
        ("l", decimal(record.absolute_expires_at.0)),
    ];
    fields.extend(other_replacements(record));
    if let Some(constraints) = &record.constraints {
        let apart = kept_apart(constraints).is_some();
        let value = if apart { APART } else { constraints.as_str() };
        fields.push(("c", value.as_bytes().to_vec()));
    }
    fields
}

/// The fields that a replaced token changes.
pub(super) fn token_fields(record: &SessionRecord) -> Vec<(&'static str, Vec<u8>)> {
    let mut fields = vec![
        ("h", record.token_hash.as_bytes().to_vec()),
        ("n", decimal(record.renewal_count)),
        ("e", decimal(record.expires_at.0)),
    ];
    fields.extend(other_replacements(record));
    if let Some(at) = record.last_renewed_at {
        fields.push(("u", decimal(at.0)));
    }
    if let Some(previous) = &record.previous_token_hash {
        fields.push(("p", previous.as_bytes().to_vec()));
    }
    if let Some(retry) = &record.retry_hash {
        fields.push(("k", retry.as_bytes().to_vec()));
    }
    if let Some(rotated) = record.rotated_generation {
        fields.push(("g", decimal(rotated)));
    }
    fields
}

/// What the generation counts beyond renewals. Left out at 0, as it nearly always is.
fn other_replacements(record: &SessionRecord) -> Option<(&'static str, Vec<u8>)> {
    let other = record.generation.saturating_sub(record.renewal_count);
    (other > 0).then(|| ("o", decimal(other)))
}

fn decimal(number: impl ToString) -> Vec<u8> {
    number.to_string().into_bytes()
}

/// The text of constraints that are too long for the record.
pub(super) fn kept_apart(constraints: &Constraints) -> Option<&str> {
    Some(constraints.as_str()).filter(|text| text.len() > MAX_VALUE_LEN)
}

/// A record as it was read.
pub(super) enum ReadSession {
    Missing,
    Whole(SessionRecord),
    /// The constraints are still to be read, from a key of their own.
    WithoutConstraints(SessionRecord),
}

/// Reads the reply of `HMGET` with [`SESSION_FIELDS`].
pub(super) fn session(id: SessionId, reply: Value) -> Result<ReadSession, StoreError> {
    let fields: [Option<Vec<u8>>; SESSION_FIELDS.len()] = Vec::from_redis_value(reply)
        .map_err(unexpected)?
        .try_into()
        .map_err(|_| StoreError::Unexpected("a session record of another length".into()))?;
    let [
        hash,
        agent,
        renewals,
        others,
        max,
        ttl,
        expires,
        lifetime,
        renewed,
        revoked,
        constraints,
        previous,
        retry,
        rotated,
    ] = fields;
    if hash.is_none() && agent.is_none() {
        return Ok(ReadSession::Missing);
    }

    let renewal_count = required("n", renewals)?;
    let others: u32 = number("o", others)?.unwrap_or_default();
    let mut record = SessionRecord {
        id,
        agent_id: AgentId::from_uuid(uuid(agent.as_deref().ok_or_else(|| missing("a"))?)?),
        token_hash: digest("h", hash)?
            .map(TokenHash::from_bytes)
            .ok_or_else(|| missing("h"))?,
        generation: others.saturating_add(renewal_count),
        renewal_count,
        max_renewals: required("x", max)?,
        ttl: required("t", ttl)?,
        expires_at: Timestamp(required("e", expires)?),
        absolute_expires_at: Timestamp(required("l", lifetime)?),
        last_renewed_at: number("u", renewed)?.map(Timestamp),
        previous_token_hash: digest("p", previous)?.map(TokenHash::from_bytes),
        retry_hash: digest("k", retry)?.map(RetryHash::from_bytes),
        rotated_generation: number("g", rotated)?,
        revoked_at: number("r", revoked)?.map(Timestamp),
        constraints: None,
    };
    match constraints {
        None => Ok(ReadSession::Whole(record)),
        Some(text) if text == APART.as_bytes() => Ok(ReadSession::WithoutConstraints(record)),
        Some(text) => {
            record.constraints = Some(self::constraints(&text)?);
            Ok(ReadSession::Whole(record))
        }
    }
}

/// Reads constraints. Ones that vanished are an error: a session without its constraints could do more than it was granted.
pub(super) fn constraints(text: &[u8]) -> Result<Constraints, StoreError> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| Constraints::new(text).ok())
        .ok_or_else(|| missing("c"))
}

/// The fields of an agent's record, in the order of [`agent`].
pub(super) const AGENT_FIELDS: [&str; 2] = ["c", "n"];

pub(super) fn agent_fields(agent: &Agent) -> Vec<(&'static str, Vec<u8>)> {
    let mut fields = vec![("c", decimal(agent.created_at.0))];
    if let Some(name) = &agent.name {
        fields.push(("n", name.clone().into_bytes()));
    }
    fields
}

/// Reads the reply of `HMGET` with [`AGENT_FIELDS`].
pub(super) fn agent(id: AgentId, reply: Value) -> Result<Option<Agent>, StoreError> {
    let (created, name): (Option<Vec<u8>>, Option<String>) =
        FromRedisValue::from_redis_value(reply).map_err(unexpected)?;
    Ok(number("c", created)?.map(|created| Agent {
        id,
        name,
        created_at: Timestamp(created),
    }))
}

/// Reads members of an index.
pub(super) fn session_ids(members: Vec<Value>) -> Result<Vec<SessionId>, StoreError> {
    let ids = members.into_iter().map(|member| {
        let id = Vec::<u8>::from_redis_value(member).map_err(unexpected)?;
        uuid(&id).map(SessionId::from_uuid)
    });
    ids.collect()
}

pub(super) fn uuid(bytes: &[u8]) -> Result<Uuid, StoreError> {
    Uuid::from_slice(bytes).map_err(|_| StoreError::Unexpected("an id of another length".into()))
}

fn number<T: std::str::FromStr>(field: &str, value: Option<Vec<u8>>) -> Result<Option<T>, StoreError> {
    value
        .map(|value| {
            std::str::from_utf8(&value)
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| missing(field))
        })
        .transpose()
}

fn digest(field: &str, value: Option<Vec<u8>>) -> Result<Option<[u8; 32]>, StoreError> {
    value
        .map(|value| value.try_into().map_err(|_| missing(field)))
        .transpose()
}

fn required<T: std::str::FromStr>(field: &str, value: Option<Vec<u8>>) -> Result<T, StoreError> {
    number(field, value)?.ok_or_else(|| missing(field))
}

fn missing(field: &str) -> StoreError {
    StoreError::Unexpected(format!("field {field} is missing or unreadable"))
}

pub(super) fn unexpected(error: ParsingError) -> StoreError {
    StoreError::Unexpected(error.to_string())
}
