//! The whole benchmark, part after part.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use session_auth_tests::redis::TestRedis;
use tower_session_auth::{
    MemoryStore, SessionAuthLayer, SessionManager, SigningKey, TokenVerifier, manager::IssuedSession,
    session::CreateSession, token::TokenSigner,
};

use crate::{
    child::Server,
    credentials::Credentials,
    figures::{Figure, Target},
    fill, in_process, listing, machine,
    report::Report,
    revocation,
    rounds::{self, Contender, Extent},
    server::{BARE_KEY, BARE_VALUE, Kind, Setup},
    variant::Variant,
    writing,
};

/// How much of everything.
struct Scale {
    extent: Extent,
    tokens: usize,
    unseen: usize,
    revocations: usize,
    renewing: usize,
    laps: u32,
    creating_agents: usize,
    /// Sessions for the first page, for the memory, and for the last page.
    listed: [usize; 3],
}

impl Scale {
    fn new(quick: bool, rounds: Option<usize>, pinned: bool) -> Self {
        let extent = |default, warm_up, window| Extent {
            rounds: rounds.unwrap_or(default).max(1),
            warm_up: Duration::from_millis(warm_up),
            window: Duration::from_millis(window),
            connections: 32,
            pinned,
        };
        if quick {
            Self {
                extent: extent(1, 100, 300),
                tokens: 100,
                unseen: 500,
                revocations: 50,
                renewing: 320,
                laps: 1,
                creating_agents: 100,
                listed: [1_000, 2_000, 5_000],
            }
        } else {
            Self {
                extent: extent(20, 150, 800),
                tokens: 1_000,
                unseen: 60_000,
                revocations: 1_000,
                renewing: 8_000,
                laps: 4,
                creating_agents: 10_000,
                listed: [1_000, 100_000, 1_000_000],
            }
        }
    }
}

pub(crate) fn main(quick: bool, rounds: Option<usize>, json: &Path) {
    let pinned = machine::can_pin();
    let scale = Scale::new(quick, rounds, pinned);
    let (began, stolen) = (Instant::now(), machine::stolen_time());
    let machine = machine::describe();
    let redis = TestRedis::start();
    let info: String = redis.command(&["INFO", "server"]).expect("an answer of Redis");
    let field = |name: &str| {
        let value = info.lines().find_map(|line| line.strip_prefix(name));
        value.unwrap_or_default().trim().to_owned()
    };
    let process: u32 = field("process_id:").parse().expect("the process of Redis");
    if pinned {
        machine::move_to(machine::LOAD_CORE, process);
    }
    let bench = Bench {
        redis: &redis,
        process,
        scale: &scale,
        pinned,
    };
    let (variants, figures) = tokio::runtime::Runtime::new()
        .expect("a runtime")
        .block_on(bench.run());
    let report = Report {
        machine,
        redis: field("redis_version:"),
        pinned,
        quick,
        rounds: scale.extent.rounds,
        stolen: machine::stolen_time()
            .zip(stolen)
            .map(|((all, stolen), before)| (stolen - before.1) / (all - before.0)),
        seconds: began.elapsed().as_secs_f64(),
        variants,
        figures,
    };
    report.print();
    report.write(json);
}

struct Bench<'a> {
    redis: &'a TestRedis,
    process: u32,
    scale: &'a Scale,
    pinned: bool,
}

