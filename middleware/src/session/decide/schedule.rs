//! When a session is renewed: from when on it can be, and when its agent should.

use crate::{clock::Timestamp, session::SessionRecord};

/// From when on a session can be renewed: when half of the time up to its expiry has passed, counted from its creation or
/// last renewal and rounded up to a whole second.
#[must_use]
pub fn renewable_from(record: &SessionRecord) -> Timestamp {
    let began = record.ttl_started_at();
    began.plus(record.expires_at.since(began).div_ceil(2))
}

/// When an agent should renew its session: between 50 % and 80 % of the time up to its expiry, and never before
/// [`renewable_from`].
///
/// The point is taken from the current token's hash, so that it is always the same for a token, and agents that started
/// together do not renew together.
#[must_use]
pub fn renew_after(record: &SessionRecord) -> Timestamp {
    let began = record.ttl_started_at();
    let lifetime = record.expires_at.since(began);
    let earliest = renewable_from(record);
    let latest = began.plus(lifetime - lifetime.div_ceil(5));
    let [first, second, ..] = *record.token_hash.as_bytes();
    let point = u128::from(u16::from_be_bytes([first, second]));
    let places = u128::from(latest.since(earliest)) + 1;
    // Less than `places`, which came from a u64.
    let place = u64::try_from((point * places) >> 16).unwrap_or_default();
    earliest.plus(place)
}
