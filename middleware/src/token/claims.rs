//! The claims of a token and their JSON form.

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    clock::Timestamp,
    id::{AgentId, SessionId},
};

/// What a token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims {
    /// `sub`: the session.
    pub session_id: SessionId,
    /// `agt`: the agent.
    pub agent_id: AgentId,
    /// `gen`: how many times the session's token had been replaced when this one was signed.
    pub generation: u32,
    /// `iat`
    pub issued_at: Timestamp,
    /// `exp`: the token is refused from this second on.
    pub expires_at: Timestamp,
}

/// The payload as it is signed. Times are RFC 3339, as the PASETO specification asks (Payload processing, registered claims).
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
    /// `None` when a time is outside what RFC 3339 can write (years 0 to 9999).
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

    /// The claims; `None` when a time cannot be read.
    pub(super) fn claims(&self) -> Option<Claims> {
        Some(Claims {
            session_id: self.sub,
            agent_id: self.agt,
            generation: self.r#gen,
            issued_at: parse(&self.iat)?,
            expires_at: parse(&self.exp)?,
        })
    }

    /// `nbf`, which this crate never writes but honours; the outer `None` when it cannot be read.
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

/// Fractions of a second are cut off. This crate writes none.
fn parse(text: &str) -> Option<Timestamp> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(at.unix_timestamp()).ok().map(Timestamp)
}
