//! `/v1/agents`: the agents that sessions are created for.

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
    api::AgentBody,
    error::ErrorKind,
    id::AgentId,
    manager::RegisterAgent,
    master_auth::Administrator,
    store::{AgentStore, SessionStore},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateAgent {
    id: Option<AgentId>,
    name: Option<String>,
}

/// Registers an agent. A repetition with the same id and name, or with the same idempotency key, has the same response.
///
/// A key that is restricted to agents must name one of them.
pub(super) async fn create<S, B>(state: &State<S>, admin: &Administrator, parts: &Parts, body: B) -> Answer
where
    S: SessionStore + AgentStore,
    B: Body<Data: Send, Error: Into<BoxError>>,
{
    let idempotency_key = input::creation_key(admin, parts)?;
    let body: CreateAgent = input::json(&parts.headers, body).await?;
    match body.id {
        Some(id) => admin.require_agent(id)?,
        None if admin.agents().is_some() => return Err(Administrator::other_agent()),
        None => {}
    }
    let request = RegisterAgent {
        id: body.id,
        name: body.name,
        idempotency_key,
    };
    let agent = state.sessions.register_agent(request).await?;
    output::json(StatusCode::CREATED, &AgentBody::from(agent))
}

pub(super) async fn list<S: SessionStore + AgentStore>(
    state: &State<S>,
    admin: &Administrator,
    uri: &Uri,
) -> Answer {
    let query = Query::read(uri, &["limit", "cursor"])?;
    let paging = Paging::read(&query, AgentId::decode_cursor)?;
    let page = match admin.agents() {
        None => paging::first_filled(paging.request, |request| state.store.agents(request)).await?,
        Some(permitted) => permitted::agents(&state.store, permitted, paging.request).await?,
    };
    let next = page.next.map(|next| paging.next(&[], &next.encode_cursor()));
    let agents: Vec<_> = page.items.into_iter().map(AgentBody::from).collect();
    output::page(&agents, next.as_deref())
}

pub(super) async fn get<S: SessionStore + AgentStore>(
    state: &State<S>,
    admin: &Administrator,
    id: Option<&str>,
) -> Answer {
    let id: AgentId = input::id(id)?;
    admin.require_agent(id)?;
    let agent = state.store.agent(id).await?;
    let agent = agent.ok_or(ErrorKind::AgentNotFound)?;
    output::json(StatusCode::OK, &AgentBody::from(agent))
}

pub(super) async fn delete<S: SessionStore + AgentStore>(
    state: &State<S>,
    admin: &Administrator,
    id: Option<&str>,
) -> Answer {
    let id: AgentId = input::id(id)?;
    admin.require_agent(id)?;
    let revoked = state.store.delete_agent(id, state.clock.now()).await?;
    let revoked = revoked.ok_or(ErrorKind::AgentNotFound)?;
    let body = json!({ "id": id, "revokedSessions": revoked.active });
    output::agent_revocation(revoked.durable, body)
}
