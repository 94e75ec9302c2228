//! `/v1/sessions`: what the administrator does with sessions.

use bytes::Bytes;
use http::{StatusCode, Uri, request::Parts};
use http_body::Body;
use serde::Deserialize;
use serde_json::json;
use tower::BoxError;
use tower_session_auth::{
    AgentId, AuthError, SessionId,
    session::Constraints,
    store::{AgentStore, SessionCursor, SessionStore},
};

use super::paging::{self, Paging};
use crate::{
    app::App,
    input::{self, Query},
    output::{self, Answer, IssuedBody, RevokedBody, SessionBody},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CreateSession {
    agent_id: Option<AgentId>,
    ttl: Option<u64>,
    constraints: Option<Constraints>,
    max_renewals: Option<u32>,
    absolute_lifetime: Option<u64>,
}

pub(super) async fn create<S, B>(app: &App<S>, parts: &Parts, body: B) -> Answer
where
    S: SessionStore + AgentStore,
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let body: CreateSession = input::json(&parts.headers, body).await?;
    let agent_id = required("agentId", body.agent_id)?;
    let mut request = tower_session_auth::session::CreateSession::new(agent_id);
    request.ttl = body.ttl;
    request.constraints = body.constraints;
    request.max_renewals = body.max_renewals;
    request.absolute_lifetime = body.absolute_lifetime;
    let issued = app.sessions.create(request).await?;
    output::json(StatusCode::CREATED, &IssuedBody::created(&issued))
}

pub(super) async fn list<S: SessionStore + AgentStore>(app: &App<S>, uri: &Uri) -> Answer {
    let query = Query::read(uri, &["agentId", "limit", "cursor"])?;
    let agent = query.parse("agentId", str::parse::<AgentId>)?;
    let paging = Paging::read(&query, SessionCursor::decode)?;
    if let (Some(agent), Some(cursor)) = (agent, paging.request.after)
        && agent != cursor.agent
    {
        return Err(AuthError::invalid("cursor", "belongs to a list of another agent"));
    }
    let page = paging::first_filled(paging.request, |request| app.sessions.list(agent, request)).await?;
    let next = page.next.map(|next| {
        let filters: Vec<_> = agent.iter().map(|agent| ("agentId", agent.to_string())).collect();
        paging.link("/v1/sessions", &filters, &next.encode())
    });
    let now = app.clock.now();
    let sessions = page.items.into_iter().map(|record| SessionBody::new(record, now));
    output::page(&sessions.collect::<Vec<_>>(), next.as_deref())
}

pub(super) async fn get<S: SessionStore + AgentStore>(app: &App<S>, id: Option<&str>) -> Answer {
    let record = app.sessions.get(input::id(id)?).await?;
    output::json(StatusCode::OK, &SessionBody::new(record, app.clock.now()))
}

pub(super) async fn revoke<S: SessionStore + AgentStore>(app: &App<S>, id: Option<&str>) -> Answer {
    let id: SessionId = input::id(id)?;
    app.sessions.revoke(id).await?;
    output::json(StatusCode::OK, &RevokedBody::new(id))
}

/// The new token is answered to the administrator, who hands it on.
pub(super) async fn rotate<S: SessionStore + AgentStore>(app: &App<S>, id: Option<&str>) -> Answer {
    let issued = app.sessions.rotate(input::id(id)?).await?;
    output::json(StatusCode::OK, &IssuedBody::renewed(&issued))
}

pub(super) async fn revoke_all<S: SessionStore + AgentStore>(app: &App<S>, uri: &Uri) -> Answer {
    let query = Query::read(uri, &["agentId"])?;
    let agent = required("agentId", query.parse("agentId", str::parse::<AgentId>)?)?;
    let revoked = app.sessions.revoke_agent(agent).await?;
    output::json(
        StatusCode::OK,
        &json!({ "agentId": agent, "revokedSessions": revoked }),
    )
}

fn required<T>(name: &str, value: Option<T>) -> Result<T, AuthError> {
    value.ok_or_else(|| AuthError::invalid(name, "is required"))
}
