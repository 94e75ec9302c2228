//! `/v1/agents`: the agents that sessions are opened for.

use bytes::Bytes;
use http::{StatusCode, Uri, request::Parts};
use http_body::Body;
use serde::Deserialize;
use serde_json::json;
use tower::BoxError;
use tower_session_auth::{
    AgentId, AuthError, ErrorKind,
    store::{Agent, AgentStore, RegisterOutcome},
};

use super::paging::{self, Paging};
use crate::{
    app::App,
    input::{self, Query},
    output::{self, AgentBody, Answer},
};

const MAX_NAME_LEN: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateAgent {
    id: Option<AgentId>,
    name: Option<String>,
}

/// Repeating a registration answers like the first time; another name for the same id is refused.
pub(super) async fn create<S, B>(app: &App<S>, parts: &Parts, body: B) -> Answer
where
    S: AgentStore,
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let request: CreateAgent = input::json(&parts.headers, body).await?;
    if let Some(name) = &request.name
        && (name.is_empty() || name.len() > MAX_NAME_LEN || name.chars().any(char::is_control))
    {
        let message = format!("must have 1 to {MAX_NAME_LEN} bytes and no control characters");
        return Err(AuthError::invalid("name", message));
    }
    let agent = Agent {
        id: match request.id {
            Some(id) => id,
            None => random_id()?,
        },
        name: request.name,
        created_at: app.clock.now(),
    };
    match app.store.register(&agent).await? {
        RegisterOutcome::Done => output::json(StatusCode::CREATED, &AgentBody::from(agent)),
        RegisterOutcome::Exists(before) if before.name == agent.name => {
            output::json(StatusCode::CREATED, &AgentBody::from(before))
        }
        RegisterOutcome::Exists(_) => Err(AuthError::invalid(
            "id",
            "there is an agent with this id and another name",
        )),
    }
}

pub(super) async fn list<S: AgentStore>(app: &App<S>, uri: &Uri) -> Answer {
    let query = Query::read(uri, &["limit", "cursor"])?;
    let paging = Paging::read(&query, AgentId::decode_cursor)?;
    let page = paging::first_filled(paging.request, |request| app.store.agents(request)).await?;
    let next = page
        .next
        .map(|next| paging.link("/v1/agents", &[], &next.encode_cursor()));
    let agents: Vec<_> = page.items.into_iter().map(AgentBody::from).collect();
    output::page(&agents, next.as_deref())
}

pub(super) async fn get<S: AgentStore>(app: &App<S>, id: Option<&str>) -> Answer {
    let agent = app.store.agent(input::id(id)?).await?;
    let agent = agent.ok_or(ErrorKind::AgentNotFound)?;
    output::json(StatusCode::OK, &AgentBody::from(agent))
}

pub(super) async fn delete<S: AgentStore>(app: &App<S>, id: Option<&str>) -> Answer {
    let id: AgentId = input::id(id)?;
    let revoked = app.store.delete_agent(id, app.clock.now()).await?;
    let revoked = revoked.ok_or(ErrorKind::AgentNotFound)?;
    output::json(StatusCode::OK, &json!({ "id": id, "revokedSessions": revoked }))
}

fn random_id() -> Result<AgentId, AuthError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| ErrorKind::InternalError)?;
    Ok(AgentId::from_uuid(
        uuid::Builder::from_random_bytes(random).into_uuid(),
    ))
}
