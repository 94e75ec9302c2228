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
    error::{AuthError, ErrorKind},
    id::AgentId,
    master_auth::Administrator,
    store::{Agent, AgentStore, RegisterOutcome, SessionStore},
};

const MAX_NAME_LEN: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateAgent {
    id: Option<AgentId>,
    name: Option<String>,
}

/// Registers an agent. A repetition has the same response. Another name for the same id is an error.
///
/// A key that is restricted to agents must name one of them.
pub(super) async fn create<S, B>(state: &State<S>, admin: &Administrator, parts: &Parts, body: B) -> Answer
where
    S: SessionStore + AgentStore,
    B: Body<Data: Send, Error: Into<BoxError>>,
{
    let request: CreateAgent = input::json(&parts.headers, body).await?;
    if let Some(name) = &request.name
        && (name.is_empty() || name.len() > MAX_NAME_LEN || name.chars().any(char::is_control))
    {
        let message = format!("must have 1 to {MAX_NAME_LEN} bytes and no control characters");
        return Err(AuthError::invalid_field("name", message));
    }
    let id = match request.id {
        Some(id) => id,
        None if admin.agents().is_some() => return Err(Administrator::other_agent()),
        None => random_id()?,
    };
    admin.require_agent(id)?;
    let mut agent = Agent::new(id, state.clock.now());
    agent.name = request.name;
    match state.store.register(&agent).await? {
        RegisterOutcome::Registered => output::json(StatusCode::CREATED, &AgentBody::from(agent)),
        RegisterOutcome::Exists(before) if before.name == agent.name => {
            output::json(StatusCode::CREATED, &AgentBody::from(before))
        }
        RegisterOutcome::Exists(_) => Err(AuthError::invalid_field(
            "id",
            "an agent with this id and another name exists",
        )),
    }
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
    output::json(StatusCode::OK, &json!({ "id": id, "revokedSessions": revoked }))
}

fn random_id() -> Result<AgentId, AuthError> {
    AgentId::generate().map_err(|error| AuthError::new(ErrorKind::InternalError).with_internal_cause(error))
}
