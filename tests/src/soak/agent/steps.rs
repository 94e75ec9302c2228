//! The steps of an agent that do not create or end its session.

use http::Method;
use serde_json::Value;

use super::Agent;
use crate::soak::{
    connection::{Answer, Moment},
    oracle::Token,
    requests::{Outgoing, bearer, is_expired, is_in_window, token, with_key},
    verifying,
};

const OWN_SESSION: &str = "/v1/session";

impl Agent {
    pub(super) async fn access(&mut self) -> Option<()> {
        let session = self.session.as_ref()?;
        let (token, renewals) = (session.token.clone(), session.renewals);
        let (id, constraints) = (session.id.clone(), session.constraints.clone());
        let connection = self.random.below(2);
        let request = bearer(Method::GET, OWN_SESSION, &token.text);
        let answer = self.send("access", connection, request).await?;
        self.check_access(&token, "a current token", &answer)?;
        if answer.status == 200 {
            let body = &answer.body;
            let right = body["id"] == *id
                && body["agentId"] == *self.id
                && body["status"] == "ACTIVE"
                && body["renewalCount"] == renewals
                && body["expiresAt"] == token.expires_at
                && body["constraints"] == constraints;
            self.check(right, "the session of a token", &answer)?;
        }
        Some(())
    }

    pub(super) async fn access_with_past_token(&mut self) -> Option<()> {
        if self.past.is_empty() {
            return Some(());
        }
        let (_, token) = self.past[self.random.below(self.past.len())].clone();
        let connection = self.random.below(2);
        let request = bearer(Method::GET, OWN_SESSION, &token.text);
        let answer = self.send("access with a past token", connection, request).await?;
        let mut what = format!(
            "a token, sent at {} with expiry {},",
            answer.sent.seconds, token.expires_at
        );
        if let Some(ended) = token.ended {
            let age = answer.sent.instant.saturating_duration_since(ended.confirmed);
            what = format!("{what} {:?} for {age:?},", ended.reason);
        }
        self.check_access(&token, &what, &answer)
    }

    fn check_access(&self, token: &Token, what: &str, answer: &Answer) -> Option<()> {
        let allowed = token.allowed(answer.sent, answer.received, self.bound(answer));
        let right = match answer.status {
            200 => allowed.admitted,
            401 => allowed.codes.contains(&answer.code()),
            _ => false,
        };
        self.check(right, what, answer)
    }

    /// No token, a token with another signature, or no token of this system.
    pub(super) async fn access_with_wrong_token(&mut self) -> Option<()> {
        let mut request = bearer(Method::GET, OWN_SESSION, &self.wrong_token()?);
        if self.random.percent(20) {
            request.request.headers_mut().remove("authorization");
        }
        let answer = self.send("access with a wrong token", 0, request).await?;
        self.check(is_invalid(&answer), "a wrong token", &answer)
    }

    fn wrong_token(&mut self) -> Option<String> {
        let token = &self.session.as_ref()?.token.text;
        Some(match self.random.below(3) {
            0 => "no token".to_owned(),
            1 => token.replace("wai_sess_", "other_"),
            _ => {
                // A character in the middle belongs to the claims, and is covered by the signature.
                let middle = token.len() / 2;
                let other = if token.as_bytes()[middle] == b'A' {
                    "B"
                } else {
                    "A"
                };
                let mut changed = token.clone();
                changed.replace_range(middle..=middle, other);
                changed
            }
        })
    }

    /// Uses a service that verifies without a store.
    pub(super) async fn verify(&mut self) -> Option<()> {
        let token = self.session.as_ref()?.token.clone();
        let wrong = self.random.percent(10);
        let text = if wrong {
            self.wrong_token()?
        } else {
            token.text.clone()
        };
        let service = self.random.below(self.verifying.len());
        let Outgoing { request, .. } = bearer(Method::GET, verifying::PATH, &text);
        let answer = self.verifying[service].send(request).await;
        let answer = self.soak.served("access to a verifying service", answer)?;
        let right = if wrong {
            is_invalid(&answer)
        } else if answer.status == 200 {
            answer.sent.seconds < token.expires_at && answer.body == verifying::RESPONSE
        } else {
            is_expired(&answer, token.expires_at)
        };
        self.check(right, "a verifying service", &answer)
    }

