//! The precise reason of a rejection and its context. For logs only.

use super::RejectionReason;
use crate::id::{AgentId, SessionId};

/// The beginning of a key id (PASERK, type `pid`).
const KEY_ID_HEADER: &str = "k4.pid.";
/// The length of the rest of a key id: 33 bytes in base64.
const KEY_ID_LEN: usize = 44;

/// The precise reason of a rejection with its context. It contains no byte of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Diagnosis {
    pub(crate) reason: RejectionReason,
    /// The key that the footer of the token names: only a text that has the form of a key id.
    pub(crate) key_id: Option<Box<str>>,
    /// The session and its agent: only from a token with a valid signature.
    pub(crate) session: Option<(SessionId, AgentId)>,
    /// The scopes that the session lacks, for the challenge.
    pub(crate) required_scope: Option<Box<str>>,
}

impl Diagnosis {
    pub(crate) const fn new(reason: RejectionReason) -> Self {
        Self {
            reason,
            key_id: None,
            session: None,
            required_scope: None,
        }
    }

    /// Adds the key id of an untrusted footer, unless it has another form than a key id.
    pub(crate) fn with_key_id(mut self, key_id: &str) -> Self {
        self.set_key_id(key_id);
        self
    }

    /// See [`with_key_id`](Self::with_key_id).
    pub(crate) fn set_key_id(&mut self, key_id: &str) {
        self.key_id = is_key_id(key_id).then(|| key_id.into());
    }

    pub(crate) fn with_session(mut self, session: SessionId, agent: AgentId) -> Self {
        self.session = Some((session, agent));
        self
    }
}

/// True if a text of a client has the form of a key id. Only such a text is logged.
fn is_key_id(text: &str) -> bool {
    text.strip_prefix(KEY_ID_HEADER).is_some_and(|id| {
        let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        id.len() == KEY_ID_LEN && id.bytes().all(is_base64url)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_text_in_the_form_of_a_key_id_is_kept() {
        let id = "A".repeat(43);
        for (text, kept) in [
            (format!("k4.pid.{id}_"), true),
            (format!("k4.pid.{id}"), false),
            (format!("k4.pid.{id}__"), false),
            (format!("k4.pid.{id}\n"), false),
            (format!("k4.pid.{id}="), false),
            (format!("k4.sid.{id}_"), false),
            (String::new(), false),
            ("hunter2".to_owned(), false),
        ] {
            let diagnosis = Diagnosis::new(RejectionReason::UnknownKey).with_key_id(&text);
            assert_eq!(diagnosis.key_id.is_some(), kept, "{text}");
        }
    }
}
