//! The harness on itself: what the other tests build on.

use std::{
    env,
    io::{BufRead as _, BufReader},
    net::TcpStream,
    panic::{AssertUnwindSafe, catch_unwind},
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use session_auth_tests::redis::{TestRedis, command};

use crate::alone;

/// Tells a test that it runs in a process of its own, to be killed.
const VICTIM: &str = "HARNESS_VICTIM";

fn refuses(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_err()
}

fn eventually(mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}

#[test]
fn starts_and_ends_when_dropped() {
    let _alone = alone();
    let redis = TestRedis::start();
    let port = redis.port();
    assert_eq!(redis.url(), format!("redis://127.0.0.1:{port}/0"));
    let config: Vec<String> = redis.command(&["CONFIG", "GET", "save"]).expect("it answers");
    assert_eq!(config, ["save", ""], "no persistence");

    drop(redis);
    assert!(refuses(port));
}

#[test]
fn ends_when_the_test_panics() {
    let _alone = alone();
    let mut port = 0;
    let test = AssertUnwindSafe(|| {
        let redis = TestRedis::start();
        port = redis.port();
        panic!("a failing test");
    });
    assert!(catch_unwind(test).is_err());
    assert!(port != 0 && refuses(port));
}

#[test]
fn kill_drops_connections_and_refuses_new_ones() {
    let _alone = alone();
    let mut redis = TestRedis::start();
    let client = redis::Client::open(redis.url()).expect("a valid URL");
    let mut connection = client.get_connection().expect("it answers");

    redis.kill();
    assert!(refuses(redis.port()));
    assert!(redis::cmd("PING").exec(&mut connection).is_err());
}

#[test]
fn restart_is_empty_on_the_same_port() {
    let _alone = alone();
    let mut redis = TestRedis::start();
    let url = redis.url();
    command::<()>(&url, &["SET", "key", "value"]).expect("it answers");

    redis.restart();
    assert_eq!(redis.url(), url);
    assert_eq!(command::<Option<String>>(&url, &["GET", "key"]), Ok(None));

    redis.kill();
    redis.restart();
    assert_eq!(command(&url, &["PING"]), Ok("PONG".to_owned()));
}

#[test]
fn pause_lets_requests_hang_until_resume() {
    let _alone = alone();
    let mut redis = TestRedis::start();
    let client = redis::Client::open(redis.url()).expect("a valid URL");
    let mut before = client.get_connection().expect("it answers");
    before
        .set_read_timeout(Some(Duration::from_millis(300)))
        .expect("a valid limit");

    redis.pause();
    let silence = redis::cmd("PING").exec(&mut before).expect_err("paused");
    assert!(silence.is_timeout(), "{silence}");
    let silence = client
        .get_connection_with_timeout(Duration::from_millis(300))
        .err()
        .expect("paused");
    assert!(silence.is_timeout(), "{silence}");

    redis.resume();
    assert_eq!(redis.command(&["PING"]), Ok("PONG".to_owned()));

    redis.pause();
    redis.kill();
    assert!(refuses(redis.port()), "kill works on a paused server");
    redis.restart();
    assert_eq!(redis.command(&["PING"]), Ok("PONG".to_owned()));
}

#[test]
fn options_reach_the_server_and_urls_carry_the_password() {
    let _alone = alone();
    let redis = TestRedis::start_with(&["--requirepass", "secret", "--maxmemory", "50mb"]);
    let url = redis.fresh_database();
    let memory: Vec<String> = command(&url, &["CONFIG", "GET", "maxmemory"]).expect("authenticated");
    assert_eq!(memory, ["maxmemory", "52428800"]);

    let without = format!("redis://127.0.0.1:{}", redis.port());
    let refused = command::<String>(&without, &["GET", "key"]).expect_err("no password");
    assert_eq!(refused.code(), Some("NOAUTH"));
}

#[test]
#[should_panic = "no-such-option"]
fn an_option_that_is_none_is_reported() {
    let _alone = alone();
    TestRedis::start_with(&["--no-such-option", "1"]);
}

#[tokio::test]
async fn shared_is_one_server_with_a_database_for_each() {
    let _alone = alone();
    let (one, two) = (TestRedis::shared(), TestRedis::shared());
    assert!(Arc::ptr_eq(&one, &two));

    let (first, second) = (one.fresh_database(), two.fresh_database());
    assert_ne!(first, second);
    let client = redis::Client::open(&*first).expect("a valid URL");
    let mut connection = client
        .get_multiplexed_async_connection()
        .await
        .expect("it answers");
    redis::cmd("SET")
        .arg(&["key", "value"])
        .exec_async(&mut connection)
        .await
        .expect("it answers");
    assert_eq!(command(&first, &["DBSIZE"]), Ok(1));
    assert_eq!(command(&second, &["DBSIZE"]), Ok(0));

    let port = one.port();
    drop(one);
    assert!(!refuses(port), "one user is left");
    drop(two);
    assert!(refuses(port), "none is left");
}

#[test]
fn monitor_tells_the_commands_since_it_was_asked_last() {
    let _alone = alone();
    let redis = TestRedis::start();
    redis.command::<()>(&["SET", "before", "1"]).expect("it answers");

    let mut monitor = redis.monitor();
    redis.command::<()>(&["SET", "outside", "1"]).expect("it answers");
    redis
        .command::<()>(&["EVAL", "return redis.call('GET', KEYS[1])", "1", "inside"])
        .expect("it answers");
    let lines = monitor.lines();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(lines[0].ends_with(r#"] "SET" "outside" "1""#), "{lines:#?}");
    assert!(lines[2].ends_with(r#" lua] "GET" "inside""#), "{lines:#?}");

    assert_eq!(monitor.lines(), [""; 0]);
}

#[test]
fn a_killed_process_leaves_no_server() {
    let _alone = alone();
    killed_process_leaves_no_server("harness::a_killed_process_leaves_no_server", |_| ());
}

#[test]
fn a_killed_process_leaves_no_paused_server() {
    let _alone = alone();
    killed_process_leaves_no_server(
        "harness::a_killed_process_leaves_no_paused_server",
        TestRedis::pause,
    );
}

/// `test` names the caller, which comes here a second time, as the victim.
fn killed_process_leaves_no_server(test: &str, prepare: impl FnOnce(&mut TestRedis)) {
    if env::var_os(VICTIM).is_some() {
        let mut redis = TestRedis::start();
        prepare(&mut redis);
        println!("\nport {}", redis.port());
        loop {
            thread::park();
        }
    }
    let mut victim = Command::new(env::current_exe().expect("this program has a path"))
        .args(["--exact", test, "--nocapture"])
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program starts");
    let output = BufReader::new(victim.stdout.take().expect("it is piped"));
    let port = output
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("port ")?.parse().ok());
    let open = port.is_some_and(|port| !refuses(port));
    victim.kill().expect("it was not waited for");
    victim.wait().expect("it was killed");

    assert!(open, "the victim had a server");
    assert!(
        eventually(|| port.is_none_or(refuses)),
        "port {port:?} is still open"
    );
    let containers = format!("name=session-auth-tests-{}-", victim.id());
    assert!(
        eventually(|| {
            let list = Command::new("docker")
                .args(["ps", "--all", "--quiet", "--filter", &containers])
                .output();
            // Without a docker command there was no container.
            list.map_or(true, |list| list.stdout.is_empty())
        }),
        "{containers} is still there"
    );
}
