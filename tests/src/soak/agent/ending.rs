//! The end of sessions and tokens.

use http::Method;

use super::Agent;
use crate::soak::{
    connection::Answer,
    oracle::{EndReason, Ended, Token},
    requests::{bearer, is_expired, token},
};

/// How many tokens and sessions that have ended are remembered.
const KEPT: usize = 6;

impl Agent {
    /// Ends the session: by the administrator, by the agent, with all sessions of the agent, or by its expiry.
    pub(super) async fn end(&mut self) -> Option<()> {
        let session = self.session.take()?;
        let (id, token) = (session.id, session.token);
        // A session that is abandoned takes one of five places until its expiry.
        let way = self.random.below(if self.abandoned.len() < 2 { 10 } else { 9 });
        let expires_at = token.expires_at;
        let text = token.text.clone();
        self.remember(id.clone(), token);
        let answer = match way {
            0..4 => {
                let request = self
                    .soak
                    .admin(Method::DELETE, &format!("/v1/sessions/{id}"), None, None);
                let answer = self.send("revocation", 0, request).await?;
                let revoked = answer.status == 200 && answer.body["status"] == "REVOKED";
                self.check(revoked, "a revocation", &answer)?;
                answer
            }
            4..7 => {
                let request = bearer(Method::DELETE, "/v1/session", &text);
                let answer = self.send("revocation by the agent", 0, request).await?;
                if is_expired(&answer, expires_at) {
                    return Some(());
                }
                let revoked = answer.status == 200 && answer.body["status"] == "REVOKED";
                self.check(revoked, "a revocation by the agent", &answer)?;
                answer
            }
            7..9 => {
                let path = format!("/v1/sessions?agentId={}", self.id);
                let request = self.soak.admin(Method::DELETE, &path, None, None);
                let answer = self.send("revocation of all sessions", 0, request).await?;
                self.check(answer.status == 200, "a revocation of all sessions", &answer)?;
                let sessions: Vec<_> = self.past.iter().map(|(session, _)| session.clone()).collect();
                for session in sessions {
                    self.active_session_was_revoked(&session, &answer);
                }
                return Some(());
            }
            _ => {
                self.abandoned.push(expires_at);
                return Some(());
            }
        };
        self.session_was_revoked(&id, &answer);
        Some(())
    }

    /// Like [`session_was_revoked`](Self::session_was_revoked), for a request that does not revoke expired sessions.
    fn active_session_was_revoked(&mut self, session: &str, answer: &Answer) {
        let mut tokens = self
            .past
            .iter()
            .filter(|(id, _)| id == session)
            .map(|(_, token)| token);
        if tokens.any(|token| answer.received.seconds < token.expires_at) {
            self.session_was_revoked(session, answer);
        } else {
            // It may have expired before or after.
            self.past.retain(|(id, _)| id != session);
        }
    }

    fn session_was_revoked(&mut self, session: &str, answer: &Answer) {
        for (_, token) in self.past.iter_mut().filter(|(id, _)| id == session) {
            token.ended = Some(Ended {
                reason: EndReason::Revoked,
                confirmed: answer.received.instant,
            });
        }
        self.revoked.push_back(session.to_owned());
        if self.revoked.len() > KEPT {
            self.revoked.pop_front();
        }
    }

    /// The new token of the session, after the old one was replaced.
    pub(super) fn replaced(&mut self, answer: &Answer) -> Option<()> {
        let new = token(answer)?;
        let session = self.session.as_mut()?;
        let mut old = std::mem::replace(&mut session.token, new);
        old.ended = Some(Ended {
            reason: EndReason::Superseded,
            confirmed: answer.received.instant,
        });
        let id = session.id.clone();
        self.remember(id, old);
        Some(())
    }

    fn remember(&mut self, session: String, token: Token) {
        self.past.push_back((session, token));
        if self.past.len() > KEPT {
            self.past.pop_front();
        }
    }
}
