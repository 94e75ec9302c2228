//! The scripts of a repeated creation, in every order in which Redis can run them.
//!
//! Three attempts have one idempotency key. A *delivered* attempt sends its creation and answers its client. A *failed* attempt
//! also sends the revocation of its session, since nobody received its reply. Both commands of a failed attempt can be late, even in
//! the wrong order after a reconnection, or lost with their connection.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU32, Ordering},
};

use redis::{Client, Connection, Script, Value};
use session_auth_tests::redis::TestRedis;

const COMMON: &str = include_str!("../../../middleware/src/store/redis/lua/common.lua");
const CREATE: &str = include_str!("../../../middleware/src/store/redis/lua/create.lua");
const REVOKE_UNDELIVERED: &str =
    include_str!("../../../middleware/src/store/redis/lua/revoke_undelivered.lua");
const ATTEMPTS: u8 = 3;
const NOW: u32 = 1_760_000_000;
const WINDOW: u32 = 60;

/// A command that reaches Redis. The number is that of its attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Create(u8),
    Revoke(u8),
}

/// The scripts, and a database without other users.
struct Scripts {
    connection: Connection,
    create: Script,
    revoke: Script,
}

/// The state after an order of steps.
#[derive(Debug, Default)]
struct Outcome {
    /// The sessions whose tokens were delivered.
    delivered: BTreeSet<u8>,
    /// The active sessions after each step.
    active: Vec<BTreeSet<u8>>,
    /// The attempts whose replies named the session of another attempt.
    repetitions: u32,
}

impl Scripts {
    fn load(redis: &TestRedis, create: &str, revoke: &str) -> Self {
        Self {
            connection: Client::open(redis.fresh_database())
                .unwrap()
                .get_connection()
                .unwrap(),
            create: with_common_functions(create),
            revoke: with_common_functions(revoke),
        }
    }

    fn run(&mut self, steps: &[Step], is_delivered: impl Fn(u8) -> bool) -> Outcome {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let key = |kind: &str, name: u8| format!("{kind}:{{0000}}:{run}:{name}");
        let mut outcome = Outcome::default();
        for step in steps {
            match *step {
                Step::Create(attempt) => {
                    let reply: Value = self
                        .create
                        .key(key("session", attempt))
                        .key(key("idx", 0))
                        .key(key("agent", 0))
                        .key(key("gone", 0))
                        .key(key("retry", 0))
                        .arg("")
                        .arg(NOW)
                        .arg(5)
                        .arg("refuse")
                        .arg(&[attempt; 16])
                        .arg(NOW + 86_400)
                        .arg(172_800)
                        .arg(NOW - 90_000)
                        .arg([&[0], &[attempt; 48][..], &[30, 0, 0]].concat())
                        .arg(&time(NOW))
                        .arg([&[0], &[attempt; 16][..], &[7; 32], &time(NOW + WINDOW)].concat())
                        .arg(WINDOW + 60)
                        .invoke(&mut self.connection)
                        .unwrap();
                    let session = match reply {
                        Value::Int(1) => attempt,
                        Value::Array(reply) => match &*reply {
                            [Value::Int(2), Value::Array(ids)] => {
                                outcome.repetitions += 1;
                                redis::from_redis_value::<Vec<u8>>(ids[0].clone()).unwrap()[0]
                            }
                            other => panic!("{other:?}"),
                        },
                        other => panic!("{other:?}"),
                    };
                    // The manager delivers no token of a session that is revoked by then.
                    if is_delivered(attempt) && self.active(run).contains(&session) {
                        outcome.delivered.insert(session);
                    }
                }
                Step::Revoke(attempt) => {
                    let _: i64 = self
                        .revoke
                        .key(key("session", attempt))
                        .key(key("idx", 0))
                        .key(key("retry", 0))
                        .arg(&time(NOW))
                        .arg(&[attempt; 16])
                        .invoke(&mut self.connection)
                        .unwrap();
                }
            }
            let active = self.active(run);
            outcome.active.push(active);
        }
        outcome
    }

    /// The unrevoked sessions, by record and by index, which must agree.
    fn active(&mut self, run: u32) -> BTreeSet<u8> {
        let mut read = redis::pipe();
        read.cmd("ZRANGE")
            .arg(format!("idx:{{0000}}:{run}:0"))
            .arg(0)
            .arg(-1);
        let keys = (0..ATTEMPTS).map(|attempt| format!("session:{{0000}}:{run}:{attempt}"));
        read.cmd("MGET").arg(keys.collect::<Vec<_>>());
        let (listed, records): (Vec<Vec<u8>>, Vec<Option<Vec<u8>>>) =
            read.query(&mut self.connection).unwrap();
        let is_unrevoked = |record: &Option<Vec<u8>>| record.as_ref().is_some_and(|record| record[0] < 128);
        let unrevoked = (0..).zip(&records).filter(|(_, record)| is_unrevoked(record));
        let active = unrevoked.map(|(attempt, _)| attempt).collect();
        assert_eq!(listed.iter().map(|id| id[0]).collect::<BTreeSet<_>>(), active);
        active
    }
}

