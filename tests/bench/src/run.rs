//! The complete benchmark: runs its parts in order and collects their figures.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use session_auth_tests::redis::TestRedis;
use tower_session_auth::{SigningKey, manager::IssuedSession, token::TokenSigner};

use crate::{
    child_process::Server,
    credentials::Credentials,
    figures::Figure,
    first_request, in_process, machine, many_sessions,
    report::Report,
    revocation,
    rounds::{self, Contender, RoundSettings},
    server::{BARE_KEY, BARE_VALUE, ServerConfig, ServerKind},
    session_writes, test_sessions,
    variant::Variant,
};

/// Numbers of rounds, sessions and requests.
struct Sizes {
    rounds: RoundSettings,
    tokens: usize,
    first_requests: usize,
    revocations: usize,
    renewals_per_lap: usize,
    laps: u32,
    creating_agents: usize,
    /// Sessions in the small list, for the memory measurement, and in the large list.
    listed: [usize; 3],
}

impl Sizes {
    fn new(quick: bool, rounds: Option<usize>, pinned: bool) -> Self {
        let round_settings = |default, warm_up, window| RoundSettings {
            count: rounds.unwrap_or(default).max(1),
            warm_up: Duration::from_millis(warm_up),
            window: Duration::from_millis(window),
            connections: 32,
            pinned,
        };
        if quick {
            Self {
                rounds: round_settings(1, 100, 300),
                tokens: 100,
                first_requests: 500,
                revocations: 50,
                renewals_per_lap: 320,
                laps: 1,
                creating_agents: 100,
                listed: [1_000, 2_000, 5_000],
            }
        } else {
            Self {
                rounds: round_settings(20, 150, 800),
                tokens: 1_000,
                first_requests: 60_000,
                revocations: 1_000,
                renewals_per_lap: 8_000,
                laps: 4,
                creating_agents: 10_000,
                listed: [1_000, 100_000, 1_000_000],
            }
        }
    }
}

pub(crate) fn main(quick: bool, rounds: Option<usize>, json: &Path) {
    let pinned = machine::can_pin();
    let sizes = Sizes::new(quick, rounds, pinned);
    let (began, time_before) = (Instant::now(), machine::cpu_time());
    let machine = machine::describe();
    let redis = TestRedis::start();
    let info: String = redis.command(&["INFO", "server"]).expect("a response of Redis");
    let field = |name: &str| {
        let value = info.lines().find_map(|line| line.strip_prefix(name));
        value.unwrap_or_default().trim().to_owned()
    };
    let redis_process = redis.process_id();
    if pinned {
        machine::pin_process(machine::LOAD_CORE, redis_process);
    }
    let bench = Bench {
        redis: &redis,
        redis_process,
        sizes: &sizes,
        pinned,
    };
    let (variants, figures) = tokio::runtime::Runtime::new()
        .expect("create a runtime")
        .block_on(bench.run());
    let report = Report {
        machine,
        redis: field("redis_version:"),
        pinned,
        quick,
        rounds: sizes.rounds.count,
        steal_share: machine::cpu_time()
            .zip(time_before)
            .map(|(after, before)| after.steal_share_since(&before)),
        seconds: began.elapsed().as_secs_f64(),
        variants,
        figures,
    };
    report.print();
    report.write(json);
}

struct Bench<'a> {
    redis: &'a TestRedis,
    redis_process: u32,
    sizes: &'a Sizes,
    pinned: bool,
}

impl Bench<'_> {
    async fn run(&self) -> (Vec<rounds::Row>, Vec<Figure>) {
        let (sizes, pinned) = (self.sizes, self.pinned);
        let url = self.redis.fresh_database();
        let key = SigningKey::generate().expect("generate a key");
        let signer = TokenSigner::new(key.clone());
        let config = |kind| ServerConfig {
            kind,
            redis: url.clone(),
            secret_key: key.to_paserk(),
            public_key: key.verifying_key().to_paserk(),
            now: test_sessions::unix_millis() / 1000,
            max_requests: None,
        };
        let start = |kind| Server::start(&config(kind), pinned);

        print_progress("creating sessions and tokens");
        // Each part uses its own sessions and its own agents.
        let mut first_agent = 0;
        let mut sessions = Vec::new();
        for count in [
            sizes.tokens,
            sizes.first_requests,
            sizes.revocations,
            sizes.revocations,
            sizes.renewals_per_lap,
        ] {
            sessions.push(test_sessions::create_with_tokens(&url, &signer, first_agent, count).await);
            first_agent += count;
        }
        let [measured, unused, revoked_strict, revoked_bounded, renewed]: [Vec<IssuedSession>; 5] =
            sessions.try_into().expect("five groups of sessions");
        let value = String::from_utf8_lossy(&BARE_VALUE);
        let _: () = session_auth_tests::redis::command(&url, &["SET", BARE_KEY, &value])
            .expect("SET of the bare key");
        let credentials = Credentials::create(&measured, &key.to_paserk(), &url).await;

        let mut contenders: Vec<Contender> = Variant::ALL
            .iter()
            .map(|&variant| Contender::new(variant, start(ServerKind::Variant(variant)), &credentials))
            .collect();
        rounds::measure(&mut contenders, &sizes.rounds);
        let rows = rounds::rows(&contenders);
        let mut figures = rounds::figures(&contenders);

        print_progress("in this process");
        figures.extend(in_process::figures(&signer, &url, &measured[0]).await);

        print_progress("first requests with tokens");
        let strict = start(ServerKind::Variant(Variant::Strict));
        let with_extra_check = start(ServerKind::StrictPlusSignatureCheck);
        figures.push(first_request::figure(&strict, &with_extra_check, &unused, pinned));
        drop((strict, with_extra_check));

        print_progress("revocations");
        let revoking_server = start(ServerKind::Reference);
        for contender in &contenders {
            let (mode, sessions) = match contender.variant {
                Variant::Strict => ("strict", &revoked_strict),
                Variant::Bounded => ("bounded", &revoked_bounded),
                _ => continue,
            };
            figures.extend(revocation::figures(
                mode,
                sessions,
                revoking_server.address,
                &contender.server,
            ));
        }
        drop((revoking_server, contenders));

        print_progress("renewals and creations");
        if pinned {
            machine::pin_process(machine::BOTH_CORES, self.redis_process);
        }
        let server = start(ServerKind::Reference);
        figures.push(session_writes::renewals(&server, &renewed, sizes.laps, pinned));
        drop(server);
        let server = start(ServerKind::Reference);
        figures.push(session_writes::creations(&server, &url, sizes.creating_agents, pinned).await);
        drop(server);

        print_progress("many sessions");
        let [few, for_memory, many] = sizes.listed;
        figures.extend(many_sessions::figures(self.redis, few, for_memory, many).await);
        (rows, figures)
    }
}

fn print_progress(part: &str) {
    eprintln!("{part} …");
}
