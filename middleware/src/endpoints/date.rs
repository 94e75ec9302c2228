//! The `Date` of responses.

use std::{
    cell::RefCell,
    time::{Duration, UNIX_EPOCH},
};

use http::HeaderValue;

use crate::clock::Timestamp;

/// The last second of the year 9999. A later time has no HTTP date (RFC 9110, section 5.6.7).
const LAST: u64 = 253_402_300_799;

thread_local! {
    /// The last value of this thread. Most responses of a busy server have the date of the one before.
    static LATEST: RefCell<(Timestamp, HeaderValue)> = RefCell::new((Timestamp(0), format(Timestamp(0))));
}

/// The value of `Date`, from the clock that also decides expiry, since agents schedule their renewals by it.
pub(super) fn of(now: Timestamp) -> HeaderValue {
    LATEST.with_borrow_mut(|latest| {
        if latest.0 != now {
            *latest = (now, format(now));
        }
        latest.1.clone()
    })
}

#[expect(clippy::expect_used, reason = "an HTTP date is visible ASCII")]
fn format(time: Timestamp) -> HeaderValue {
    let time = UNIX_EPOCH + Duration::from_secs(time.0.min(LAST));
    HeaderValue::try_from(httpdate::fmt_http_date(time)).expect("a date is a header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_is_that_of_the_given_time() {
        for (seconds, date) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_778, "Sun, 06 Nov 1994 08:49:38 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        ] {
            assert_eq!(of(Timestamp(seconds)), date);
        }
    }
}
