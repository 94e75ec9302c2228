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
    state::State,
};
use crate::{
    api::AgentBody,
    error::ErrorKind,
    id::AgentId,
    manager::RegisterAgent,
    store::{AgentStore, SessionStore},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateAgent {
    id: Option<AgentId>,
    name: Option<String>,
}

/// Registers an agent. A repetition with the same id and name, or with the same idempotency key, has the same response.
pub(super) async fn create<S, B>(state: &State<S>, parts: &Parts, body: B) -> Answer
where
    S: SessionStore + AgentStore,
    B: Body<Data: Send, Error: Into<BoxError>>,
{
    let mut request = RegisterAgent::default();
    request.idempotency_key = input::creation_key(parts)?;
    let body: CreateAgent = input::json(&parts.headers, body).await?;
    (request.id, request.name) = (body.id, body.name);
    let agent = state.sessions.register_agent(request).await?;
    output::json(StatusCode::CREATED, &AgentBody::from(agent))
}

pub(super) async fn list<S: SessionStore + AgentStore>(state: &State<S>, uri: &Uri) -> Answer {
    let query = Query::read(uri, &["limit", "cursor"])?;
    let paging = Paging::read(&query, AgentId::decode_cursor)?;
    let page = paging::first_filled(paging.request, |request| state.store.agents(request)).await?;
    let next = page.next.map(|next| paging.next(&[], &next.encode_cursor()));
    let agents: Vec<_> = page.items.into_iter().map(AgentBody::from).collect();
    output::page(&agents, next.as_deref())
}

pub(super) async fn get<S: SessionStore + AgentStore>(state: &State<S>, id: Option<&str>) -> Answer {
    let agent = state.store.agent(input::id(id)?).await?;
    let agent = agent.ok_or(ErrorKind::AgentNotFound)?;
    output::json(StatusCode::OK, &AgentBody::from(agent))
}

pub(super) async fn delete<S: SessionStore + AgentStore>(state: &State<S>, id: Option<&str>) -> Answer {
    let id: AgentId = input::id(id)?;
    let revoked = state.store.delete_agent(id, state.clock.now()).await?;
    let revoked = revoked.ok_or(ErrorKind::AgentNotFound)?;
    output::json(StatusCode::OK, &json!({ "id": id, "revokedSessions": revoked }))
}
