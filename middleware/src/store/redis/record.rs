//! The packed form of a session record: a head that scripts read too, and a tail without default values.
//!
//! LAYOUT.md describes it byte by byte. A session of the default policy takes at most 60 bytes, renewed or not: the most that
//! fits into a 64-byte allocation of a Redis string. With an agent epoch it takes 4 bytes more. After a renewal with an idempotency key it takes at most 93 bytes, and
//! with an overlap too at most 131.

mod numbers;

use self::numbers::{Reader, write_number, write_span};
use super::keys::{Keys, damaged};
use crate::{
    clock::Timestamp,
    id::{AgentId, SessionId},
    session::{
        AgentEpoch, Constraints, LastRenewal, OnReuse, ReplacedTokenPolicy, RetryHash, SessionLimits,
        SessionRecord,
    },
    store::StoreError,
    token::TokenHash,
};

/// Bits of the first byte. The other bits are 0: they are reserved for a bound key.
mod head {
    pub(super) const RENEWED: u8 = 1;
    /// The agent's epoch is the last 4 bytes before the time of the revocation. Also written by a script.
    pub(super) const AGENT_EPOCH: u8 = 1 << 1;
    pub(super) const CONSTRAINTS: u8 = 1 << 2;
    pub(super) const SCOPES: u8 = 1 << 3;
    /// A byte of [`extra`](super::extra) bits follows the numbers.
    pub(super) const EXTRA: u8 = 1 << 6;
    /// Written by the scripts. The time of the revocation is the last 5 bytes.
    pub(super) const REVOKED: u8 = 1 << 7;
    pub(super) const KNOWN: u8 = RENEWED | AGENT_EPOCH | CONSTRAINTS | SCOPES | EXTRA | REVOKED;
}

/// Bits for fields that few records have.
mod extra {
    pub(super) const ROTATIONS: u8 = 1;
    pub(super) const ROTATED_GENERATION: u8 = 1 << 1;
    /// The times of the replaced token's policy are not the defaults.
    pub(super) const REPLACED_TIMES: u8 = 1 << 2;
    pub(super) const PREVIOUS_TOKEN: u8 = 1 << 3;
    pub(super) const RETRY: u8 = 1 << 4;
    pub(super) const REVOKE_ON_REUSE: u8 = 1 << 5;
    pub(super) const KNOWN: u8 =
        ROTATIONS | ROTATED_GENERATION | PREVIOUS_TOKEN | RETRY | REPLACED_TIMES | REVOKE_ON_REUSE;
}

/// The range of the agent's id, for `GETRANGE`.
pub(super) const AGENT_RANGE: (usize, usize) = (33, 48);

/// Packs a record in the form that the scripts expect.
pub(super) fn pack(record: &SessionRecord) -> Vec<u8> {
    let created = record.created_at();
    let renewal = record.last_renewal.as_ref();
    let rotations = record.generation.wrapping_sub(record.renewal_count());
    let default = ReplacedTokenPolicy::default();
    let replaced = renewal.map_or(default, |renewal| renewal.replaced);
    let times = |policy: ReplacedTokenPolicy| (policy.retry_window, policy.previous_token_overlap);
    let bit = |set: bool, bit: u8| if set { bit } else { 0 };
    let extra = bit(rotations > 0, extra::ROTATIONS)
        | bit(record.rotated_generation.is_some(), extra::ROTATED_GENERATION)
        | bit(
            renewal.is_some_and(|renewal| renewal.previous_token_hash.is_some()),
            extra::PREVIOUS_TOKEN,
        )
        | bit(
            renewal.is_some_and(|renewal| renewal.retry_hash.is_some()),
            extra::RETRY,
        )
        | bit(times(replaced) != times(default), extra::REPLACED_TIMES)
        | bit(replaced.on_reuse == OnReuse::Revoke, extra::REVOKE_ON_REUSE);

    let mut packed = Vec::with_capacity(64);
    packed.push(
        bit(renewal.is_some(), head::RENEWED)
            | bit(record.agent_epoch.0 > 0, head::AGENT_EPOCH)
            | bit(record.constraints.is_some(), head::CONSTRAINTS)
            | bit(!record.scopes.is_empty(), head::SCOPES)
            | bit(extra > 0, head::EXTRA)
            | bit(record.revoked_at.is_some(), head::REVOKED),
    );
    packed.extend_from_slice(record.token_hash.as_bytes());
    packed.extend_from_slice(record.agent_id.as_uuid().as_bytes());
    if let Some(renewal) = renewal {
        let after_creation = u32::try_from(renewal.at.since(created)).unwrap_or(u32::MAX);
        packed.extend_from_slice(&after_creation.to_be_bytes());
        write_number(&mut packed, renewal.count.into());
    }
    write_number(&mut packed, record.max_renewals.into());
    write_span(&mut packed, record.ttl);
    write_span(&mut packed, record.absolute_expires_at.since(created));
    if extra > 0 {
        packed.push(extra);
    }
    if extra & extra::ROTATIONS > 0 {
        write_number(&mut packed, rotations.into());
    }
    if let Some(generation) = record.rotated_generation {
        write_number(&mut packed, generation.into());
    }
    if extra & extra::REPLACED_TIMES > 0 {
        write_number(&mut packed, replaced.retry_window);
        write_number(&mut packed, replaced.previous_token_overlap);
    }
    if let Some(hash) = renewal.and_then(|renewal| renewal.previous_token_hash) {
        packed.extend_from_slice(hash.as_bytes());
    }
    if let Some(hash) = renewal.and_then(|renewal| renewal.retry_hash) {
        packed.extend_from_slice(hash.as_bytes());
    }
    if !record.scopes.is_empty() {
        let text = record.scopes.as_str();
        write_number(&mut packed, text.len() as u64);
        packed.extend_from_slice(text.as_bytes());
    }
    if let Some(constraints) = &record.constraints {
        packed.extend_from_slice(constraints.as_str().as_bytes());
    }
    if record.agent_epoch.0 > 0 {
        packed.extend_from_slice(&record.agent_epoch.0.to_be_bytes());
    }
    if let Some(at) = record.revoked_at {
        packed.extend_from_slice(&pack_time(at));
    }
    packed
}

