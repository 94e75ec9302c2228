//! Guessing of the master password does not slow down requests with other credentials.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use argon2::{Argon2, PasswordHasher};
use http::{Method, Request};
use http_body_util::Full;
use session_auth_tests::server::TestServer;
use tokio::task::JoinSet;
use tower_session_auth::master_auth::AdminSecret;

use crate::alone;

const GUESSES: usize = 200;
const REQUESTS: usize = 600;
const WARM_UP: usize = 100;
const ROUNDS: usize = 4;
/// The memory of two computations with the default parameters, and as much for requests and connections.
const MAX_GROWTH_KIB: u64 = 4 * 19_456;

/// 200 wrong master passwords at once, each from an address of its own, hashed with the real parameters of Argon2id. A round that
/// another process of the machine disturbs is repeated.
#[test]
fn session_requests_keep_their_p99_while_200_wrong_master_passwords_wait() {
    let _alone = alone();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let secret = AdminSecret::generate().expect("a secret");
        let (server, token) = start(&secret).await;
        let mut report = String::new();
        for _ in 0..ROUNDS {
            let before = resident_kib();
            let normal = p99(&server, &token).await;
            let guesses = guess(&server);
            let guessed = p99(&server, &token).await;
            let admin = server.api.bearer(Method::GET, "/v1/sessions", secret.expose()).await;
            admin.expect(200);
            let unfinished = waiting(guesses).await;
            let growth = resident_kib().saturating_sub(before);
            let _ = writeln!(
                report,
                "p99 {normal:?}, with guesses {guessed:?}, {unfinished} guesses waited at the end, {growth} KiB more"
            );
            assert!(unfinished > 0, "the load ended too early\n{report}");
            assert!(growth < MAX_GROWTH_KIB, "{report}");
            if guessed <= 2 * normal {
                println!("{report}");
                return;
            }
        }
        panic!("{report}");
    });
}

async fn start(secret: &AdminSecret) -> (TestServer, String) {
    let hash = Argon2::default().hash_password(b"correct horse").expect("a hash");
    let id = tower_session_auth::AgentId::generate().expect("an id");
    let keys = std::env::temp_dir().join(format!("session-auth-argon2-load-{id}"));
    let table = format!(
        "[[admin_key]]\nname = 'ops'\nhash = '{}'\nrights = ['agents', 'open', 'list']\n",
        secret.hash_hex()
    );
    std::fs::write(&keys, table).expect("a file");
    let server = TestServer::memory_with(|settings| {
        settings.master_password_hash = Some(hash.to_string());
        settings.admin_keys_file = Some(keys.clone());
        settings.trusted_proxies = Some(vec!["127.0.0.0/8".parse().expect("a network")]);
    })
    .await;
    std::fs::remove_file(&keys).expect("the file");
    let post = async |path: &str, body: String| {
        let request = Request::post(path)
            .header("authorization", format!("Bearer {}", secret.expose()))
            .header("content-type", "application/json")
            .body(Full::from(body));
        server.api.send(request.expect("a request")).await.expect(201)
    };
    let agent = post("/v1/agents", "{}".to_owned()).await.text("id");
    let session = post("/v1/sessions", format!("{{\"agentId\":\"{agent}\"}}")).await;
    let token = session.text("token");
    (server, token)
}

/// Sends one wrong password from each of many addresses. Each reply is a 401, or none if the guess still waits.
fn guess(server: &TestServer) -> JoinSet<u16> {
    let mut guesses = JoinSet::new();
    for n in 0..GUESSES {
        let api = server.api.clone();
        guesses.spawn(async move {
            let request = Request::get("/v1/sessions")
                .header("x-master-password", format!("guess {n}"))
                .header("x-forwarded-for", format!("198.51.100.{n}"))
                .body(Full::default());
            api.send(request.expect("a request")).await.status
        });
    }
    guesses
}

/// Cancels the guesses that still wait, and returns their number. All others were rejected.
async fn waiting(mut guesses: JoinSet<u16>) -> usize {
    while let Some(finished) = guesses.try_join_next() {
        assert_eq!(finished.expect("a reply"), 401);
    }
    let unfinished = guesses.len();
    guesses.shutdown().await;
    unfinished
}

/// The 99th percentile of the latency of requests that a session authenticates.
async fn p99(server: &TestServer, token: &str) -> Duration {
    let mut latencies = Vec::with_capacity(REQUESTS);
    for n in 0..WARM_UP + REQUESTS {
        let started = Instant::now();
        server.api.access(token).await.expect(200);
        if n >= WARM_UP {
            latencies.push(started.elapsed());
        }
    }
    latencies.sort_unstable();
    latencies[REQUESTS * 99 / 100]
}

/// The resident memory of this process.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.trim().parse().ok()).unwrap_or_default()
}
