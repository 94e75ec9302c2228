//! Rules: the responses that a request with a token may have.

use std::time::Duration;

use tokio::time::Instant;

use super::connection::Moment;

/// What an agent knows about a token of its own.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) text: String,
    /// In seconds since the epoch.
    pub(super) expires_at: u64,
    /// In seconds since the epoch.
    pub(super) renew_after: u64,
    pub(super) ended: Option<Ended>,
}

/// The end of a token before its expiry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub(super) reason: EndReason,
    /// When the response arrived that confirms it.
    pub(super) confirmed: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndReason {
    Revoked,
    Superseded,
}

/// The responses that a request may have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Allowed {
    pub(super) admitted: bool,
    pub(super) codes: &'static [&'static str],
}

impl EndReason {
    const fn code(self) -> &'static [&'static str] {
        match self {
            Self::Revoked => &["SESSION_REVOKED"],
            Self::Superseded => &["TOKEN_SUPERSEDED"],
        }
    }

    /// The expiry is checked after the revocation, and before the replacement. A key is removed when its tokens have expired, and a
    /// token of an unknown key is invalid.
    const fn code_after_expiry(self) -> &'static [&'static str] {
        match self {
            Self::Revoked => &["SESSION_REVOKED", "INVALID_TOKEN"],
            Self::Superseded => &["TOKEN_EXPIRED", "INVALID_TOKEN"],
        }
    }

    const fn code_at_expiry(self) -> &'static [&'static str] {
        match self {
            Self::Revoked => &["SESSION_REVOKED", "INVALID_TOKEN"],
            Self::Superseded => &["TOKEN_SUPERSEDED", "TOKEN_EXPIRED", "INVALID_TOKEN"],
        }
    }
}

impl Token {
    /// The responses to a request that uses the API with this token. The server may admit a token for `bound` after its end.
    ///
    /// The server has decided at some time between `sent` and `received`.
    pub(super) fn allowed(&self, sent: Moment, received: Moment, bound: Duration) -> Allowed {
        let surely_expired = sent.seconds >= self.expires_at;
        let maybe_expired = received.seconds >= self.expires_at;
        let Some(Ended { reason, confirmed }) = self.ended else {
            return Allowed {
                admitted: !surely_expired,
                codes: if maybe_expired {
                    &["TOKEN_EXPIRED", "INVALID_TOKEN"]
                } else {
                    &[]
                },
            };
        };
        Allowed {
            admitted: !surely_expired && sent.instant < confirmed + bound,
            codes: match (surely_expired, maybe_expired) {
                (true, _) => reason.code_after_expiry(),
                (false, true) => reason.code_at_expiry(),
                (false, false) => reason.code(),
            },
        }
    }

    /// True if a renewal that is answered at this time is surely too early.
    pub(super) const fn is_too_young(&self, received: Moment, ttl: u64) -> bool {
        received.seconds + 1 < self.expires_at - ttl / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPIRY: u64 = 1_000;
    const BOUND: Duration = Duration::from_millis(250);

    fn moments(base: Instant, millis: u64, sent: u64, received: u64) -> (Moment, Moment) {
        let instant = base + Duration::from_millis(millis);
        let moment = |seconds| Moment { instant, seconds };
        (moment(sent), moment(received))
    }

    fn token(ended: Option<Ended>) -> Token {
        Token {
            text: String::new(),
            expires_at: EXPIRY,
            renew_after: EXPIRY - 3,
            ended,
        }
    }

    #[test]
    fn current_token_is_admitted_until_its_expiry() {
        let base = Instant::now();
        for (sent, received, admitted, codes) in [
            (EXPIRY - 2, EXPIRY - 1, true, &[][..]),
            (EXPIRY - 1, EXPIRY, true, &["TOKEN_EXPIRED", "INVALID_TOKEN"][..]),
            (EXPIRY, EXPIRY, false, &["TOKEN_EXPIRED", "INVALID_TOKEN"][..]),
        ] {
            let (sent, received) = moments(base, 0, sent, received);
            let allowed = token(None).allowed(sent, received, BOUND);
            assert_eq!(allowed, Allowed { admitted, codes }, "{sent:?} {received:?}");
        }
    }

    #[test]
    fn ended_token_is_admitted_within_the_bound_only() {
        let base = Instant::now();
        for (reason, code) in [
            (EndReason::Revoked, "SESSION_REVOKED"),
            (EndReason::Superseded, "TOKEN_SUPERSEDED"),
        ] {
            let token = token(Some(Ended {
                reason,
                confirmed: base,
            }));
            for (millis, bound, admitted) in [
                (0, Duration::ZERO, false),
                (249, BOUND, true),
                (250, BOUND, false),
            ] {
                let (sent, received) = moments(base, millis, EXPIRY - 5, EXPIRY - 5);
                let allowed = token.allowed(sent, received, bound);
                assert_eq!(
                    (allowed.admitted, allowed.codes),
                    (admitted, &[code][..]),
                    "{millis} ms"
                );
            }
        }
    }

    #[test]
    fn revocation_is_reported_before_expiry_and_expiry_before_replacement() {
        let base = Instant::now();
        let (sent, received) = moments(base, 0, EXPIRY, EXPIRY);
        for (reason, code) in [
            (EndReason::Revoked, "SESSION_REVOKED"),
            (EndReason::Superseded, "TOKEN_EXPIRED"),
        ] {
            let ended = Ended {
                reason,
                confirmed: base,
            };
            let allowed = token(Some(ended)).allowed(sent, received, BOUND);
            assert_eq!(
                (allowed.admitted, allowed.codes),
                (false, &[code, "INVALID_TOKEN"][..])
            );
        }
    }
}
