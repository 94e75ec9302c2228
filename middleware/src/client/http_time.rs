//! Times in the headers of a response: `Date` and `Retry-After`.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, header};

use crate::clock::Timestamp;

/// The time at which the server sent this response, by its own clock.
pub(super) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(text(headers, header::DATE)?)
}

/// The pause before the next attempt (RFC 9110, section 10.2.3): a number of seconds, or a time. `now` is the server's current
/// time. A time in the past is zero.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = text(headers, header::RETRY_AFTER)?;
    let seconds = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that overflows `u64` counts as the maximum.
        value.parse().unwrap_or(u64::MAX)
    } else {
        http_date(value)?.since(now)
    };
    Some(Duration::from_secs(seconds))
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn http_date(text: &str) -> Option<Timestamp> {
    let since_epoch = httpdate::parse_http_date(text)
        .ok()?
        .duration_since(UNIX_EPOCH)
        .ok()?;
    Some(Timestamp(since_epoch.as_secs()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::test_support::NOW;

    /// `NOW` in the three forms of RFC 9110, section 5.6.7.
    const DATES: [&str; 3] = [
        "Thu, 09 Oct 2025 08:53:20 GMT",
        "Thursday, 09-Oct-25 08:53:20 GMT",
        "Thu Oct  9 08:53:20 2025",
    ];

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn date_is_read_in_the_three_forms_of_an_http_date() {
        for value in DATES {
            assert_eq!(date(&headers(header::DATE, value)), Some(NOW), "{value}");
        }
        assert_eq!(date(&headers(header::DATE, "2025-10-09T08:53:20Z")), None);
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let before = Timestamp(NOW.0 - 90);
        for (value, now, seconds) in [
            ("7", NOW, Some(7)),
            ("0", NOW, Some(0)),
            ("99999999999999999999999", NOW, Some(u64::MAX)),
            (DATES[0], before, Some(90)),
            (DATES[1], before, Some(90)),
            (DATES[0], NOW, Some(0)),
            (DATES[0], NOW.plus(1), Some(0)),
            ("+7", NOW, None),
            ("-7", NOW, None),
            ("1.5", NOW, None),
            ("", NOW, None),
            ("soon", NOW, None),
        ] {
            let headers = headers(header::RETRY_AFTER, value);
            assert_eq!(
                retry_after(&headers, now),
                seconds.map(Duration::from_secs),
                "{value}"
            );
        }
    }
}
