//! The compared servers.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Variant {
    /// hyper without authentication: the baseline.
    NoAuth,
    /// hyper with one bare `GET` from Redis per request: the lower bound of any strict check.
    RedisGet,
    /// hyper with `SessionAuthLayer`, which reads the session from Redis for each request.
    Strict,
    /// hyper with a bounded `SessionAuthLayer`, which caches session records in process memory.
    Bounded,
    /// axum without authentication: the cost of the compared crates' framework.
    Axum,
    /// axum with `SessionAuthLayer`.
    AxumStrict,
    /// axum with tower-sessions and its Redis store.
    TowerSessions,
    /// axum with jsonwebtoken: checks the signature; cannot revoke a token.
    JwtEddsa,
    /// `JwtEddsa` plus one `GET` from Redis per request.
    JwtEddsaRedisGet,
}

impl Variant {
    pub(crate) const ALL: &[Self] = &[
        Self::NoAuth,
        Self::RedisGet,
        Self::Strict,
        Self::Bounded,
        Self::Axum,
        Self::AxumStrict,
        Self::TowerSessions,
        Self::JwtEddsa,
        Self::JwtEddsaRedisGet,
    ];

    /// The name in the table.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NoAuth => "no auth",
            Self::RedisGet => "a bare Redis GET",
            Self::Strict => "this crate, strict",
            Self::Bounded => "this crate, bounded",
            Self::Axum => "axum, no auth",
            Self::AxumStrict => "axum + this crate, strict",
            Self::TowerSessions => "axum + tower-sessions + Redis store",
            Self::JwtEddsa => "axum + jsonwebtoken EdDSA, no revocation",
            Self::JwtEddsaRedisGet => "axum + jsonwebtoken EdDSA + Redis GET",
        }
    }

    /// Whether the server rejects requests without valid credentials.
    pub(crate) const fn requires_auth(self) -> bool {
        !matches!(self, Self::NoAuth | Self::RedisGet | Self::Axum)
    }
}
