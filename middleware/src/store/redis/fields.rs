//! The fields of a session record, and how they are written and read.

use redis::{FromRedisValue, Value};

use super::keys::{decimal, missing, number, unexpected, uuid};
use crate::{
    clock::Timestamp,
    id::{AgentId, SessionId},
    session::{Constraints, RetryHash, SessionRecord},
    store::StoreError,
    token::TokenHash,
};

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

fn digest(field: &str, value: Option<Vec<u8>>) -> Result<Option<[u8; 32]>, StoreError> {
    value
        .map(|value| value.try_into().map_err(|_| missing(field)))
        .transpose()
}

fn required<T: std::str::FromStr>(field: &str, value: Option<Vec<u8>>) -> Result<T, StoreError> {
    number(field, value)?.ok_or_else(|| missing(field))
}
