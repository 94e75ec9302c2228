use super::{SessionManager, key_reused};
use crate::{
    error::{AuthError, ErrorKind},
    id::AgentId,
    session::{CreationId, CreationKey, RequestHash},
    store::{Agent, AgentReservation, AgentStore, RegisterOutcome, SessionStore, StoreError},
};

pub(crate) const MAX_NAME_LEN: usize = 200;

/// A request to register an agent.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RegisterAgent {
    /// The agent's id. `None` for a random one.
    pub id: Option<AgentId>,
    /// A name for people: 1 to 200 bytes without control characters.
    pub name: Option<String>,
    /// Makes the registration repeatable within the [retry
    /// window](crate::session::ReplacedTokenPolicy::retry_window): the same key and request give the same agent.
    pub idempotency_key: Option<CreationKey>,
}

impl<S: SessionStore + AgentStore> SessionManager<S> {
    /// Registers an agent. A repetition with the same id and name, or with the same idempotency key, returns the same agent.
    ///
    /// # Errors
    /// `ValidationFailed`: the name is not valid, an agent with this id and another name exists, or the idempotency key was used
    /// with another request. `AgentNotFound`: the agent of the first request was deleted since. `StoreUnavailable`,
    /// `InternalError`.
    pub async fn register_agent(&self, request: RegisterAgent) -> Result<Agent, AuthError> {
        if let Some(name) = &request.name
            && (name.is_empty() || name.len() > MAX_NAME_LEN || name.chars().any(char::is_control))
        {
            let message = format!("must have 1 to {MAX_NAME_LEN} bytes and no control characters");
            return Err(AuthError::invalid_field("name", message));
        }
        let hash = RequestHash::of_agent(request.id, request.name.as_deref());
        let id = match request.id {
            Some(id) => id,
            None => AgentId::generate()
                .map_err(|error| AuthError::new(ErrorKind::InternalError).with_internal_cause(error))?,
        };
        let mut agent = Agent::new(id, self.clock.now());
        agent.name = request.name;
        let key = request.idempotency_key.as_ref();
        let retry = key.and_then(|key| self.retry(CreationId::of_agent(key), hash, agent.created_at));
        if let Some(retry) = retry {
            let reservation = AgentReservation::new(retry, agent.id, agent.created_at);
            let reserved = self.store.reserve(&reservation).await?;
            if reserved.retry.request != hash {
                return Err(key_reused());
            }
            (agent.id, agent.created_at) = (reserved.agent, reserved.created_at);
        }
        match self.store.register(&agent).await? {
            RegisterOutcome::Registered => Ok(agent),
            RegisterOutcome::Exists(before) if before.name == agent.name => Ok(before),
            RegisterOutcome::Exists(_) => Err(AuthError::invalid_field(
                "id",
                "an agent with this id and another name exists",
            )),
            RegisterOutcome::Deleted if retry.is_some() => Err(ErrorKind::AgentNotFound.into()),
            RegisterOutcome::Deleted => {
                Err(StoreError::Unavailable("the agent was deleted at the same time".into()).into())
            }
        }
    }
}
