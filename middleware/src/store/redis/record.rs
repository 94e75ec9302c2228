//! The packed form of a session record: a head that scripts read too, and a tail of what is not its default.
//!
//! LAYOUT.md describes it byte by byte. It is written so that a session of the default policy, renewed or not, takes at most
//! 60 bytes: the most that an allocation of 64 bytes holds of a Redis string. An idempotency key or an overlap costs 33 more, both 65.

use super::keys::unexpected_record;
use crate::{
    clock::Timestamp,
    id::{AgentId, SessionId},
    session::{Constraints, RetryHash, SessionRecord},
    store::StoreError,
    token::TokenHash,
};

/// Bits of the first byte. The others are 0 in this version of the layout.
mod head {
    pub(super) const RENEWED: u8 = 1;
    /// The expiry is not where creation and renewals put it.
    pub(super) const EXPIRY: u8 = 1 << 1;
    pub(super) const CONSTRAINTS: u8 = 1 << 2;
    /// A byte of [`rare`](super::rare) bits follows the numbers.
    pub(super) const RARE: u8 = 1 << 6;
    /// Written by the scripts.
    pub(super) const REVOKED: u8 = 1 << 7;
    pub(super) const KNOWN: u8 = RENEWED | EXPIRY | CONSTRAINTS | RARE | REVOKED;
}

/// What few records have.
mod rare {
    pub(super) const OTHER_REPLACEMENTS: u8 = 1;
    pub(super) const ROTATED: u8 = 1 << 1;
    pub(super) const PREVIOUS: u8 = 1 << 2;
    pub(super) const RETRY: u8 = 1 << 3;
    /// Renewals without the time of the last one.
    pub(super) const RENEWALS: u8 = 1 << 4;
    pub(super) const KNOWN: u8 = OTHER_REPLACEMENTS | ROTATED | PREVIOUS | RETRY | RENEWALS;
}

/// Where the agent's id stands: for `GETRANGE`.
pub(super) const AGENT_RANGE: (usize, usize) = (33, 48);

/// Writes a record, as the scripts would have it: they alone revoke what is stored.
pub(super) fn pack(record: &SessionRecord) -> Vec<u8> {
    let created = record.created_at();
    let other = record.generation.saturating_sub(record.renewal_count);
    let bit = |set: bool, bit: u8| if set { bit } else { 0 };
    let rare = bit(other > 0, rare::OTHER_REPLACEMENTS)
        | bit(record.rotated_generation.is_some(), rare::ROTATED)
        | bit(record.previous_token_hash.is_some(), rare::PREVIOUS)
        | bit(record.retry_hash.is_some(), rare::RETRY)
        | bit(
            record.renewal_count > 0 && record.last_renewed_at.is_none(),
            rare::RENEWALS,
        );
    let bits = bit(record.last_renewed_at.is_some(), head::RENEWED)
        | bit(record.expires_at != usual_expiry(record), head::EXPIRY)
        | bit(record.constraints.is_some(), head::CONSTRAINTS)
        | bit(rare > 0, head::RARE)
        | bit(record.revoked_at.is_some(), head::REVOKED);

    let mut packed = Vec::with_capacity(64);
    packed.push(bits);
    packed.extend_from_slice(record.token_hash.as_bytes());
    packed.extend_from_slice(record.agent_id.as_uuid().as_bytes());
    if let Some(at) = record.revoked_at {
        packed.extend_from_slice(&moment(at));
    }
    if let Some(at) = record.last_renewed_at {
        write_number(&mut packed, at.0.wrapping_sub(created.0));
        write_number(&mut packed, record.renewal_count.into());
    }
    write_number(&mut packed, record.max_renewals.into());
    write_span(&mut packed, record.ttl);
    write_span(&mut packed, record.absolute_expires_at.since(created));
    if bits & head::EXPIRY > 0 {
        write_number(&mut packed, record.expires_at.0.wrapping_sub(created.0));
    }
    if rare > 0 {
        packed.push(rare);
    }
    if other > 0 {
        write_number(&mut packed, other.into());
    }
    if let Some(generation) = record.rotated_generation {
        write_number(&mut packed, generation.into());
    }
    if let Some(hash) = &record.previous_token_hash {
        packed.extend_from_slice(hash.as_bytes());
    }
    if let Some(hash) = &record.retry_hash {
        packed.extend_from_slice(hash.as_bytes());
    }
    if rare & rare::RENEWALS > 0 {
        write_number(&mut packed, record.renewal_count.into());
    }
    if let Some(constraints) = &record.constraints {
        packed.extend_from_slice(constraints.as_str().as_bytes());
    }
    packed
}

