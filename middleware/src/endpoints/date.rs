//! The `Date` of responses.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderValue, Response, header};

use crate::clock::Timestamp;

/// The last second of the year 9999. A later time has no HTTP date (RFC 9110, section 5.6.7).
const LAST: u64 = 253_402_300_799;

/// Sets `Date` from the clock that also decides expiry, since agents schedule their renewals by it.
pub(super) fn set<B>(response: &mut Response<B>, now: Timestamp) {
    let now = UNIX_EPOCH + Duration::from_secs(now.0.min(LAST));
    if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(now)) {
        response.headers_mut().insert(header::DATE, date);
    }
}
