//! A rotation of the signing key over three servers with one Redis and two verifying services, under load.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, routing::get};
use http::Method;
use serde_json::json;
use session_auth_server::keys::{self, Rotated, RotationTimes};
use session_auth_tests::{
    api::{Api, Issued, Reply, http_client},
    folder::Folder,
    redis::Keyspace,
    server::{PASSWORD, START, cheap_hash},
};
use tokio::{net::TcpListener, spawn, task::JoinHandle, time::sleep};
use tower_session_auth::{
    KeySet, MasterAuthLayer, RedisStore, SessionAuthority, SigningKey,
    clock::{Clock as _, ManualClock, Timestamp},
    key_follower::{KeyFollower, KeyFollowerBuilder},
    session::SessionPolicy,
    verify_only::VerifyOnlyLayer,
};

const TTL: u64 = 300;
/// Shorter than half of the ttl, so that each agent renews in time.
const CLOCK_STEP: u64 = 100;
const AGENTS: usize = 6;
const HOUR: Duration = Duration::from_secs(3_600);

fn policy() -> SessionPolicy {
    let mut policy = SessionPolicy::default();
    policy.ttl = TTL;
    policy.max_ttl = TTL;
    policy
}

/// The file with the keys of all servers, removed on drop.
struct KeyFile {
    path: PathBuf,
    _folder: Folder,
}

impl KeyFile {
    fn new() -> Self {
        let folder = Folder::new("rotation");
        let key = SigningKey::generate().expect("a key");
        Self {
            path: folder.write("keys", &key.to_paserk()).into(),
            _folder: folder,
        }
    }
}

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    spawn(async { axum::serve(listener, app).await });
    address
}

/// A session server. [`reload`](Self::reload) is what the reference server does when its key file changes.
struct Server {
    authority: SessionAuthority<RedisStore>,
    api: Api,
    address: SocketAddr,
}

impl Server {
    async fn start(key_file: &Path, keyspace: &Keyspace, clock: &ManualClock) -> Self {
        let mut redis = keyspace.config();
        redis.timeout = Duration::from_secs(5);
        let store = RedisStore::open(&redis).expect("a store");
        let keys = KeySet::from_file(key_file).expect("keys");
        let authority = SessionAuthority::builder(keys, store)
            .policy(policy())
            .clock(clock.clone())
            .build()
            .expect("an authority");
        let admin = MasterAuthLayer::new(&cheap_hash()).expect("a layer");
        let address = serve(Router::new().fallback_service(authority.endpoints(admin))).await;
        Self {
            authority,
            api: Api::new(address, PASSWORD),
            address,
        }
    }

    fn reload(&self, key_file: &Path) {
        let keys = KeySet::from_file(key_file).expect("keys");
        let change = self.authority.set_keys(&keys);
        assert!(change.keeps_all_requests(), "{change}");
    }
}

/// A service that knows its keys only from a server.
async fn verifying_service(
    server: SocketAddr,
    clock: &ManualClock,
    adjust: impl FnOnce(KeyFollowerBuilder) -> KeyFollowerBuilder,
) -> Api {
    let url = format!("http://{server}/v1/keys").parse().expect("a URL");
    let keys = adjust(KeyFollower::builder(http_client(), url)).start().await;
    let layer = VerifyOnlyLayer::new(keys.expect("keys").verifier()).clock(clock.clone());
    let app = Router::new()
        .route("/hello", get(async || json!("hello").to_string()))
        .route_layer(layer);
    Api::new(serve(app).await, PASSWORD)
}

/// The load: agents that create, use, renew and revoke sessions at all servers and services.
struct Load {
    apis: Vec<Api>,
    services: Vec<Api>,
    clock: ManualClock,
    stop: AtomicBool,
    rounds: [AtomicUsize; AGENTS],
    requests: AtomicUsize,
    failed: Mutex<Vec<String>>,
}

impl Load {
    fn api(&self, number: usize) -> &Api {
        &self.apis[number % self.apis.len()]
    }

    fn check(&self, what: &str, status: u16, reply: Reply) -> Reply {
        self.requests.fetch_add(1, Ordering::SeqCst);
        if reply.status != status {
            let failed = format!("{what}: {} {}", reply.status, reply.body);
            self.failed.lock().expect("the failures").push(failed);
        }
        reply
    }

    async fn use_everywhere(&self, token: &str) {
        for api in &self.apis {
            self.check("a server", 200, api.access(token).await);
        }
        for service in &self.services {
            let reply = service.bearer(Method::GET, "/hello", token).await;
            self.check("a verifying service", 200, reply);
        }
    }