/// Reads what [`pack`] wrote and scripts may have revoked. Whatever this version does not know is an error.
pub(super) fn unpack(id: SessionId, packed: &[u8]) -> Result<SessionRecord, StoreError> {
    read(id, packed).ok_or_else(unexpected_record)
}

fn read(id: SessionId, packed: &[u8]) -> Option<SessionRecord> {
    let mut rest = packed;
    let bits = byte(&mut rest)?;
    if bits & !head::KNOWN > 0 {
        return None;
    }
    let created = id.created_at();
    let after_creation = |seconds: u64| Timestamp(created.0.wrapping_add(seconds));
    let mut record = SessionRecord {
        id,
        token_hash: TokenHash::from_bytes(*array(&mut rest)?),
        agent_id: AgentId::from_uuid(uuid::Uuid::from_bytes(*array(&mut rest)?)),
        generation: 0,
        renewal_count: 0,
        max_renewals: 0,
        ttl: 0,
        expires_at: Timestamp(0),
        absolute_expires_at: Timestamp(0),
        last_renewed_at: None,
        previous_token_hash: None,
        retry_hash: None,
        rotated_generation: None,
        revoked_at: None,
        constraints: None,
    };
    if bits & head::REVOKED > 0 {
        let [a, b, c, d, e] = *array(&mut rest)?;
        record.revoked_at = Some(Timestamp(u64::from_be_bytes([0, 0, 0, a, b, c, d, e])));
    }
    if bits & head::RENEWED > 0 {
        record.last_renewed_at = Some(after_creation(number(&mut rest)?));
        record.renewal_count = small_number(&mut rest)?;
    }
    record.max_renewals = small_number(&mut rest)?;
    record.ttl = span(&mut rest)?;
    record.absolute_expires_at = created.plus(span(&mut rest)?);
    record.expires_at = if bits & head::EXPIRY > 0 {
        after_creation(number(&mut rest)?)
    } else {
        usual_expiry(&record)
    };
    let rare = if bits & head::RARE > 0 {
        byte(&mut rest)?
    } else {
        0
    };
    if rare & !rare::KNOWN > 0 {
        return None;
    }
    let mut other = 0;
    if rare & rare::OTHER_REPLACEMENTS > 0 {
        other = small_number(&mut rest)?;
    }
    if rare & rare::ROTATED > 0 {
        record.rotated_generation = Some(small_number(&mut rest)?);
    }
    if rare & rare::PREVIOUS > 0 {
        record.previous_token_hash = Some(TokenHash::from_bytes(*array(&mut rest)?));
    }
    if rare & rare::RETRY > 0 {
        record.retry_hash = Some(RetryHash::from_bytes(*array(&mut rest)?));
    }
    if rare & rare::RENEWALS > 0 {
        record.renewal_count = small_number(&mut rest)?;
    }
    record.generation = record.renewal_count.saturating_add(other);
    if bits & head::CONSTRAINTS > 0 {
        // A session without its constraints could do more than it was granted.
        record.constraints = Some(Constraints::new(std::str::from_utf8(rest).ok()?).ok()?);
        rest = &[];
    }
    rest.is_empty().then_some(record)
}

/// A moment as scripts write it: seconds, 5 bytes, big endian.
pub(super) fn moment(at: Timestamp) -> [u8; 5] {
    let [_, _, _, a, b, c, d, e] = at.0.min((1 << 40) - 1).to_be_bytes();
    [a, b, c, d, e]
}

/// Where a creation or a renewal puts the expiry.
fn usual_expiry(record: &SessionRecord) -> Timestamp {
    record
        .ttl_started_at()
        .plus(record.ttl)
        .min(record.absolute_expires_at)
}

/// LEB128: seven bits a byte, the lowest first; the eighth says that there are more.
fn write_number(packed: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        packed.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    packed.push(number.to_le_bytes()[0]);
}

/// Seconds as 2·n + 1, and what is whole minutes as 2·minutes, which takes a byte less.
fn write_span(packed: &mut Vec<u8>, seconds: u64) {
    let seconds = seconds.min(u64::MAX >> 1);
    let span = if seconds.is_multiple_of(60) {
        seconds / 60 * 2
    } else {
        seconds * 2 + 1
    };
    write_number(packed, span);
}

fn span(rest: &mut &[u8]) -> Option<u64> {
    let span = number(rest)?;
    let count = span / 2;
    if span % 2 == 1 {
        Some(count)
    } else {
        count.checked_mul(60)
    }
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = byte(rest)?;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        number |= bits << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn small_number(rest: &mut &[u8]) -> Option<u32> {
    number(rest)?.try_into().ok()
}

fn byte(rest: &mut &[u8]) -> Option<u8> {
    array::<1>(rest).map(|[byte]| *byte)
}

fn array<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (array, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(array)
}

#[cfg(test)]
mod tests;
