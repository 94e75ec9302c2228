//! The servers that are compared.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Variant {
    /// No authentication: what everything is compared with.
    None,
    /// One bare GET from Redis for each request: the limit of any strict check.
    RedisGet,
    /// `SessionAuthLayer`, which asks Redis each time.
    Strict,
    /// `SessionAuthLayer` with records kept in process.
    Bounded,
    /// axum without authentication: what the peers' framework costs.
    Axum,
    /// axum with `SessionAuthLayer`.
    AxumStrict,
    /// axum with tower-sessions and its Redis store.
    TowerSessions,
    /// axum with jsonwebtoken: a signature, and no way to revoke.
    JwtEddsa,
    /// The same and one GET from Redis.
    JwtEddsaRedisGet,
}

impl Variant {
    pub(crate) const ALL: &[Self] = &[
        Self::None,
        Self::RedisGet,
        Self::Strict,
        Self::Bounded,
        Self::Axum,
        Self::AxumStrict,
        Self::TowerSessions,
        Self::JwtEddsa,
        Self::JwtEddsaRedisGet,
    ];

    /// Its name in the table.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "no auth",
            Self::RedisGet => "a bare Redis GET",
            Self::Strict => "ours, strict",
            Self::Bounded => "ours, bounded",
            Self::Axum => "axum, no auth",
            Self::AxumStrict => "axum + ours, strict",
            Self::TowerSessions => "axum + tower-sessions + Redis store",
            Self::JwtEddsa => "axum + jsonwebtoken EdDSA, no revocation",
            Self::JwtEddsaRedisGet => "axum + jsonwebtoken EdDSA + Redis GET",
        }
    }

    /// Whether it refuses anybody.
    pub(crate) const fn checks(self) -> bool {
        !matches!(self, Self::None | Self::RedisGet | Self::Axum)
    }
}
