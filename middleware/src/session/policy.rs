//! The limits within which sessions are granted.

use serde::{Deserialize, Serialize};

use super::{Constraints, CreationKey, ReplacedTokenPolicy, Scopes};
use crate::{
    clock::Timestamp,
    error::{AuthError, ValidationIssue},
    id::AgentId,
};

/// The longest time of a policy: 100 years. Tokens have no times after the year 9999, and Redis no longer expiries.
const MAX_SECONDS: u64 = 100 * 365 * 86_400;
const TOO_LONG: &str = "must not be above 3153600000 (100 years)";

/// The limits within which sessions are granted. Times are in seconds.
///
/// ```
/// use tower_session_auth::session::SessionPolicy;
///
/// let mut policy = SessionPolicy::default();
/// policy.max_sessions_per_agent = 10;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionPolicy {
    /// The lifetime of a token if the request names none: 86,400.
    pub ttl: u64,
    /// The shortest lifetime that a request may name: 300.
    pub min_ttl: u64,
    /// The longest lifetime that a request may name: 604,800.
    pub max_ttl: u64,
    /// The maximum number of renewals of a session: 30. A request may set a lower one.
    pub max_renewals: u32,
    /// The maximum lifetime of a session, counted from its creation: 2,592,000 (30 days). A request may set a shorter one.
    pub absolute_lifetime: u64,
    /// The maximum number of active sessions of an agent: 5.
    pub max_sessions_per_agent: u32,
    /// The reaction to a request for another session at that maximum: [`OnSessionLimit::Refuse`].
    pub on_session_limit: OnSessionLimit,
    /// The rules for replaced tokens.
    pub replaced_tokens: ReplacedTokenPolicy,
    /// The time for which an expired session is kept and listed as EXPIRED: 86,400.
    pub retention: u64,
}

/// The reaction to a request for a session when the agent already has its maximum of active sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnSessionLimit {
    /// The request is rejected with `SESSION_LIMIT_EXCEEDED`.
    #[default]
    Refuse,
    /// The least recently renewed or created session is revoked in the same atomic step. An agent that lost its token is
    /// therefore never locked out.
    EvictOldest,
}

impl Default for SessionPolicy {
    fn default() -> Self {
        Self {
            ttl: 86_400,
            min_ttl: 300,
            max_ttl: 604_800,
            max_renewals: 30,
            absolute_lifetime: 2_592_000,
            max_sessions_per_agent: 5,
            on_session_limit: OnSessionLimit::Refuse,
            replaced_tokens: ReplacedTokenPolicy::default(),
            retention: 86_400,
        }
    }
}

/// A request for a session. Every field that is `None` is taken from the policy.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CreateSession {
    /// The agent that the session is for.
    pub agent_id: AgentId,
    /// The lifetime of each token, in seconds.
    pub ttl: Option<u64>,
    /// The maximum number of renewals of the session.
    pub max_renewals: Option<u32>,
    /// The maximum lifetime of the session, in seconds from now.
    pub absolute_lifetime: Option<u64>,
    /// The scopes of the session. No renewal or rotation changes them.
    pub scopes: Scopes,
    /// The limits that the application enforces.
    pub constraints: Option<Constraints>,
    /// Makes the creation repeatable within the [retry window](ReplacedTokenPolicy::retry_window): the same key and request give
    /// the same session and token.
    pub idempotency_key: Option<CreationKey>,
}

impl CreateSession {
    /// A request for a session with the values of the policy.
    #[must_use]
    pub const fn new(agent_id: AgentId) -> Self {
        Self {
            agent_id,
            ttl: None,
            max_renewals: None,
            absolute_lifetime: None,
            scopes: Scopes::NONE,
            constraints: None,
            idempotency_key: None,
        }
    }
}

/// The limits that were granted to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionLimits {
    /// The lifetime of each token, in seconds.
    pub ttl: u64,
    /// The maximum number of renewals of the session.
    pub max_renewals: u32,
    /// The end of the session, renewed or not.
    pub absolute_expires_at: Timestamp,
}

impl SessionLimits {
    /// Limits that no policy has checked.
    #[must_use]
    pub const fn new(ttl: u64, max_renewals: u32, absolute_expires_at: Timestamp) -> Self {
        Self {
            ttl,
            max_renewals,
            absolute_expires_at,
        }
    }
}

/// A policy that is inconsistent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
#[non_exhaustive]
pub struct InvalidPolicy {
    /// The field of the [`SessionPolicy`].
    pub field: &'static str,
    /// The mistake.
    pub problem: &'static str,
}

