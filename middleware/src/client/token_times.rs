//! The times in a session token's payload, read without checking its signature.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{clock::Timestamp, token::SessionToken};

/// PASETO version and purpose. The payload follows, then the signature (64 bytes).
const HEADER: &str = "v4.public.";
const SIGNATURE_LEN: usize = 64;

/// `iat` and `exp` of a token. They are not verified: use them only for scheduling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TokenTimes {
    pub(super) issued_at: Timestamp,
    pub(super) expires_at: Timestamp,
}

impl TokenTimes {
    /// `None` if the token is not a PASETO v4.public token with both times.
    pub(super) fn read(token: &SessionToken) -> Option<Self> {
        #[derive(Deserialize)]
        struct Times {
            iat: String,
            exp: String,
        }
        let (_, rest) = token.expose().split_once(HEADER)?;
        let payload = rest.split('.').next()?;
        let signed = URL_SAFE_NO_PAD.decode(payload).ok()?;
        let payload = signed.get(..signed.len().checked_sub(SIGNATURE_LEN)?)?;
        let times: Times = serde_json::from_slice(payload).ok()?;
        Some(Self {
            issued_at: parse(&times.iat)?,
            expires_at: parse(&times.exp)?,
        })
    }

    /// The time at which half of the token's lifetime has passed, rounded up to a whole second. The server renews from then on.
    pub(super) const fn renewable_from(&self) -> Timestamp {
        let lifetime = self.expires_at.since(self.issued_at);
        self.issued_at.plus(lifetime.div_ceil(2))
    }
}

fn parse(text: &str) -> Option<Timestamp> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(time.unix_timestamp()).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        session::decide::renewable_from,
        test_support::{claims, record, sign},
    };

    #[test]
    fn issue_and_expiry_are_read_from_a_signed_token() {
        let claims = claims();
        let times = TokenTimes::read(&sign(&claims)).unwrap();
        assert_eq!(times.issued_at, claims.issued_at);
        assert_eq!(times.expires_at, claims.expires_at);
        assert_eq!(times.renewable_from(), renewable_from(&record(&claims)));
    }

    #[test]
    fn text_that_is_no_token_has_no_times() {
        for text in [
            "",
            "1",
            "v4.public.",
            "v4.public.AAAA",
            "v4.public.!!",
            "v4.local.AAAA",
        ] {
            assert_eq!(TokenTimes::read(&SessionToken::from_bearer(text)), None, "{text}");
        }
    }
}
