//! Renewals and creations of sessions: complete HTTP requests to the reference server.

use futures_util::{StreamExt as _, stream};
use session_auth_tests::server::PASSWORD;
use tower_session_auth::{
    clock::{Clock as _, SystemClock},
    manager::IssuedSession,
    store::{Agent, AgentStore as _},
};

use crate::{
    child_process::{Server, run_load_without_failure},
    figures::{Figure, Target},
    load::{BlockingClient, LoadResult, Task},
    test_sessions::{self, SESSIONS_PER_AGENT},
};

/// Renewals per second. The reference server, Redis and the load share all cores.
pub(crate) fn renewals(server: &Server, sessions: &[IssuedSession], laps: u32, pinned: bool) -> Figure {
    let sessions = sessions
        .iter()
        .map(|session| (session.record.id.to_string(), session.token.expose().to_owned()));
    let task = Task::Renew {
        sessions: sessions.collect(),
        laps,
        clock_control: server.clock_control.expect("a reference server"),
    };
    let result = run_load_without_failure(server, 32, task, false, pinned);
    Figure::new(
        "renewals, complete HTTP requests",
        result.requests_per_second(),
        "/s",
    )
    .target(Target::AtLeast(5_000.0))
    .note(cpu_note(&result))
}

/// Creations per second, up to the maximum number of sessions per agent.
pub(crate) async fn creations(server: &Server, redis: &str, agents: usize, pinned: bool) -> Figure {
    /// Above the numbers of all agents that already have sessions.
    const FIRST_AGENT: usize = 10_000_000;
    let store = test_sessions::open_store(redis);
    stream::iter(0..agents)
        .for_each_concurrent(64, |number| {
            let store = &store;
            async move {
                let agent = Agent::new(test_sessions::agent_id(FIRST_AGENT + number), SystemClock.now());
                store.register(&agent).await.expect("register an agent");
            }
        })
        .await;
    let requests = (0..agents * SESSIONS_PER_AGENT).map(|number| {
        let agent = test_sessions::agent_id(FIRST_AGENT + number % agents);
        let body = format!(r#"{{"agentId":"{agent}"}}"#);
        format!(
            "POST /v1/sessions HTTP/1.1\r\nhost: bench\r\nx-master-password: {PASSWORD}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    });
    // The server remembers a verified password. 32 concurrent first requests would exceed its Argon2 queue.
    let list_request =
        format!("GET /v1/sessions?limit=1 HTTP/1.1\r\nhost: bench\r\nx-master-password: {PASSWORD}\r\n\r\n");
    assert_eq!(
        BlockingClient::connect(server.address).send(&list_request),
        200,
        "the server must accept the password"
    );
    let task = Task::Once {
        requests: requests.collect(),
    };
    let result = run_load_without_failure(server, 32, task, false, pinned);
    Figure::new(
        "creations, complete HTTP requests",
        result.requests_per_second(),
        "/s",
    )
    .note(cpu_note(&result))
}

fn cpu_note(result: &LoadResult) -> String {
    let cpu = result.cpu_micros();
    cpu.map_or(String::new(), |cpu| {
        format!("{cpu:.0} µs of server CPU per request")
    })
}