    /// Renews the session. Some requests are repeated with the same key, and some with the old token alone.
    pub(super) async fn renew(&mut self) -> Option<()> {
        let session = self.session.as_ref()?;
        let (path, old) = (
            format!("/v1/sessions/{}/renew", session.id),
            session.token.clone(),
        );
        let key = self.fresh_key();
        let request = with_key(Method::PUT, &path, &old.text, Some(&key));
        let answer = self.send("renewal", 0, request.clone()).await?;
        if is_expired(&answer, old.expires_at) {
            self.session = None;
            return Some(());
        }
        let renewals = self.session.as_ref()?.renewals + 1;
        let right = answer.status == 200 && answer.body["renewalCount"] == renewals;
        self.check(right, "a renewal", &answer)?;
        self.session.as_mut()?.renewals = renewals;
        self.replaced(&answer)?;
        match self.random.below(10) {
            0..4 => {
                let again = self.send("renewal, repeated", 1, request).await?;
                if is_in_window(&answer, &again) && again.received.seconds < old.expires_at {
                    let same = again.status == 200 && token(&again)?.text == token(&answer)?.text;
                    self.check(same, "a repeated renewal", &again)?;
                }
            }
            4..6 => {
                let request = bearer(Method::PUT, &path, &old.text);
                let again = self.send("renewal with a past token", 1, request).await?;
                let right = again.status == 403 && again.code() == "SESSION_RENEWAL_MISMATCH";
                self.check(right, "a renewal with a past token", &again)?;
            }
            _ => {}
        }
        Some(())
    }

    pub(super) async fn renew_too_early(&mut self) -> Option<()> {
        let session = self.session.as_ref()?;
        let (path, token) = (
            format!("/v1/sessions/{}/renew", session.id),
            session.token.clone(),
        );
        let ttl = self.soak.options.ttl;
        // There is some time left, so that the answer arrives in time.
        if !token.is_too_young(Moment::now(), ttl) {
            return Some(());
        }
        let request = bearer(Method::PUT, &path, &token.text);
        let answer = self.send("renewal, too early", 0, request).await?;
        if answer.status == 200 && !token.is_too_young(answer.received, ttl) {
            self.session.as_mut()?.renewals += 1;
            return self.replaced(&answer);
        }
        let right = answer.status == 403 && answer.code() == "RENEWAL_TOO_EARLY";
        self.check(right, "a renewal that is too early", &answer)
    }

    /// The administrator replaces the token.
    pub(super) async fn rotate(&mut self) -> Option<()> {
        let session = self.session.as_ref()?;
        let (path, expires_at) = (
            format!("/v1/sessions/{}/rotate", session.id),
            session.token.expires_at,
        );
        let request = self.soak.admin(Method::POST, &path, None, None);
        let answer = self.send("rotation", 0, request).await?;
        if answer.code() == "TOKEN_EXPIRED" && answer.received.seconds >= expires_at {
            self.session = None;
            return Some(());
        }
        self.check(answer.status == 200, "a rotation", &answer)?;
        self.replaced(&answer)
    }

    /// The administrator lists the sessions of the agent.
    pub(super) async fn list(&mut self) -> Option<()> {
        let session = self.session.as_ref()?;
        let (id, expires_at) = (session.id.clone(), session.token.expires_at);
        let path = format!("/v1/sessions?agentId={}", self.id);
        let request = self.soak.admin(Method::GET, &path, None, None);
        let answer = self.send("list", 0, request).await?;
        let sessions = answer.body.as_array().cloned().unwrap_or_default();
        let listed = |id: &str| sessions.iter().find(|session| session["id"] == id);
        let is_active = |session: &Value| session["status"] == "ACTIVE";
        let own =
            listed(&id).is_some_and(|session| is_active(session) || answer.received.seconds >= expires_at);
        let none_revoked = self.revoked.iter().all(|id| listed(id).is_none());
        self.check(
            answer.status == 200 && own && none_revoked,
            "a list of sessions",
            &answer,
        )
    }

    pub(super) async fn list_as_removed_administrator(&mut self) -> Option<()> {
        let removed = self.soak.admins.removed();
        let path = format!("/v1/sessions?agentId={}", self.id);
        let request = bearer(Method::GET, &path, removed.expose());
        let answer = self.send("list with a removed admin key", 0, request).await?;
        let right = answer.status == 401 && answer.code() == "INVALID_MASTER_PASSWORD";
        self.check(right, "a removed admin key", &answer)
    }
}

fn is_invalid(answer: &Answer) -> bool {
    answer.status == 401 && answer.code() == "INVALID_TOKEN"
}
