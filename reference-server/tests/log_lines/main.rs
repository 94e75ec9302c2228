//! The log lines of the server: one for each request, with the precise reason of a refusal.

#![allow(clippy::expect_used, clippy::disallowed_methods, clippy::panic)]

mod administrators;

use std::{
    fs::{self, File},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use http::{Request, request::Builder};
use http_body_util::Full;
use serde_json::Value;
use session_auth_tests::{
    api::{Api, Issued, Reply},
    folder::Folder,
    free_address::free_address,
    server::{PASSWORD, cheap_hash},
};
use tower_session_auth::{
    SigningKey,
    clock::{Clock as _, SystemClock},
    token::{Claims, TokenSigner},
};

/// A server process whose log goes to a file. Both end on drop.
struct Server {
    process: Child,
    folder: Folder,
    api: Api,
    key: SigningKey,
}

impl Server {
    async fn start(name: &str, arguments: &[&str]) -> Self {
        let folder = Folder::new(name);
        let key = SigningKey::generate().expect("a key");
        let key_file = folder.join("keys");
        fs::write(&key_file, key.to_paserk()).expect("a key file");
        let address = free_address();
        let log = File::create(folder.join("log")).expect("a log file");
        let process = Command::new(env!("CARGO_BIN_EXE_session-auth-server"))
            .env_clear()
            .args(["--listen", &address.to_string(), "--log-format", "json"])
            .arg("--key-file")
            .arg(&key_file)
            .args(["--master-password-hash", &cheap_hash()])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("a server");
        let server = Self {
            process,
            folder,
            api: Api::new(address, PASSWORD),
            key,
        };
        let began = Instant::now();
        while server
            .api
            .try_anonymous(http::Method::GET, "/healthz")
            .await
            .is_none()
        {
            assert!(
                began.elapsed() < Duration::from_secs(15),
                "the server does not start"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).expect("a log")
    }

    /// The lines of the log, each a JSON object.
    fn lines(&self) -> Vec<Value> {
        let log = self.log();
        let complete = log.rsplit_once('\n').map_or("", |(lines, _)| lines);
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        complete.lines().map(parse).collect()
    }

    /// The lines about the request with this id. Waits until the log has the line of its response: it is written in the background.
    fn lines_about(&self, id: &str) -> Vec<Value> {
        for _ in 0..500 {
            let mut lines = self.lines();
            lines.retain(|line| line["span"]["id"] == id);
            if lines
                .iter()
                .any(|line| line["target"] == "session_auth_server::access_log")
            {
                return lines;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Vec::new()
    }

    /// The only line about a refused request.
    fn refusal(&self, id: &str) -> Value {
        let mut lines = self.lines_about(id);
        // The use of an administrator's credential has a line of its own.
        lines.retain(|line| line["target"] != "tower_session_auth::security");
        assert_eq!(lines.len(), 1, "{id}: {lines:?}");
        let line = lines.remove(0);
        assert_eq!(line["message"], "request refused", "{line}");
        line
    }

    async fn send(&self, request: Builder, id: &str, body: &'static str) -> Reply {
        let request = request.header("x-request-id", id).body(Full::from(body));
        self.api.send(request.expect("a request")).await
    }

    async fn session(&self) -> Issued {
        self.api.session(&self.api.agent().await).await
    }

    fn claims_of(&self, session: &Issued) -> Claims {
        let now = SystemClock.now();
        let agent = session.body["agentId"].as_str().expect("an agent");
        Claims::new(
            session.id.parse().expect("an id"),
            agent.parse().expect("an id"),
            0,
            now,
            now.plus(60),
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn get(path: &str) -> Builder {
    Request::get(path)
}

fn with_token(token: &str) -> Builder {
    get("/v1/session").header("authorization", format!("Bearer {token}"))
}

/// Replaces one character of the signature.
fn forged(token: &str) -> String {
    let at = token.rfind('.').expect("a footer") - 10;
    let by = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
    format!("{}{by}{}", &token[..at], &token[at + 1..])
}

/// A request with its body, and the line that it must have: status, code, reason, key id, session.
type Row<'a> = (
    Builder,
    &'static str,
    u16,
    &'a str,
    &'a str,
    Option<&'a str>,
    Option<&'a Issued>,
);

#[tokio::test]
async fn each_refused_request_has_one_line_with_its_precise_reason() {
    let server = Server::start("refusals", &["--trusted-proxies", "127.0.0.0/8"]).await;
    let (live, revoked) = (server.session().await, server.session().await);
    server.api.revoke(&revoked.id).await.expect(200);
    let kid = server.key.verifying_key().id().to_owned();
    let sign = |signer: TokenSigner| {
        let token = signer.sign(&server.claims_of(&live)).expect("a token");
        token.expose().to_owned()
    };
    let own = || TokenSigner::new(server.key.clone());
    let stranger = SigningKey::generate().expect("a key");
    let stranger_kid = stranger.verifying_key().id().to_owned();
    let unknown_key = sign(TokenSigner::new(stranger));
    let issuer = sign(own().issuer("elsewhere"));
    let audience = sign(own().audience("api".to_owned()));
    let superseded = sign(own());
    let wrong_password = "hunter2-hunter2";
    let no_body = "";
    let rows: Vec<Row<'_>> = vec![
        (
            get("/v1/session"),
            no_body,
            401,
            "INVALID_TOKEN",
            "missing_token",
            None,
            None,
        ),
        (
            with_token(&unknown_key),
            no_body,
            401,
            "INVALID_TOKEN",
            "unknown_key",
            Some(&stranger_kid),
            None,
        ),
        (
            with_token(&forged(&live.token)),
            no_body,
            401,
            "INVALID_TOKEN",
            "bad_signature",
            Some(&kid),
            None,
        ),
        (
            with_token(&issuer),
            no_body,
            401,
            "INVALID_TOKEN",
            "wrong_issuer",
            Some(&kid),
            Some(&live),
        ),
        (
            with_token(&audience),
            no_body,
            401,
            "INVALID_TOKEN",
            "wrong_audience",
            Some(&kid),
            Some(&live),
        ),
        (
            with_token(&revoked.token),
            no_body,
            401,
            "SESSION_REVOKED",
            "session_revoked",
            Some(&kid),
            Some(&revoked),
        ),
        (
            with_token(&superseded),
            no_body,
            401,
            "TOKEN_SUPERSEDED",
            "token_superseded",
            Some(&kid),
            Some(&live),
        ),
        (
            Request::put(format!("/v1/sessions/{}/renew", live.id))
                .header("authorization", format!("Bearer {}", live.token)),
            no_body,
            403,
            "RENEWAL_TOO_EARLY",
            "renewal_too_early",
            Some(&kid),
            Some(&live),
        ),
        (
            get("/v1/agents"),
            no_body,
            401,
            "INVALID_MASTER_PASSWORD",
            "missing_admin_credential",
            None,
            None,
        ),
        (
            get("/v1/agents").header("x-master-password", wrong_password),
            no_body,
            401,
            "INVALID_MASTER_PASSWORD",
            "wrong_master_password",
            None,
            None,
        ),
        (
            Request::post("/v1/agents")
                .header("x-master-password", PASSWORD)
                .header("content-type", "application/json"),
            "{",
            400,
            "VALIDATION_FAILED",
            "invalid_input",
            None,
            None,
        ),
        (
            get("/elsewhere"),
            no_body,
            404,
            "NOT_FOUND",
            "no_route",
            None,
            None,
        ),
        (
            Request::delete("/healthz"),
            no_body,
            405,
            "METHOD_NOT_ALLOWED",
            "method_not_allowed",
            None,
            None,
        ),
    ];
    for (place, (request, body, status, code, reason, kid, session)) in rows.into_iter().enumerate() {
        let id = format!("refused-{place}");
        let request = request.header("x-forwarded-for", "203.0.113.7");
        server.send(request, &id, body).await.rejected(status, code);
        let line = server.refusal(&id);
        assert_eq!(line["status"], status, "{line}");
        assert_eq!(line["code"], code, "{line}");
        assert_eq!(line["reason"], reason, "{line}");
        assert_eq!(line["level"], "INFO", "{line}");
        assert_eq!(line["kid"].as_str(), kid, "{line}");
        assert_eq!(
            line["session"].as_str(),
            session.map(|session| &*session.id),
            "{line}"
        );
        let agent = session.and_then(|session| session.body["agentId"].as_str());
        assert_eq!(line["agent"].as_str(), agent, "{line}");
        assert_eq!(line["span"]["client"], "203.0.113.7", "{line}");
        assert!(line["latency_us"].is_u64(), "{line}");
    }
    let log = server.log();
    assert!(!log.contains("v4.public") && !log.contains(wrong_password) && !log.contains(PASSWORD));
}

#[tokio::test]
async fn served_request_has_one_line_with_its_session() {
    let server = Server::start("served", &[]).await;
    let session = server.session().await;
    server
        .send(with_token(&session.token), "served", "")
        .await
        .expect(200);
    let lines = server.lines_about("served");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["message"], "request served");
    assert_eq!(lines[0]["status"], 200);
    assert_eq!(lines[0]["session"], session.id);
    assert_eq!(lines[0]["agent"], session.body["agentId"]);
    assert_eq!(lines[0]["span"]["client"], "127.0.0.1");
}

#[tokio::test]
async fn refusal_keeps_its_request_id_and_client_under_a_stricter_filter() {
    let server = Server::start("filter", &["--log", "warn", "--redis-url", "redis://127.0.0.1:1"]).await;
    server.send(get("/readyz"), "outage", "").await.expect(503);
    let lines = server.lines_about("outage");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["level"], "WARN");
    assert_eq!(lines[0]["reason"], "store_unavailable");
    assert_eq!(lines[0]["span"]["client"], "127.0.0.1");
    assert!(lines[0]["cause"].as_str().is_some_and(|cause| !cause.is_empty()));
}

#[tokio::test]
async fn outage_writes_few_lines_and_one_that_counts_the_others() {
    const REQUESTS: u64 = 300;
    let server = Server::start("outage", &["--redis-url", "redis://127.0.0.1:1"]).await;
    for _ in 0..REQUESTS {
        server.send(get("/readyz"), "outage", "").await.expect(503);
    }
    let began = Instant::now();
    loop {
        let lines = server.lines();
        let written = lines.iter().filter(|line| line["message"] == "request refused");
        let written = written.count() as u64;
        let summaries = lines
            .iter()
            .filter(|line| line["message"] == "refused requests left out");
        let left_out: u64 = summaries
            .map(|line| {
                assert_eq!(line["code"], "STORE_UNAVAILABLE");
                assert_eq!(line["reason"], "store_unavailable");
                line["count"].as_u64().expect("a number")
            })
            .sum();
        // Far fewer lines than requests, also on a machine that needs several seconds for them.
        assert!(written < REQUESTS / 2, "{written}");
        if written + left_out == REQUESTS {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{written} + {left_out}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
