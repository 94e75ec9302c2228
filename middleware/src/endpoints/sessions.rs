//! `/v1/sessions`: the sessions, for administrators.

use http::{StatusCode, Uri, request::Parts};
use http_body::Body;
use serde::Deserialize;
use serde_json::json;
use tower::BoxError;

use super::{
    input::{self, Query},
    output::{self, Answer},
    paging::{self, Paging},
    permitted,
    state::State,
};
use crate::{
    api::{IssuedSessionBody, RevokedBody, SessionBody},
    error::AuthError,
    id::{AgentId, SessionId},
    master_auth::Administrator,
    session::{self, Constraints, Scopes},
    store::{AgentStore, SessionCursor, SessionStore},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct CreateSession {
    agent_id: Option<AgentId>,
    #[serde(default, deserialize_with = "input::integer")]
    ttl: Option<u64>,
    scopes: Option<Scopes>,
    constraints: Option<Constraints>,
    #[serde(default, deserialize_with = "input::integer")]
    max_renewals: Option<u32>,
    #[serde(default, deserialize_with = "input::integer")]
    absolute_lifetime: Option<u64>,
}

pub(super) async fn create<S, B>(state: &State<S>, admin: &Administrator, parts: &Parts, body: B) -> Answer
where
    S: SessionStore + AgentStore,
    B: Body<Data: Send, Error: Into<BoxError>>,
{
    let key = input::creation_key(admin, parts)?;
    let body: CreateSession = input::json(&parts.headers, body).await?;
    let agent_id = required("agentId", body.agent_id)?;
    admin.require_agent(agent_id)?;
    let mut request = session::CreateSession::new(agent_id);
    request.ttl = body.ttl;
    request.scopes = body.scopes.unwrap_or_default();
    request.constraints = body.constraints;
    request.max_renewals = body.max_renewals;
    request.absolute_lifetime = body.absolute_lifetime;
    request.idempotency_key = key;
    let issued = state.sessions.create(request).await?;
    output::json(StatusCode::CREATED, &IssuedSessionBody::created(&issued))
}

pub(super) async fn list<S: SessionStore + AgentStore>(
    state: &State<S>,
    admin: &Administrator,
    uri: &Uri,
) -> Answer {
    let query = Query::read(uri, &["agentId", "limit", "cursor"])?;
    let agent = query.parse("agentId", str::parse::<AgentId>)?;
    let paging = Paging::read(&query, SessionCursor::decode)?;
    if let Some(agent) = agent {
        admin.require_agent(agent)?;
    }
    if let (Some(agent), Some(cursor)) = (agent, paging.request.after)
        && agent != cursor.agent
    {
        return Err(AuthError::invalid_field(
            "cursor",
            "belongs to a list of another agent",
        ));
    }
    let page = match admin.agents() {
        Some(permitted) if agent.is_none() => {
            let read = |request| state.sessions.list_of(permitted, request);
            paging::first_filled(paging.request, read).await?
        }
        _ => paging::first_filled(paging.request, |request| state.sessions.list(agent, request)).await?,
    };
    let next = page.next.map(|next| {
        let filters: Vec<_> = agent.iter().map(|agent| ("agentId", agent.to_string())).collect();
        paging.next(&filters, &next.encode())
    });
    let now = state.clock.now();
    let sessions = page.items.into_iter().map(|record| SessionBody::new(record, now));
    output::page(&sessions.collect::<Vec<_>>(), next.as_deref())
}

pub(super) async fn get<S: SessionStore + AgentStore>(
    state: &State<S>,
    admin: &Administrator,
    id: Option<&str>,
) -> Answer {
    let id: SessionId = input::id(id)?;
    permitted::require_bucket(admin, id)?;
    let record = state.sessions.get(id).await?;
    admin.require_agent(record.agent_id)?;
    output::json(StatusCode::OK, &SessionBody::new(record, state.clock.now()))
}

pub(super) async fn revoke<S: SessionStore + AgentStore>(
    state: &State<S>,
    admin: &Administrator,
    id: Option<&str>,
) -> Answer {
    let id: SessionId = input::id(id)?;
    permitted::require_session(&state.sessions, admin, id).await?;
    let revoked = state.sessions.revoke(id).await?;
    output::revocation(revoked.durable, &RevokedBody::new(id, revoked))
}

/// Issues a new token. The administrator gives it to the agent.
pub(super) async fn rotate<S: SessionStore + AgentStore>(
    state: &State<S>,
    admin: &Administrator,
    id: Option<&str>,
) -> Answer {
    let id: SessionId = input::id(id)?;
    permitted::require_session(&state.sessions, admin, id).await?;
    let issued = state.sessions.rotate(id).await?;
    output::json(StatusCode::OK, &IssuedSessionBody::renewed(&issued))
}

pub(super) async fn revoke_all<S: SessionStore + AgentStore>(
    state: &State<S>,
    admin: &Administrator,
    uri: &Uri,
) -> Answer {
    let query = Query::read(uri, &["agentId"])?;
    let agent = required("agentId", query.parse("agentId", str::parse::<AgentId>)?)?;
    admin.require_agent(agent)?;
    let revoked = state.sessions.revoke_agent(agent).await?;
    let body = json!({ "agentId": agent, "revokedSessions": revoked.active });
    output::agent_revocation(revoked.durable, body)
}

fn required<T>(name: &str, value: Option<T>) -> Result<T, AuthError> {
    value.ok_or_else(|| AuthError::invalid_field(name, "is required"))
}
