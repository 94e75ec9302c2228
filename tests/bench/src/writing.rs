//! What changes sessions, as whole HTTP requests against the reference server; and tokens that are seen for the first time.

use tower_session_auth::{
    clock::{Clock as _, SystemClock},
    manager::IssuedSession,
    store::{Agent, AgentStore as _},
};

use futures_util::{StreamExt as _, stream};
use session_auth_tests::server::PASSWORD;

use crate::{
    child::{self, Server},
    credentials::{bearer, get},
    figures::{Figure, Target, median},
    fill::{self, PER_AGENT},
    load::{Blocking, Outcome, Plan, Task},
};

/// So many times tokens are seen for the first time, every second one by another server.
const TURNS: usize = 40;

/// Renewals: the reference server, Redis and the load share all cores.
pub(crate) fn renewals(server: &Server, sessions: &[IssuedSession], laps: u32, pinned: bool) -> Figure {
    let sessions = sessions
        .iter()
        .map(|session| (session.record.id.to_string(), session.token.expose().to_owned()));
    let task = Task::Renew {
        sessions: sessions.collect(),
        laps,
        clock: server.clock.expect("a clock to move"),
    };
    let outcome = all_good(server, 32, task, false, pinned);
    Figure::new("renewals, whole HTTP requests", outcome.per_second(), "/s")
        .target(Target::AtLeast(5_000.0))
        .note(costs(&outcome))
}

/// Creations, each agent up to its maximum.
pub(crate) async fn creations(server: &Server, redis: &str, agents: usize, pinned: bool) -> Figure {
    /// Others than those of the sessions that are there.
    const FIRST_AGENT: usize = 10_000_000;
    let store = fill::open(redis);
    stream::iter(0..agents)
        .for_each_concurrent(64, |number| {
            let store = &store;
            async move {
                let agent = Agent::new(fill::agent(FIRST_AGENT + number), SystemClock.now());
                store.register(&agent).await.expect("an agent");
            }
        })
        .await;
    let requests = (0..agents * PER_AGENT).map(|number| {
        let agent = fill::agent(FIRST_AGENT + number % agents);
        let body = format!(r#"{{"agentId":"{agent}"}}"#);
        format!(
            "POST /v1/sessions HTTP/1.1\r\nhost: bench\r\nx-master-password: {PASSWORD}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    });
    // A password is proven once: 32 that come at once for the first time are more than may wait for Argon2.
    let known =
        format!("GET /v1/sessions?limit=1 HTTP/1.1\r\nhost: bench\r\nx-master-password: {PASSWORD}\r\n\r\n");
    assert_eq!(Blocking::open(server.address).ask(&known), 200, "the password");
    let task = Task::Once {
        requests: requests.collect(),
    };
    let outcome = all_good(server, 32, task, false, pinned);
    Figure::new("creations, whole HTTP requests", outcome.per_second(), "/s").note(costs(&outcome))
}

/// What a strict check costs with a token that the server has never seen, without its signature. How long that takes in a server at
/// work, a second server tells, which checks one more of them for each request.
pub(crate) fn first_sight(
    server: &Server,
    and_signature: &Server,
    unseen: &[IssuedSession],
    pinned: bool,
) -> Figure {
    let (mut once, mut twice) = (Vec::new(), Vec::new());
    for (turn, unseen) in unseen.chunks(unseen.len().div_ceil(TURNS)).enumerate() {
        let (server, costs) = match turn % 2 {
            0 => (server, &mut once),
            _ => (and_signature, &mut twice),
        };
        let requests = unseen.iter().map(|session| get(&bearer(session.token.expose())));
        let task = Task::Once {
            requests: requests.collect(),
        };
        costs.extend(all_good(server, 32, task, pinned, pinned).cpu_micros());
    }
    let (once, twice) = (median(once), median(twice));
    let signature = once.zip(twice).map(|(once, twice)| twice - once);
    Figure::new(
        "first sight of a token, strict, server CPU beyond the signature check",
        once.zip(signature).map(|(once, signature)| once - signature),
        "us",
    )
    .target(Target::AtMost(20.0))
    .note(format!(
        "{:.1} us in all, one `pasetors` verification in the same server is {:.1} us",
        once.unwrap_or(f64::NAN),
        signature.unwrap_or(f64::NAN)
    ))
}

fn all_good(server: &Server, connections: usize, task: Task, awake: bool, pinned: bool) -> Outcome {
    let plan = Plan {
        address: server.address,
        server: server.id(),
        connections,
        awake,
        task,
    };
    let outcome = child::load(&plan, pinned);
    assert_eq!(outcome.failed, 0, "good requests were refused");
    outcome
}

fn costs(outcome: &Outcome) -> String {
    let cpu = outcome.cpu_micros();
    cpu.map_or(String::new(), |cpu| format!("{cpu:.0} us of server CPU each"))
}
