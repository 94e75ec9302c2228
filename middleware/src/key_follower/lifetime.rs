//! How long fetched keys are used before they are fetched again. Pure functions.

use std::time::Duration;

use http::{HeaderMap, header};

use crate::token::PUBLISHED_KEYS_MAX_AGE;

/// The first and the longest pause after failed fetches.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(30);

/// How much longer a response is fresh (RFC 9111, section 4.2): its `max-age` less its `Age`. Without `max-age`, it is the
/// default of a session server. A `max-age` that is not a number counts as 0.
pub(super) fn freshness(headers: &HeaderMap) -> Duration {
    let directives = headers.get_all(header::CACHE_CONTROL).iter();
    let directives = directives.filter_map(|value| value.to_str().ok());
    let mut lifetime = None;
    for directive in directives.flat_map(|value| value.split(',')).map(str::trim) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
            return Duration::ZERO;
        }
        if name.eq_ignore_ascii_case("max-age") {
            let seconds = seconds(value.trim_matches('"'));
            lifetime = lifetime.or(Some(seconds.unwrap_or(Duration::ZERO)));
        }
    }
    let age = headers.get(header::AGE).and_then(|age| age.to_str().ok());
    let age = age.and_then(|age| seconds(age.trim())).unwrap_or_default();
    lifetime.unwrap_or(PUBLISHED_KEYS_MAX_AGE).saturating_sub(age)
}

/// A number of seconds. One that overflows counts as the maximum.
fn seconds(text: &str) -> Option<Duration> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Duration::from_secs(text.parse().unwrap_or(u32::MAX).into()))
}

/// The time until the next fetch: 75 % to 95 % of the freshness, within the bounds. `part` is random, from 0 to 1.
pub(super) fn refresh_after(freshness: Duration, (min, max): (Duration, Duration), part: f64) -> Duration {
    freshness
        .min(max)
        .mul_f64(0.75 + 0.2 * part.clamp(0.0, 1.0))
        .max(min)
}

/// The pause after failed fetches. Doubles after each failure. A random factor of 0.5 to 1 spreads the retries.
pub(super) fn retry_after(failures: u32, part: f64) -> Duration {
    let factor = 1_u32 << failures.saturating_sub(1).min(16);
    let pause = FIRST_PAUSE.saturating_mul(factor).min(LAST_PAUSE);
    pause.mul_f64(0.5 + 0.5 * part.clamp(0.0, 1.0))
}

/// A random number from 0 to 1. Without randomness it is 1.
pub(super) fn random_part() -> f64 {
    let mut random = [0; 4];
    let number = getrandom::fill(&mut random).map_or(u32::MAX, |()| u32::from_ne_bytes(random));
    f64::from(number) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn fresh_seconds(cache_control: &[&'static str], age: Option<&'static str>) -> u64 {
        let mut headers = HeaderMap::new();
        for value in cache_control {
            headers.append(header::CACHE_CONTROL, HeaderValue::from_static(value));
        }
        if let Some(age) = age {
            headers.insert(header::AGE, HeaderValue::from_static(age));
        }
        freshness(&headers).as_secs()
    }

    #[test]
    fn freshness_is_max_age_less_age() {
        for (cache_control, age, seconds) in [
            (&["max-age=60"][..], None, 60),
            (&["public", "MAX-AGE=\"60\""], Some("10"), 50),
            (&["max-age=60, max-age=90"], None, 60),
            (&["max-age=60"], Some("61"), 0),
            (&["max-age=60"], Some("soon"), 60),
            (&["s-maxage=5"], None, 300),
            (&[], Some("100"), 200),
            (&["max-age=0"], None, 0),
            (&["max-age=-1"], None, 0),
            (&["max-age"], None, 0),
            (&["max-age=60, no-store"], None, 0),
            (&["no-cache"], None, 0),
            (&["max-age=99999999999999999999"], None, u64::from(u32::MAX)),
        ] {
            assert_eq!(
                fresh_seconds(cache_control, age),
                seconds,
                "{cache_control:?} {age:?}"
            );
        }
    }

    #[test]
    fn refresh_is_due_before_the_keys_are_stale_and_within_the_bounds() {
        let bounds = (Duration::from_secs(10), Duration::from_secs(600));
        for (freshness, part, millis) in [
            (300, 0.0, 225_000),
            (300, 1.0, 285_000),
            (0, 1.0, 10_000),
            (11, 0.0, 10_000),
            (86_400, 0.0, 450_000),
            (86_400, 1.0, 570_000),
        ] {
            let after = refresh_after(Duration::from_secs(freshness), bounds, part);
            assert_eq!(after.as_millis(), millis, "{freshness} s");
        }
    }

    #[test]
    fn pause_after_failures_doubles_up_to_30_seconds() {
        let pauses = [1, 2, 3, 4, 5, 6, 7, u32::MAX].map(|failures| retry_after(failures, 1.0).as_secs());
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(retry_after(1, 0.0), FIRST_PAUSE / 2);
        assert!((0.0..=1.0).contains(&random_part()));
    }
}
