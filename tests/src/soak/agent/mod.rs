//! An agent: it opens, uses, renews and ends sessions, one request at a time, and checks each response.

mod ending;
mod steps;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use http::{Method, Version};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    Soak,
    connection::{Answer, Connection, Moment},
    oracle::Token,
    random::Random,
    requests::{Outgoing, is_in_window, token},
};

/// The bound of a server with bounded freshness, which is the default of the setting.
const BOUND: Duration = Duration::from_millis(250);
/// Records of expired sessions are kept for 30 s.
const KEPT_AFTER_EXPIRY: u64 = 10;

pub(super) struct Agent {
    soak: Arc<Soak>,
    random: Random,
    id: String,
    number: usize,
    /// Two connections: a retry comes over the second one, and may reach another server.
    connections: [Connection; 2],
    verifying: Vec<Connection>,
    session: Option<Session>,
    /// The tokens that have ended, or that were abandoned, each with its session.
    past: VecDeque<(String, Token)>,
    revoked: VecDeque<String>,
    /// The expiry of each session that still takes a place of the agent.
    abandoned: Vec<u64>,
    keys: u64,
}

/// The open session of an agent.
struct Session {
    id: String,
    token: Token,
    renewals: u64,
    constraints: Value,
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
            abandoned: Vec::new(),
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

    /// One random request. `None` if the state of the session is unknown after it.
    async fn step(&mut self) -> Option<()> {
        let now = Moment::now();
        self.past
            .retain(|(_, token)| now.seconds < token.expires_at + KEPT_AFTER_EXPIRY);
        self.abandoned.retain(|expires_at| now.seconds <= *expires_at);
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
            // These change nothing, so a failure has no consequence.
            0..60 => drop(self.access().await),
            60..70 => drop(self.access_with_past_token().await),
            70..77 => drop(self.access_with_wrong_token().await),
            77..87 => drop(self.verify().await),
            87..91 => drop(self.list().await),
            91..94 => drop(self.list_as_removed_administrator().await),
            94..96 => return self.renew_too_early().await,
            _ => return self.rotate().await,
        }
        Some(())
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
            } else if again.status == 201 && again.body != answer.body {
                // After the window, this is another session.
                self.abandoned.extend(token(&again).map(|token| token.expires_at));
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

    /// Sends a request to the balancer. `None` if no server has served it.
    async fn send(&mut self, kind: &'static str, connection: usize, outgoing: Outgoing) -> Option<Answer> {
        let Outgoing { request, _admin } = outgoing;
        let answer = self.connections[connection].send(request).await;
        self.soak.served(kind, answer)
    }

    /// Reports a response that is not allowed. `None` then.
    fn check(&self, allowed: bool, what: &str, answer: &Answer) -> Option<()> {
        self.soak
            .check(allowed, &format!("{what} of agent {}", self.number), answer)
    }

    /// The time for which the server of this response may still admit a token after its end.
    fn bound(&self, answer: &Answer) -> Duration {
        let server = self.soak.balancer.server_of(answer.client);
        let strict = server.is_some_and(|number| !self.soak.files.servers()[number].bounded);
        if strict { Duration::ZERO } else { BOUND }
    }

    fn fresh_key(&mut self) -> String {
        self.keys += 1;
        format!("soak-{}-{}", self.number, self.keys)
    }
}