impl Bench<'_> {
    async fn run(&self) -> (Vec<rounds::Row>, Vec<Figure>) {
        let (scale, pinned) = (self.scale, self.pinned);
        let url = self.redis.fresh_database();
        let key = SigningKey::generate().expect("a key");
        let signer = TokenSigner::new(key.clone());
        let setup = |kind| Setup {
            kind,
            redis: url.clone(),
            secret_key: key.to_paserk(),
            public_key: key.verifying_key().to_paserk(),
            now: fill::now_millis() / 1000,
        };
        let start = |kind| Server::start(&setup(kind), pinned);

        say("sessions and tokens");
        // Each part has its own sessions, and agents of its own.
        let mut agents = 0;
        let mut sessions = Vec::new();
        for count in [
            scale.tokens,
            scale.unseen,
            scale.revocations,
            scale.revocations,
            scale.renewing,
        ] {
            sessions.push(fill::with_tokens(&url, &signer, agents, count).await);
            agents += count;
        }
        let [tokens, unseen, revoked, revoked_again, renewing]: [Vec<IssuedSession>; 5] =
            sessions.try_into().expect("five");
        let value = String::from_utf8_lossy(&BARE_VALUE);
        let _: () = session_auth_tests::redis::command(&url, &["SET", BARE_KEY, &value]).expect("a key");
        let credentials = Credentials::of(&tokens, &key.to_paserk(), &url).await;
        let token = credentials.tokens[0].as_str();

        let mut contenders: Vec<Contender> = Variant::ALL
            .iter()
            .map(|&variant| Contender::new(variant, start(Kind::Variant(variant)), &credentials))
            .collect();
        rounds::run(&mut contenders, &scale.extent);
        let rows = rounds::rows(&contenders);
        let mut figures = rounds::figures(&contenders);

        say("in this process");
        let hash = in_process::hash(token);
        figures.extend(self.passes(&signer, &url, &tokens[0], hash).await);

        say("first sight of tokens");
        let fresh = start(Kind::Variant(Variant::Strict));
        let and_signature = start(Kind::StrictAndSignature);
        figures.push(writing::first_sight(&fresh, &and_signature, &unseen, pinned));
        drop((fresh, and_signature));

        say("revocations");
        let other = start(Kind::Reference);
        let mut unused = [revoked, revoked_again].into_iter();
        for contender in &contenders {
            let name = match contender.variant {
                Variant::Strict => "strict",
                Variant::Bounded => "bounded",
                _ => continue,
            };
            let sessions = unused.next().expect("sessions for each mode");
            figures.extend(revocation::figures(
                name,
                &sessions,
                other.address,
                &contender.server,
            ));
        }
        drop((other, contenders));

        say("renewals and creations");
        if pinned {
            machine::move_to(machine::BOTH_CORES, self.process);
        }
        let server = start(Kind::Reference);
        figures.push(writing::renewals(&server, &renewing, scale.laps, pinned));
        drop(server);
        let server = start(Kind::Reference);
        figures.push(writing::creations(&server, &url, scale.creating_agents, pinned).await);
        drop(server);

        say("many sessions");
        let [few, for_memory, many] = scale.listed;
        figures.extend(listing::figures(self.redis, few, for_memory, many).await);
        (rows, figures)
    }

    /// A request through the layer and back, against the hash of its token.
    async fn passes(
        &self,
        signer: &TokenSigner,
        url: &str,
        session: &IssuedSession,
        hash: f64,
    ) -> Vec<Figure> {
        let verifier = TokenVerifier::new(signer.verifying_keys());
        let memory = MemoryStore::new();
        let issued = SessionManager::for_any_agent(memory.clone(), signer.clone())
            .create(CreateSession::new(fill::agent(0)))
            .await
            .expect("a session");
        let strict = SessionAuthLayer::new(verifier.clone(), memory);
        let strict = in_process::pass(&strict, issued.token.expose());
        let figure = |name, micros: Option<f64>| {
            Figure::new(name, micros.map(|micros| micros / hash), "times")
                .target(Target::AtMost(3.0))
                .note(format!(
                    "{:.2} us for the whole layer, SHA-256 of the token alone is {hash:.2} us",
                    micros.unwrap_or(f64::NAN)
                ))
        };
        let store = fill::open(url);
        let bounded = SessionAuthLayer::bounded(verifier, store.clone()).expect("a near cache");
        in_process::hold(&store, session.record.id).await;
        let bounded = in_process::pass(&bounded, session.token.expose());
        vec![
            Figure {
                target: None,
                reached: None,
                ..figure("in process, embedded store, against SHA-256 of the token", strict)
            },
            figure("bounded, in process, against SHA-256 of the token", bounded),
        ]
    }
}

fn say(what: &str) {
    eprintln!("{what} …");
}
