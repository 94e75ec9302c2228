//! Pages of long lists.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use super::{SessionStore, StoreError};
use crate::{
    id::{AgentId, SessionId},
    session::SessionRecord,
};

/// A request for a page of a list.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest<C> {
    /// The position after which the page begins. `None` for the first page.
    pub after: Option<C>,
    /// The maximum of items.
    pub limit: usize,
}

/// A page of a list.
#[derive(Debug, Clone)]
pub struct Page<T, C> {
    /// The items.
    pub items: Vec<T>,
    /// The position after which the next page begins. `None` on the last page.
    pub next: Option<C>,
}

/// A position in the list of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionCursor {
    /// The agent of the last item.
    pub agent: AgentId,
    /// The last session of that agent on the page. `None` if the page had none of its sessions.
    pub session: Option<SessionId>,
}

/// The text is not a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a cursor from a Link header")]
pub struct InvalidCursor;

impl SessionCursor {
    /// The opaque form for a URL.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut bytes = self.agent.as_uuid().as_bytes().to_vec();
        if let Some(session) = self.session {
            bytes.extend_from_slice(session.as_uuid().as_bytes());
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Parses the opaque form.
    ///
    /// # Errors
    /// If the text is not a cursor.
    pub fn decode(text: &str) -> Result<Self, InvalidCursor> {
        let bytes = decode_uuids(text)?;
        match *bytes.as_slice() {
            [agent] => Ok(Self {
                agent: AgentId::from_uuid(agent),
                session: None,
            }),
            [agent, session] => Ok(Self {
                agent: AgentId::from_uuid(agent),
                session: Some(SessionId::from_uuid(session)),
            }),
            _ => Err(InvalidCursor),
        }
    }
}

impl AgentId {
    /// The opaque form for a URL, as a position in the list of agents.
    #[must_use]
    pub fn encode_cursor(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.as_uuid().as_bytes())
    }

    /// Parses the opaque form.
    ///
    /// # Errors
    /// If the text is not a cursor.
    pub fn decode_cursor(text: &str) -> Result<Self, InvalidCursor> {
        match *decode_uuids(text)?.as_slice() {
            [agent] => Ok(Self::from_uuid(agent)),
            _ => Err(InvalidCursor),
        }
    }
}

fn decode_uuids(text: &str) -> Result<Vec<Uuid>, InvalidCursor> {
    if text.len() > 43 {
        return Err(InvalidCursor);
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
    let (uuids, rest) = bytes.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(InvalidCursor);
    }
    Ok(uuids.iter().copied().map(Uuid::from_bytes).collect())
}

/// A page of the sessions of some agents, by a call for each agent.
pub(super) async fn list_each<S: SessionStore>(
    store: &S,
    agents: &BTreeSet<AgentId>,
    page: PageRequest<SessionCursor>,
) -> Result<Page<SessionRecord, SessionCursor>, StoreError> {
    let first = page.after.map(|cursor| cursor.agent);
    let not_before = |agent: &&AgentId| first.is_none_or(|first| **agent >= first);
    let mut rest = agents.iter().filter(not_before).peekable();
    let mut items = Vec::new();
    while let Some(agent) = rest.next_if(|_| items.len() < page.limit) {
        let request = PageRequest {
            after: page.after.filter(|cursor| cursor.agent == *agent),
            limit: page.limit - items.len(),
        };
        let mut found = store.list(Some(*agent), request).await?;
        items.append(&mut found.items);
        if found.next.is_some() {
            return Ok(Page {
                items,
                next: found.next,
            });
        }
    }
    // The next page begins with the first session of the next agent.
    let next = rest.peek().map(|agent| SessionCursor {
        agent: **agent,
        session: None,
    });
    Ok(Page { items, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_round_trip_through_their_opaque_form() {
        let agent = AgentId::from_uuid(Uuid::from_u128(7));
        let session = SessionId::from_uuid(Uuid::from_u128(9));
        for session in [None, Some(session)] {
            let cursor = SessionCursor { agent, session };
            assert_eq!(SessionCursor::decode(&cursor.encode()), Ok(cursor));
        }
        assert_eq!(AgentId::decode_cursor(&agent.encode_cursor()), Ok(agent));
    }

    #[test]
    fn malformed_cursor_is_rejected() {
        for text in ["", "x", "AAAA", "AAAAAAAAAAAAAAAAAAAAAB", "????"] {
            assert_eq!(SessionCursor::decode(text), Err(InvalidCursor), "{text}");
            assert_eq!(AgentId::decode_cursor(text), Err(InvalidCursor), "{text}");
        }
        assert_eq!(SessionCursor::decode(&"A".repeat(64)), Err(InvalidCursor));
    }
}