/// Inserts the functions that the scripts share after the first line, as the store does.
fn with_common_functions(text: &str) -> Script {
    let (flags, body) = text.split_once('\n').unwrap();
    Script::new(&[flags, "\n", COMMON, body].concat())
}

fn time(seconds: u32) -> [u8; 5] {
    let [a, b, c, d] = seconds.to_be_bytes();
    [0, a, b, c, d]
}

/// The first violated rule.
fn violation(steps: &[Step], is_delivered: impl Fn(u8) -> bool, outcome: &Outcome) -> Option<&'static str> {
    let last = outcome.active.last().cloned().unwrap_or_default();
    if outcome.active.iter().any(|active| active.len() > 1) {
        return Some("two sessions count");
    }
    if outcome.delivered.len() > 1 {
        return Some("two tokens were delivered");
    }
    if !outcome.delivered.is_subset(&last) {
        return Some("a delivered session was revoked");
    }
    let delivers =
        (0..ATTEMPTS).any(|attempt| is_delivered(attempt) && steps.contains(&Step::Create(attempt)));
    if delivers && outcome.delivered.is_empty() {
        return Some("an attempt that was answered delivered no token");
    }
    let place = |step| steps.iter().position(|other| *other == step);
    let in_order = |attempt| match (place(Step::Create(attempt)), place(Step::Revoke(attempt))) {
        (Some(create), Some(revoke)) => create < revoke,
        (create, _) => create.is_none(),
    };
    if !delivers && outcome.repetitions == 0 && (0..ATTEMPTS).all(in_order) && !last.is_empty() {
        return Some("a session that nobody received counts");
    }
    None
}

/// Every order of every selection of the steps.
fn orders(steps: &[Step]) -> Vec<Vec<Step>> {
    let mut orders = vec![Vec::new()];
    for (place, step) in steps.iter().enumerate() {
        let mut rest = steps.to_vec();
        rest.remove(place);
        for mut order in self::orders(&rest) {
            order.insert(0, *step);
            orders.push(order);
        }
    }
    orders
}

/// Runs every order. Returns their number, and the first violation.
fn check(create: &str, revoke: &str) -> (usize, Option<String>) {
    let redis = TestRedis::shared();
    let mut scripts = Scripts::load(&redis, create, revoke);
    let mut count = 0;
    for delivered in 0..1 << ATTEMPTS {
        let is_delivered = |attempt: u8| delivered & (1 << attempt) != 0;
        let mut steps: Vec<_> = (0..ATTEMPTS).map(Step::Create).collect();
        steps.extend(
            (0..ATTEMPTS)
                .filter(|attempt| !is_delivered(*attempt))
                .map(Step::Revoke),
        );
        for order in orders(&steps) {
            count += 1;
            let outcome = scripts.run(&order, is_delivered);
            if let Some(violation) = violation(&order, is_delivered, &outcome) {
                return (count, Some(format!("{violation}: {order:?}, {outcome:?}")));
            }
        }
    }
    (count, None)
}

#[test]
fn attempts_with_one_key_never_leave_two_sessions_or_revoke_a_delivered_one() {
    let (count, violation) = check(CREATE, REVOKE_UNDELIVERED);
    println!("{count} orders");
    assert_eq!(violation, None);
    assert!(count > 2_000, "{count}");
}

#[test]
fn each_rule_of_the_scripts_is_necessary() {
    for (without, create, revoke, expected) in [
        (
            "the entry",
            ("if entry and number", "if false and number"),
            ("", ""),
            "two sessions count",
        ),
        (
            "the mark",
            ("if entry:byte(1) == 0 then", "if false then"),
            ("", ""),
            "a delivered session was revoked",
        ),
        (
            "a look at the mark",
            ("", ""),
            (" or entry:byte(1) ~= 0", ""),
            "a delivered session was revoked",
        ),
        (
            "a look at the id",
            ("", ""),
            (" or entry:sub(2, 17) ~= ARGV[2]", ""),
            "two sessions count",
        ),
        (
            "freeing the key",
            ("", ""),
            ("redis.call('DEL', KEYS[3])", ""),
            "an attempt that was answered delivered no token",
        ),
        (
            "the revocation",
            ("", ""),
            ("if not record then", "if true then"),
            "a session that nobody received counts",
        ),
    ] {
        let change = |script: &str, (from, to): (&str, &str)| {
            assert!(script.contains(from), "{from}");
            script.replacen(from, to, 1)
        };
        let (_, violation) = check(&change(CREATE, create), &change(REVOKE_UNDELIVERED, revoke));
        let violation = violation.unwrap_or_else(|| panic!("no rule needs {without}"));
        println!("without {without}: {violation}");
        assert!(violation.starts_with(expected), "without {without}: {violation}");
    }
}