/// True if the first byte of a record marks it as revoked.
pub(super) const fn is_marked_revoked(first_byte: u8) -> bool {
    first_byte & head::REVOKED > 0
}

/// Unpacks a record that [`pack`] packed and that the scripts may have revoked. Unknown bits and bytes are an error.
///
/// # Errors
/// The error names the key of the record.
pub(super) fn unpack(keys: &Keys, id: SessionId, packed: &[u8]) -> Result<SessionRecord, StoreError> {
    read(id, packed).ok_or_else(|| damaged(&keys.session(id)))
}

fn read(id: SessionId, packed: &[u8]) -> Option<SessionRecord> {
    let (&bits, mut body) = packed.split_first()?;
    if bits & !head::KNOWN > 0 {
        return None;
    }
    let mut revoked_at = None;
    if bits & head::REVOKED > 0 {
        let (rest, &[a, b, c, d, e]) = body.split_last_chunk()?;
        revoked_at = Some(unpack_time([a, b, c, d, e]));
        body = rest;
    }
    let mut agent_epoch = AgentEpoch::default();
    if bits & head::AGENT_EPOCH > 0 {
        let (rest, epoch) = body.split_last_chunk()?;
        agent_epoch = AgentEpoch(u32::from_be_bytes(*epoch));
        if agent_epoch.0 == 0 {
            return None;
        }
        body = rest;
    }
    let mut reader = Reader(body);
    let created = id.created_at();
    let token_hash = TokenHash::from_bytes(*reader.array()?);
    let agent_id = AgentId::from_uuid(uuid::Uuid::from_bytes(*reader.array()?));
    let mut last_renewal = None;
    if bits & head::RENEWED > 0 {
        let at = created.plus(u32::from_be_bytes(*reader.array()?).into());
        let count = reader.small_number()?;
        last_renewal = Some(LastRenewal::new(at, count, ReplacedTokenPolicy::default()));
    }
    let max_renewals = reader.small_number()?;
    let ttl = reader.span()?;
    let absolute_expires_at = created.plus(reader.span()?);
    let limits = SessionLimits::new(ttl, max_renewals, absolute_expires_at);
    let mut record = SessionRecord::new(id, agent_id, token_hash, &limits);
    record.revoked_at = revoked_at;
    record.agent_epoch = agent_epoch;
    let extra = if bits & head::EXTRA > 0 { reader.byte()? } else { 0 };
    // An extra byte without a bit is never written. A changed first byte could make one of another field.
    let has_no_bit = bits & head::EXTRA > 0 && extra == 0;
    if has_no_bit || extra & !extra::KNOWN > 0 {
        return None;
    }
    let mut rotations = 0;
    if extra & extra::ROTATIONS > 0 {
        rotations = reader.small_number()?;
    }
    if extra & extra::ROTATED_GENERATION > 0 {
        record.rotated_generation = Some(reader.small_number()?);
    }
    match &mut last_renewal {
        Some(renewal) => read_replaced(extra, &mut reader, renewal)?,
        None if extra & !(extra::ROTATIONS | extra::ROTATED_GENERATION) > 0 => return None,
        None => {}
    }
    if last_renewal
        .as_ref()
        .is_some_and(|renewal| renewal.at >= absolute_expires_at)
    {
        // No session is renewed after its end: this is a record of another layout, or damaged.
        return None;
    }
    record.last_renewal = last_renewal;
    record.generation = record.renewal_count().wrapping_add(rotations);
    if bits & head::SCOPES > 0 {
        let length = reader.number()?.try_into().ok()?;
        record.scopes = std::str::from_utf8(reader.take(length)?).ok()?.parse().ok()?;
    }
    if bits & head::CONSTRAINTS > 0 {
        // A session without its constraints would have more rights than granted.
        let text = std::str::from_utf8(reader.rest()).ok()?;
        record.constraints = Some(Constraints::new(text).ok()?);
    }
    reader.is_at_end().then_some(record)
}

/// Reads the rules and hashes of the token that the last renewal replaced.
fn read_replaced(extra: u8, reader: &mut Reader<'_>, renewal: &mut LastRenewal) -> Option<()> {
    if extra & extra::REPLACED_TIMES > 0 {
        renewal.replaced.retry_window = reader.number()?;
        renewal.replaced.previous_token_overlap = reader.number()?;
    }
    if extra & extra::REVOKE_ON_REUSE > 0 {
        renewal.replaced.on_reuse = OnReuse::Revoke;
    }
    if extra & extra::PREVIOUS_TOKEN > 0 {
        renewal.previous_token_hash = Some(TokenHash::from_bytes(*reader.array()?));
    }
    if extra & extra::RETRY > 0 {
        renewal.retry_hash = Some(RetryHash::from_bytes(*reader.array()?));
    }
    Some(())
}

/// A time in the form that the scripts write: seconds, 5 bytes, big endian.
pub(super) fn pack_time(at: Timestamp) -> [u8; 5] {
    let [_, _, _, a, b, c, d, e] = at.0.min((1 << 40) - 1).to_be_bytes();
    [a, b, c, d, e]
}

pub(super) const fn unpack_time([a, b, c, d, e]: [u8; 5]) -> Timestamp {
    Timestamp(u64::from_be_bytes([0, 0, 0, a, b, c, d, e]))
}

#[cfg(test)]
mod tests;