impl SessionPolicy {
    /// Checks that the policy can grant a session.
    ///
    /// # Errors
    /// The first field that is inconsistent with the others, or that allows no session.
    pub fn check(&self) -> Result<(), InvalidPolicy> {
        let replaced = &self.replaced_tokens;
        let rules = [
            (self.min_ttl >= 1, "min_ttl", "must be at least 1"),
            (
                self.min_ttl <= self.max_ttl,
                "min_ttl",
                "must not be above max_ttl",
            ),
            (self.min_ttl <= self.ttl, "ttl", "must not be below min_ttl"),
            (self.ttl <= self.max_ttl, "ttl", "must not be above max_ttl"),
            (
                self.absolute_lifetime >= 1,
                "absolute_lifetime",
                "must be at least 1",
            ),
            (self.max_ttl <= MAX_SECONDS, "max_ttl", TOO_LONG),
            (
                self.absolute_lifetime <= MAX_SECONDS,
                "absolute_lifetime",
                TOO_LONG,
            ),
            (self.retention <= MAX_SECONDS, "retention", TOO_LONG),
            (replaced.retry_window <= MAX_SECONDS, "retry_window", TOO_LONG),
            (
                replaced.previous_token_overlap <= MAX_SECONDS,
                "previous_token_overlap",
                TOO_LONG,
            ),
            (
                self.max_sessions_per_agent >= 1,
                "max_sessions_per_agent",
                "must be at least 1",
            ),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, field, problem)) => Err(InvalidPolicy { field, problem }),
            None => Ok(()),
        }
    }

    /// Grants the limits for a request at `now`.
    ///
    /// A ttl beyond the absolute lifetime is no error: the token then expires with the session.
    ///
    /// # Errors
    /// `ValidationFailed` with every issue of the request.
    pub fn grant(&self, request: &CreateSession, now: Timestamp) -> Result<SessionLimits, AuthError> {
        let ttl = request.ttl.unwrap_or(self.ttl);
        let max_renewals = request.max_renewals.unwrap_or(self.max_renewals);
        let absolute_lifetime = request.absolute_lifetime.unwrap_or(self.absolute_lifetime);

        let mut issues = Vec::new();
        let mut check_range = |path, value: u64, min: u64, max: u64| {
            if !(min..=max).contains(&value) {
                issues.push(ValidationIssue::new(
                    path,
                    format!("must be between {min} and {max}"),
                ));
            }
        };
        if request.ttl.is_some() {
            check_range("ttl", ttl, self.min_ttl, self.max_ttl);
        }
        check_range("maxRenewals", max_renewals.into(), 0, self.max_renewals.into());
        check_range("absoluteLifetime", absolute_lifetime, 1, self.absolute_lifetime);
        if !issues.is_empty() {
            return Err(AuthError::validation(issues));
        }
        Ok(SessionLimits::new(ttl, max_renewals, now.plus(absolute_lifetime)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(ttl: Option<u64>, renewals: Option<u32>, lifetime: Option<u64>) -> CreateSession {
        CreateSession {
            ttl,
            max_renewals: renewals,
            absolute_lifetime: lifetime,
            ..CreateSession::new(AgentId::from_uuid(uuid::Uuid::nil()))
        }
    }

    #[test]
    fn bounds_of_the_policy_are_inclusive() {
        let policy = SessionPolicy::default();
        let now = Timestamp(1_000);
        for (request, bad) in [
            (request(Some(299), None, None), &["ttl"][..]),
            (request(Some(300), None, None), &[]),
            (request(Some(604_800), None, None), &[]),
            (request(Some(604_801), None, None), &["ttl"]),
            (request(None, Some(0), None), &[]),
            (request(None, Some(30), None), &[]),
            (request(None, Some(31), None), &["maxRenewals"]),
            (request(None, None, Some(0)), &["absoluteLifetime"]),
            (request(None, None, Some(1)), &[]),
            (request(None, None, Some(2_592_000)), &[]),
            (
                request(Some(1), Some(31), Some(2_592_001)),
                &["ttl", "maxRenewals", "absoluteLifetime"],
            ),
        ] {
            let issues: Vec<_> = match policy.grant(&request, now) {
                Ok(_) => vec![],
                Err(error) => error.issues().iter().map(|i| i.path.clone()).collect(),
            };
            assert_eq!(issues, bad, "{request:?}");
        }
    }

    #[test]
    fn ttl_may_exceed_the_absolute_lifetime() {
        let limits = SessionPolicy::default()
            .grant(&request(Some(86_400), None, Some(3_600)), Timestamp(1_000))
            .unwrap();
        assert_eq!(limits, SessionLimits::new(86_400, 30, Timestamp(4_600)));
    }
}
