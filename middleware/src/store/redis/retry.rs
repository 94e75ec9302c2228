//! Retry entries: what the store keeps of a creation with an idempotency key. LAYOUT.md describes them byte by byte.

use super::{
    keys::{Keys, uuid},
    late_creation::RevocationTimes,
    record::{pack_time, unpack_time},
    script::ScriptCall,
};
use crate::{
    clock::Timestamp,
    id::AgentId,
    session::{CreationId, RequestHash},
    store::{AgentReservation, CreationRetry, NewSession, StoreError},
};

/// Seconds for which a reservation is kept after its retry window: the clocks of servers may differ. A failed reservation is not revoked.
const RESERVATION_MARGIN: u64 = 30;

/// Adds the retry entry to a call of create.lua. The revocation of a failed creation needs the entry, so it is kept longer.
pub(super) fn add_to_creation(
    call: ScriptCall,
    keys: &Keys,
    session: &NewSession,
    revocation: &RevocationTimes,
) -> ScriptCall {
    let Some(retry) = &session.retry else {
        return call.arg([]).arg([]);
    };
    let entry = pack(retry, session.record.id.as_uuid().as_bytes());
    call.key(keys.session_retry(session.record.agent_id, retry.id))
        .arg(entry)
        .number(keep_for(retry, session.now, revocation.longest_seconds()))
}

/// Builds the call of reserve_agent.lua.
pub(super) fn reservation(keys: &Keys, reservation: &AgentReservation) -> ScriptCall {
    let retry = &reservation.retry;
    let mut entry = pack(retry, reservation.agent.as_uuid().as_bytes());
    entry.extend_from_slice(&pack_time(reservation.created_at));
    ScriptCall::default()
        .key(keys.agent_retry(retry.id))
        .number(reservation.created_at)
        .arg(entry)
        .number(keep_for(retry, reservation.created_at, RESERVATION_MARGIN))
}

/// Unpacks the entry of an agent's registration.
pub(super) fn unpack_reservation(id: CreationId, entry: &[u8]) -> Result<AgentReservation, StoreError> {
    let read = || {
        let (_, entry) = entry.split_first()?;
        let (agent, entry) = entry.split_first_chunk::<16>()?;
        let (request, entry) = entry.split_first_chunk::<32>()?;
        let (until, entry) = entry.split_first_chunk::<5>()?;
        let created_at = <&[u8; 5]>::try_from(entry).ok()?;
        let retry = CreationRetry::new(id, RequestHash::from_bytes(*request), unpack_time(*until));
        let agent = AgentId::from_uuid(uuid(agent).ok()?);
        Some(AgentReservation::new(retry, agent, unpack_time(*created_at)))
    };
    read()
        .ok_or_else(|| StoreError::Unexpected("a retry entry has another layout than this version's".into()))
}

/// The start of an entry that no repetition has found yet.
fn pack(retry: &CreationRetry, id: &[u8; 16]) -> Vec<u8> {
    let mut entry = Vec::with_capacity(1 + 16 + 32 + 5 + 5);
    entry.push(0);
    entry.extend_from_slice(id);
    entry.extend_from_slice(retry.request.as_bytes());
    entry.extend_from_slice(&pack_time(retry.until));
    entry
}

/// Seconds from the creation for which its entry is kept. `margin` is the time after the retry window.
fn keep_for(retry: &CreationRetry, now: Timestamp, margin: u64) -> u64 {
    retry.until.since(now).saturating_add(margin)
}
