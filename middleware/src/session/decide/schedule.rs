//! The times at which a session can be renewed and at which its agent should renew it.

use crate::{clock::Timestamp, session::SessionRecord};

/// The first second in which a session can be renewed. It is the middle between its last renewal (or its creation) and its
/// expiry, rounded up to a whole second.
#[must_use]
pub fn renewable_from(record: &SessionRecord) -> Timestamp {
    let started = record.ttl_started_at();
    started.plus(record.expires_at().since(started).div_ceil(2))
}

/// The time at which an agent should renew its session: between 50 % and 80 % of the time to its expiry, and never before
/// [`renewable_from`].
///
/// The point is derived from the hash of the current token. It is therefore always the same for a token, and agents that started
/// together do not renew together.
#[must_use]
pub fn renew_after(record: &SessionRecord) -> Timestamp {
    let started = record.ttl_started_at();
    let lifetime = record.expires_at().since(started);
    let earliest = renewable_from(record);
    let latest = started.plus(lifetime - lifetime.div_ceil(5));
    let [first, second, ..] = *record.token_hash.as_bytes();
    let point = u128::from(u16::from_be_bytes([first, second]));
    let places = u128::from(latest.since(earliest)) + 1;
    // Less than `places`, which came from a u64.
    let place = u64::try_from((point * places) >> 16).unwrap_or_default();
    earliest.plus(place)
}
