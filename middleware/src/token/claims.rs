//! The claims of a token and their JSON form.

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    clock::Timestamp,
    id::{AgentId, SessionId},
};

/// The claims of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claims {
    /// `sub`: the session.
    pub session_id: SessionId,
    /// `agt`: the agent.
    pub agent_id: AgentId,
    /// `gen`: the number of replacements of the session's token before this token.
    pub generation: u32,
    /// `iat`: when the token was issued.
    pub issued_at: Timestamp,
    /// `exp`: the token is rejected from this second on.
    pub expires_at: Timestamp,
}

impl Claims {
    /// The claims of a session's token.
    #[must_use]
    pub const fn new(
        session_id: SessionId,
        agent_id: AgentId,
        generation: u32,
        issued_at: Timestamp,
        expires_at: Timestamp,
    ) -> Self {
        Self {
            session_id,
            agent_id,
            generation,
            issued_at,
            expires_at,
        }
    }
}

/// The payload of a token. Times are RFC 3339, as the PASETO specification requires (Payload Processing, registered claims).
#[derive(Serialize, Deserialize)]
pub(super) struct Payload {
    pub(super) iss: String,
    sub: SessionId,
    agt: AgentId,
    r#gen: u32,
    iat: String,
    exp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) aud: Option<String>,
}

impl Payload {
    /// `None` if a time is outside the range of RFC 3339 (years 0 to 9999).
    pub(super) fn new(claims: &Claims, issuer: &str, audience: Option<&str>) -> Option<Self> {
        Some(Self {
            iss: issuer.to_owned(),
            sub: claims.session_id,
            agt: claims.agent_id,
            r#gen: claims.generation,
            iat: format(claims.issued_at)?,
            exp: format(claims.expires_at)?,
            nbf: None,
            aud: audience.map(str::to_owned),
        })
    }

    /// The claims. `None` if a time cannot be parsed.
    pub(super) fn claims(&self) -> Option<Claims> {
        Some(Claims::new(
            self.sub,
            self.agt,
            self.r#gen,
            parse(&self.iat)?,
            parse(&self.exp)?,
        ))
    }

    /// The session and the agent, for the log.
    pub(super) const fn ids(&self) -> (SessionId, AgentId) {
        (self.sub, self.agt)
    }

    /// The `nbf` claim. This crate never writes it, but checks it. The outer `None` means that it cannot be parsed.
    pub(super) fn not_before(&self) -> Option<Option<Timestamp>> {
        self.nbf.as_deref().map_or(Some(None), |nbf| parse(nbf).map(Some))
    }
}

fn format(at: Timestamp) -> Option<String> {
    let seconds = i64::try_from(at.0).ok()?;
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()?
        .format(&Rfc3339)
        .ok()
}

/// Removes fractions of a second. This crate writes none.
fn parse(text: &str) -> Option<Timestamp> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(at.unix_timestamp()).ok().map(Timestamp)
}
