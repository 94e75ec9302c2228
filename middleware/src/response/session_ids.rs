use crate::id::{AgentId, SessionId};

/// The session behind a response, for outer layers to log. The feature `endpoints` puts it into the extensions of each response to a
/// request with a valid session token. The layers add no extension to a response, since that costs an allocation for each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionIds {
    /// The session's id.
    pub session_id: SessionId,
    /// The agent's id.
    pub agent_id: AgentId,
}

impl SessionIds {
    /// A session and its agent.
    #[must_use]
    pub const fn new(session_id: SessionId, agent_id: AgentId) -> Self {
        Self { session_id, agent_id }
    }
}
