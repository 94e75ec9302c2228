//! Writing answers.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;
use tower_session_auth::{
    AgentId, AuthError, AuthenticatedSession, ErrorKind, SessionId,
    clock::Timestamp,
    manager::IssuedSession,
    session::{Constraints, SessionRecord, SessionStatus},
    store::Agent,
};

use crate::metrics::{Metrics, OPENMETRICS};

/// An answer of an endpoint.
pub(crate) type Answer = Result<Response<Full<Bytes>>, AuthError>;

/// A JSON answer.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(value).map_err(|error| unwritable(&error))?;
    let mut response = fresh(body, "application/json");
    *response.status_mut() = status;
    Ok(response)
}

/// The metrics as text.
pub(crate) fn metrics(metrics: &Metrics) -> Answer {
    let text = metrics.text().map_err(|error| unwritable(&error))?;
    Ok(fresh(text.into_bytes(), OPENMETRICS))
}

/// Nothing that this server says may be kept by a cache.
fn fresh(body: Vec<u8>, media_type: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn unwritable(error: &dyn std::error::Error) -> ErrorKind {
    tracing::error!(%error, "cannot write an answer");
    ErrorKind::InternalError
}

/// A page of a list, with the way to the next one in a `Link` header (RFC 8288).
pub(crate) fn page(items: &impl Serialize, next: Option<&str>) -> Answer {
    let mut response = json(StatusCode::OK, items)?;
    if let Some(next) = next
        && let Ok(link) = HeaderValue::try_from(format!("<{next}>; rel=\"next\""))
    {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AgentBody {
    id: AgentId,
    name: Option<String>,
    created_at: Timestamp,
}

impl From<Agent> for AgentBody {
    fn from(agent: Agent) -> Self {
        Self {
            id: agent.id,
            name: agent.name,
            created_at: agent.created_at,
        }
    }
}

/// A session as it is listed: never its token, nor its hash.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionBody {
    id: SessionId,
    agent_id: AgentId,
    status: SessionStatus,
    renewal_count: u32,
    max_renewals: u32,
    expires_at: Timestamp,
    absolute_expires_at: Timestamp,
    created_at: Timestamp,
    last_renewed_at: Option<Timestamp>,
    constraints: Option<Constraints>,
}

impl SessionBody {
    pub(crate) fn new(record: SessionRecord, now: Timestamp) -> Self {
        Self {
            id: record.id,
            agent_id: record.agent_id,
            status: record.status(now),
            renewal_count: record.renewal_count,
            max_renewals: record.max_renewals,
            expires_at: record.expires_at,
            absolute_expires_at: record.absolute_expires_at,
            created_at: record.created_at(),
            last_renewed_at: record.last_renewed_at,
            constraints: record.constraints,
        }
    }

    /// The session of a request that the layer let pass: an active one.
    pub(crate) fn of_caller(own: &AuthenticatedSession) -> Self {
        Self {
            id: own.session_id,
            agent_id: own.agent_id,
            status: SessionStatus::Active,
            renewal_count: own.renewal_count,
            max_renewals: own.max_renewals,
            expires_at: own.expires_at,
            absolute_expires_at: own.absolute_expires_at,
            created_at: own.session_id.created_at(),
            last_renewed_at: own.last_renewed_at,
            constraints: own.constraints.clone(),
        }
    }
}

/// A session with its fresh token.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IssuedBody<'a> {
    id: SessionId,
    token: &'a str,
    token_type: &'static str,
    expires_at: Timestamp,
    renew_after: Timestamp,
    absolute_expires_at: Timestamp,
    max_renewals: u32,
    /// Said of a new session.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<AgentId>,
    /// Said of a renewed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    renewal_count: Option<u32>,
    /// Said when there are any.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    evicted_session_ids: &'a [SessionId],
}

impl<'a> IssuedBody<'a> {
    pub(crate) fn created(issued: &'a IssuedSession) -> Self {
        Self {
            agent_id: Some(issued.record.agent_id),
            ..Self::new(issued)
        }
    }

    pub(crate) fn renewed(issued: &'a IssuedSession) -> Self {
        Self {
            renewal_count: Some(issued.record.renewal_count),
            ..Self::new(issued)
        }
    }

    fn new(issued: &'a IssuedSession) -> Self {
        let record = &issued.record;
        Self {
            id: record.id,
            token: issued.token.expose(),
            token_type: "Bearer",
            expires_at: record.expires_at,
            renew_after: issued.renew_after,
            absolute_expires_at: record.absolute_expires_at,
            max_renewals: record.max_renewals,
            agent_id: None,
            renewal_count: None,
            evicted_session_ids: &issued.evicted,
        }
    }
}

#[derive(Serialize)]
pub(crate) struct RevokedBody {
    id: SessionId,
    status: SessionStatus,
}

impl RevokedBody {
    pub(crate) const fn new(id: SessionId) -> Self {
        Self {
            id,
            status: SessionStatus::Revoked,
        }
    }
}
