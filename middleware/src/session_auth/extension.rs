//! The extensions that the layers add to a request.

use std::{fmt, sync::Arc};

use crate::{
    clock::Timestamp,
    error::{AuthError, ErrorKind},
    id::{AgentId, SessionId},
    response::Rejections,
    session::{Constraints, Scopes, SessionRecord, decide},
    token::{Claims, VerifiedToken},
};

/// The session of an authenticated request. The inner service finds it in the request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthenticatedSession {
    /// The session's id.
    pub session_id: SessionId,
    /// The agent's id.
    pub agent_id: AgentId,
    /// The number of replacements of the session's token.
    pub generation: u32,
    /// When the token was issued.
    pub issued_at: Timestamp,
    /// When the token expires.
    pub expires_at: Timestamp,
    /// The end of the session, renewed or not.
    pub absolute_expires_at: Timestamp,
    /// The number of renewals of the session.
    pub renewal_count: u32,
    /// The maximum number of renewals of the session.
    pub max_renewals: u32,
    /// When the session was renewed last.
    pub last_renewed_at: Option<Timestamp>,
    /// True for the previous token, which is admitted within its overlap. The inner service can reject such a request if it
    /// requires the current token.
    pub previous_token: bool,
    /// The scopes of the session.
    pub scopes: Scopes,
    /// The limits that the inner service enforces.
    pub constraints: Option<Constraints>,
    pub(crate) layer: LayerRejections,
}

/// How the layer that made an [`AuthenticatedSession`] answers rejected requests: for extractors. It is no property of the session, so it
/// does not count in comparisons.
#[derive(Clone, Default)]
pub(crate) struct LayerRejections(
    #[cfg_attr(not(feature = "axum"), expect(dead_code, reason = "read by the extractor"))]
    pub(crate)  Option<Arc<Rejections>>,
);

impl PartialEq for LayerRejections {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for LayerRejections {}

impl fmt::Debug for LayerRejections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LayerRejections(..)")
    }
}

/// A verified token and its session, which is not revoked. The token may be a replaced one.
///
/// A [`RenewalLayer`](super::RenewalLayer) makes it for [`SessionManager::renew`](crate::SessionManager::renew). It does not authorize
/// any other use.
#[derive(Debug, Clone)]
pub struct PresentedSession(Arc<Presented>);

#[derive(Debug, Clone)]
struct Presented {
    record: SessionRecord,
    token: VerifiedToken,
    /// The key that signed the token, for the log.
    key_id: Option<String>,
}

/// Marks a request without a token that an [optional](super::SessionAuthLayer::optional) layer admitted.
#[derive(Clone)]
pub(crate) struct NoSession {
    /// The error for a handler that needs a session after all.
    pub(crate) error: AuthError,
    /// How the layer answers rejected requests.
    #[cfg_attr(not(feature = "axum"), expect(dead_code, reason = "read by the extractor"))]
    pub(crate) rejections: Arc<Rejections>,
}

impl AuthenticatedSession {
    /// The session that a layer makes of a record and the claims of its current token.
    #[must_use]
    pub fn new(record: &SessionRecord, claims: &Claims) -> Self {
        Self {
            session_id: record.id,
            agent_id: record.agent_id,
            generation: record.generation,
            issued_at: claims.issued_at,
            expires_at: claims.expires_at,
            absolute_expires_at: record.absolute_expires_at,
            renewal_count: record.renewal_count(),
            max_renewals: record.max_renewals,
            last_renewed_at: record.last_renewed_at(),
            previous_token: false,
            scopes: record.scopes.clone(),
            constraints: record.constraints.clone(),
            layer: LayerRejections::default(),
        }
    }
}

impl PresentedSession {
    /// Presents a token and the record of its session, for a renewal layer of your own.
    ///
    /// # Errors
    /// `SessionRevoked`, `InvalidToken`: see [`decide::check_session`].
    pub fn new(record: SessionRecord, token: VerifiedToken) -> Result<Self, ErrorKind> {
        decide::check_session(&record, &token)?;
        Ok(Self(Arc::new(Presented {
            record,
            token,
            key_id: None,
        })))
    }

    /// Adds the key that signed the token.
    pub(crate) fn with_key_id(self, key_id: Option<String>) -> Self {
        Self(Arc::new(Presented {
            key_id,
            ..Arc::unwrap_or_clone(self.0)
        }))
    }

    /// The session that the token belongs to.
    #[must_use]
    pub fn session_id(&self) -> SessionId {
        self.0.record.id
    }

    pub(crate) fn record(&self) -> &SessionRecord {
        &self.0.record
    }

    pub(crate) fn token(&self) -> &VerifiedToken {
        &self.0.token
    }

    /// Adds the session, its agent and the key to the error of a rejected renewal, for the log.
    pub(crate) fn identify(&self, error: AuthError) -> AuthError {
        let Presented { record, key_id, .. } = &*self.0;
        let error = error.with_session(record.id, record.agent_id);
        match key_id {
            Some(key_id) => error.with_key_id(key_id),
            None => error,
        }
    }
}
