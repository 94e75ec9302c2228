//! The deadline of a gRPC call.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

use crate::error::AuthError;

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Parses `grpc-timeout`: 1 to 8 digits and a unit (gRPC over HTTP/2, section Requests). `None` if the call has no deadline.
pub(super) fn timeout_of(headers: &HeaderMap) -> Result<Option<Duration>, AuthError> {
    let mut values = headers.get_all(GRPC_TIMEOUT).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let parsed = parse(value.as_bytes()).filter(|_| values.next().is_none());
    let malformed = || AuthError::invalid_field("grpc-timeout", "must be 1 to 8 digits and a unit");
    parsed.map(Some).ok_or_else(malformed)
}

fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(number * 3600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(values: &[&'static str]) -> Result<Option<Duration>, ()> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(GRPC_TIMEOUT, http::HeaderValue::from_static(value));
        }
        timeout_of(&headers).map_err(|_| ())
    }

    #[test]
    fn timeout_has_the_units_of_grpc() {
        for (value, micros) in [
            ("1H", 3_600_000_000),
            ("2M", 120_000_000),
            ("3S", 3_000_000),
            ("200m", 200_000),
            ("5u", 5),
            ("6000n", 6),
            ("0S", 0),
            ("99999999H", 359_999_996_400_000_000),
        ] {
            assert_eq!(
                parsed(&[value]),
                Ok(Some(Duration::from_micros(micros))),
                "{value}"
            );
        }
        assert_eq!(parsed(&[]), Ok(None));
    }

    #[test]
    fn malformed_timeout_is_an_error() {
        for value in [
            "",
            "1",
            "S",
            "1s",
            "-1S",
            "+1S",
            "1.5S",
            " 1S",
            "123456789S",
            "1 S",
        ] {
            assert_eq!(parsed(&[value]), Err(()), "{value}");
        }
        assert_eq!(parsed(&["1S", "2S"]), Err(()));
    }
}