    async fn agent(self: Arc<Self>, number: usize) {
        let agent = self.apis[0].agent().await;
        let mut session = self.apis[0].session(&agent).await;
        let mut issued_at = self.clock.now();
        let mut round = number;
        while !self.stop.load(Ordering::SeqCst) {
            if self.clock.now().since(issued_at) >= TTL / 2 {
                issued_at = self.clock.now();
                session = self.renew(session, round).await;
            }
            self.use_everywhere(&session.token).await;
            let body = json!({ "agentId": agent });
            let created = self.check("a creation", 201, self.api(round).create(body).await);
            if created.status == 201 {
                let other = created.issued();
                self.use_everywhere(&other.token).await;
                let revoked = self.api(round + 1).revoke(&other.id).await;
                self.check("a revocation", 200, revoked);
            }
            round += 1;
            self.rounds[number].fetch_add(1, Ordering::SeqCst);
        }
    }

    async fn renew(&self, session: Issued, round: usize) -> Issued {
        let reply = self.api(round).renew(&session.id, &session.token).await;
        let reply = self.check("a renewal", 200, reply);
        if reply.status == 200 {
            reply.issued()
        } else {
            session
        }
    }

    /// Waits until each agent has completed a round that began after this call.
    async fn round(&self) {
        let before = self.rounds.each_ref().map(|rounds| rounds.load(Ordering::SeqCst));
        let done = |(rounds, before): (&AtomicUsize, &usize)| rounds.load(Ordering::SeqCst) >= before + 2;
        while !self.rounds.iter().zip(&before).all(done) {
            sleep(Duration::from_millis(2)).await;
        }
    }

    async fn advance_to(&self, time: Timestamp) {
        while self.clock.now() < time {
            let step = CLOCK_STEP.min(time.since(self.clock.now()));
            self.clock.advance(Duration::from_secs(step));
            self.round().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotation_over_three_servers_and_two_verifying_services_loses_no_request() {
    let (keyspace, key_file) = (Keyspace::fresh(), KeyFile::new());
    let clock = ManualClock::new(Timestamp(START));
    let mut servers = Vec::new();
    for _ in 0..3 {
        servers.push(Server::start(&key_file.path, &keyspace, &clock).await);
    }
    let old = servers[0].api.anonymous(Method::GET, "/v1/keys").await.body;
    // In real time, the clock of the followers. One refreshes all the time, the other only when it sees a new key.
    let often = |builder: KeyFollowerBuilder| builder.refresh_bounds(Duration::ZERO, Duration::ZERO);
    let never = |builder: KeyFollowerBuilder| {
        let builder = builder.refresh_bounds(HOUR, HOUR);
        builder.early_refresh_interval(Duration::from_millis(100))
    };
    let load = Arc::new(Load {
        apis: servers.iter().map(|server| server.api.clone()).collect(),
        services: vec![
            verifying_service(servers[0].address, &clock, often).await,
            verifying_service(servers[1].address, &clock, never).await,
        ],
        clock: clock.clone(),
        stop: AtomicBool::new(false),
        rounds: Default::default(),
        requests: AtomicUsize::new(0),
        failed: Mutex::default(),
    });
    let agents: Vec<JoinHandle<()>> = (0..AGENTS)
        .map(|number| spawn(load.clone().agent(number)))
        .collect();
    load.round().await;

    let times = RotationTimes::of(&policy());
    for wait in [0, times.publication, times.tokens] {
        load.advance_to(clock.now().plus(wait)).await;
        let step = keys::rotate(&key_file.path, clock.now(), times, false).expect("the next step");
        assert_eq!(
            matches!(step, Rotated::Removed { .. }),
            wait == times.tokens,
            "{step}"
        );
        for server in &servers {
            // The other servers still have the file from before.
            server.reload(&key_file.path);
            load.round().await;
        }
    }

    load.stop.store(true, Ordering::SeqCst);
    for agent in agents {
        agent.await.expect("an agent");
    }
    let requests = load.requests.load(Ordering::SeqCst);
    let failed = std::mem::take(&mut *load.failed.lock().expect("the failures"));
    assert!(
        failed.is_empty(),
        "{} of {requests} failed: {:?}",
        failed.len(),
        failed.first()
    );
    assert!(requests > 1_000, "{requests}");
    let new = servers[2].api.anonymous(Method::GET, "/v1/keys").await.body;
    assert_eq!(new["keys"].as_array().map(Vec::len), Some(1));
    assert_ne!(old["keys"][0]["kid"], new["keys"][0]["kid"]);
}
