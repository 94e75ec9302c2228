//! The limits of sessions.

use tower_session_auth::session::SessionPolicy;

use super::Checks;
use crate::config::Settings;

const DAY: u64 = 86_400;
const TEN_YEARS: u64 = 10 * 365 * DAY;

pub(super) fn policy(settings: &Settings, checks: &mut Checks<'_>) -> SessionPolicy {
    let mut policy = SessionPolicy::default();
    let min_ttl = settings.min_ttl.unwrap_or(policy.min_ttl);
    let max_ttl = settings.max_ttl.unwrap_or(policy.max_ttl);
    policy.max_ttl = checks.within("max_ttl", max_ttl, 1, TEN_YEARS);
    // A limit that is wrong itself is no limit for other settings.
    let longest = if checks.errors.is_wrong("max_ttl") {
        TEN_YEARS
    } else {
        max_ttl
    };
    policy.min_ttl = checks.within("min_ttl", min_ttl, 1, longest);
    let shortest = if checks.errors.is_wrong("min_ttl") {
        1
    } else {
        min_ttl
    };
    let ttl = settings
        .session_ttl
        .unwrap_or_else(|| policy.ttl.clamp(shortest, longest));
    policy.ttl = checks.within("session_ttl", ttl, shortest, longest);
    let lifetime = settings.absolute_lifetime.unwrap_or(policy.absolute_lifetime);
    policy.absolute_lifetime = checks.within("absolute_lifetime", lifetime, 1, TEN_YEARS);
    let retention = settings.expired_retention.unwrap_or(policy.retention);
    policy.retention = checks.within("expired_retention", retention, 0, TEN_YEARS);
    policy.max_renewals = settings.max_renewals.unwrap_or(policy.max_renewals);
    checks.within("max_renewals", policy.max_renewals.into(), 0, 1_000_000);
    policy.max_sessions_per_agent = settings
        .max_sessions_per_agent
        .unwrap_or(policy.max_sessions_per_agent);
    checks.within(
        "max_sessions_per_agent",
        policy.max_sessions_per_agent.into(),
        1,
        1000,
    );
    policy.on_session_limit = settings.on_session_limit.unwrap_or_default();
    let replaced = &mut policy.replaced_tokens;
    replaced.on_reuse = settings.on_reuse.unwrap_or_default();
    let window = settings.renewal_retry_window.unwrap_or(replaced.retry_window);
    replaced.retry_window = checks.within("renewal_retry_window", window, 0, DAY);
    let overlap = settings.previous_token_overlap;
    let overlap = overlap.unwrap_or(replaced.previous_token_overlap);
    replaced.previous_token_overlap = checks.within("previous_token_overlap", overlap, 0, DAY);
    policy
}
