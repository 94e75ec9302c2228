//! An agent: it opens, uses, renews and ends sessions, one request at a time, and checks each response.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use http::{Method, Version};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    Soak,
    connection::{Answer, Connection, Moment},
    oracle::{EndReason, Ended, Token},
    random::Random,
    requests::{Outgoing, bearer, is_in_window, token},
};

/// The bound of a server with bounded freshness, which is the default of the setting.
const BOUND: Duration = Duration::from_millis(250);
/// How many tokens and sessions that have ended are remembered.
const KEPT: usize = 6;
/// Records of expired sessions are kept for 30 s.
const KEPT_AFTER_EXPIRY: u64 = 10;

pub(super) struct Agent {
    pub(super) soak: Arc<Soak>,
    pub(super) random: Random,
    pub(super) id: String,
    number: usize,
    /// Two connections: a retry comes over the second one, and may reach another server.
    connections: [Connection; 2],
    pub(super) verifying: Vec<Connection>,
    pub(super) session: Option<Session>,
    /// The tokens that have ended, or that were abandoned, each with its session.
    pub(super) past: VecDeque<(String, Token)>,
    pub(super) revoked: VecDeque<String>,
    keys: u64,
}

/// The open session of an agent.
pub(super) struct Session {
    pub(super) id: String,
    pub(super) token: Token,
    pub(super) renewals: u64,
    pub(super) constraints: Value,
    /// When the agent ends it.
    until: Instant,
}

impl Agent {
    /// Runs an agent until the test stops.
    pub(super) async fn run(soak: Arc<Soak>, number: usize) {
        // Each fourth agent speaks HTTP/2.
        let version = if number % 4 == 3 {
            Version::HTTP_2
        } else {
            Version::HTTP_11
        };
        let connection = || Connection::new(soak.balancer.address(), version);
        let services = soak.verifying.iter();
        let mut agent = Self {
            random: Random::new(number as u64),
            id: format!("00000000-0000-4000-8000-{number:012x}"),
            number,
            connections: [connection(), connection()],
            verifying: services
                .map(|service| Connection::new(service.address, Version::HTTP_11))
                .collect(),
            session: None,
            past: VecDeque::new(),
            revoked: VecDeque::new(),
            keys: 0,
            soak,
        };
        let body = json!({ "id": agent.id });
        let registration = agent.soak.admin(Method::POST, "/v1/agents", Some(body), None);
        if let Some(answer) = agent.send("registration", 0, registration).await {
            agent.check(answer.status == 201, "a registration", &answer);
        }
        while !agent.soak.tally.has_stopped() {
            if agent.step().await.is_none() {
                // The outcome is unknown, so the session is not used any more.
                agent.session = None;
                sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// One random request. `None` if a response was missing or wrong.
    async fn step(&mut self) -> Option<()> {
        let now = Moment::now();
        self.past
            .retain(|(_, token)| now.seconds < token.expires_at + KEPT_AFTER_EXPIRY);
        let Some(session) = &self.session else {
            return self.create().await;
        };
        if now.instant >= session.until || now.seconds >= session.token.expires_at {
            return self.end().await;
        }
        if now.seconds >= session.token.renew_after {
            return self.renew().await;
        }
        match self.random.below(100) {
            0..60 => self.access().await,
            60..70 => self.access_with_past_token().await,
            70..77 => self.access_with_wrong_token().await,
            77..87 => self.verify().await,
            87..89 => self.renew_too_early().await,
            89..93 => self.rotate().await,
            93..97 => self.list().await,
            _ => self.list_as_removed_administrator().await,
        }
    }

    /// Opens a session. Half of the requests are repeated, as if the first response had been lost.
    async fn create(&mut self) -> Option<()> {
        let key = self.fresh_key();
        let constraints = json!({ "key": key, "agent": self.number });
        let body = json!({ "agentId": self.id, "constraints": constraints });
        let request = self
            .soak
            .admin(Method::POST, "/v1/sessions", Some(body), Some(&key));
        let answer = self.send("creation", 0, request.clone()).await?;
        self.check(answer.status == 201, "a creation", &answer)?;
        if self.random.percent(50) {
            let again = self.send("creation, repeated", 1, request).await?;
            if is_in_window(&answer, &again) {
                let same = again.status == 201 && again.body == answer.body;
                self.check(same, "a repeated creation", &again)?;
            }
        }
        self.session = Some(Session {
            id: answer.body["id"].as_str()?.to_owned(),
            token: token(&answer)?,
            renewals: 0,
            constraints,
            until: answer.received.instant + self.lifetime(),
        });
        Some(())
    }

    /// Many sessions are short, so that there are many creations and revocations. The others are renewed.
    fn lifetime(&mut self) -> Duration {
        let longest = if self.random.percent(70) { 2_000 } else { 20_000 };
        Duration::from_millis(200 + self.random.next() % longest)
    }

    /// Ends the session: by the administrator, by the agent, with all sessions of the agent, or by its expiry.
    async fn end(&mut self) -> Option<()> {
        let session = self.session.take()?;
        let (id, token) = (session.id, session.token);
        let way = self.random.below(10);
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
                if answer.received.seconds >= expires_at && answer.code() == "TOKEN_EXPIRED" {
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
            _ => return Some(()),
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

    /// Sends a request to the balancer. `None` if no server has served it.
    pub(super) async fn send(
        &mut self,
        kind: &'static str,
        connection: usize,
        outgoing: Outgoing,
    ) -> Option<Answer> {
        let Outgoing { request, _admin } = outgoing;
        let answer = self.connections[connection].send(request).await;
        self.soak.served(kind, answer)
    }

    /// Reports a response that is not allowed. `None` then.
    pub(super) fn check(&self, allowed: bool, what: &str, answer: &Answer) -> Option<()> {
        self.soak
            .check(allowed, &format!("{what} of agent {}", self.number), answer)
    }

    /// The time for which the server of this response may still admit a token after its end.
    pub(super) fn bound(&self, answer: &Answer) -> Duration {
        let server = self.soak.balancer.server_of(answer.client);
        let strict = server.is_some_and(|number| !self.soak.files.servers()[number].bounded);
        if strict { Duration::ZERO } else { BOUND }
    }

    pub(super) fn fresh_key(&mut self) -> String {
        self.keys += 1;
        format!("soak-{}-{}", self.number, self.keys)
    }
}
