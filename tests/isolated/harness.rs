//! Tests of the harness itself.

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

/// The environment variable of a test that runs in a separate process, which will be killed.
const VICTIM: &str = "HARNESS_VICTIM";

fn is_closed(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_err()
}

fn becomes_true(mut done: impl FnMut() -> bool) -> bool {
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
fn server_ends_when_dropped() {
    let _alone = alone();
    let redis = TestRedis::start();
    let port = redis.port();
    assert_eq!(redis.url(), format!("redis://127.0.0.1:{port}/0"));
    let config: Vec<String> = redis.command(&["CONFIG", "GET", "save"]).expect("an answer");
    assert_eq!(config, ["save", ""], "no persistence");

    drop(redis);
    assert!(is_closed(port));
}

#[test]
fn server_ends_when_the_test_panics() {
    let _alone = alone();
    let mut port = 0;
    let test = AssertUnwindSafe(|| {
        let redis = TestRedis::start();
        port = redis.port();
        panic!("a failing test");
    });
    assert!(catch_unwind(test).is_err());
    assert!(port != 0 && is_closed(port));
}

#[test]
fn kill_closes_connections_and_rejects_new_ones() {
    let _alone = alone();
    let mut redis = TestRedis::start();
    let client = redis::Client::open(redis.url()).expect("a valid URL");
    let mut connection = client.get_connection().expect("an answer");

    redis.kill();
    assert!(is_closed(redis.port()));
    assert!(redis::cmd("PING").exec(&mut connection).is_err());
}

#[test]
fn restarted_server_is_empty_on_the_same_port() {
    let _alone = alone();
    let mut redis = TestRedis::start();
    let url = redis.url();
    command::<()>(&url, &["SET", "key", "value"]).expect("an answer");

    redis.restart();
    assert_eq!(redis.url(), url);
    assert_eq!(command::<Option<String>>(&url, &["GET", "key"]), Ok(None));

    redis.kill();
    redis.restart();
    assert_eq!(command(&url, &["PING"]), Ok("PONG".to_owned()));
}

#[test]
fn paused_server_does_not_answer_until_resumed() {
    let _alone = alone();
    let mut redis = TestRedis::start();
    let client = redis::Client::open(redis.url()).expect("a valid URL");
    let mut before = client.get_connection().expect("an answer");
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
    assert!(is_closed(redis.port()), "kill works on a paused server");
    redis.restart();
    assert_eq!(redis.command(&["PING"]), Ok("PONG".to_owned()));
}

#[test]
fn server_gets_its_options_and_urls_contain_the_password() {
    let _alone = alone();
    let redis = TestRedis::start_with(&["--requirepass", "secret", "--maxmemory", "50mb"]);
    let url = redis.fresh_database();
    let memory: Vec<String> = command(&url, &["CONFIG", "GET", "maxmemory"]).expect("authenticated");
    assert_eq!(memory, ["maxmemory", "52428800"]);

    let without = format!("redis://127.0.0.1:{}", redis.port());
    let rejected = command::<String>(&without, &["GET", "key"]).expect_err("no password");
    assert_eq!(rejected.code(), Some("NOAUTH"));
}

#[test]
#[should_panic = "no-such-option"]
fn invalid_option_is_reported() {
    let _alone = alone();
    TestRedis::start_with(&["--no-such-option", "1"]);
}

#[tokio::test]
async fn shared_server_gives_each_user_a_database() {
    let _alone = alone();
    let (one, two) = (TestRedis::shared(), TestRedis::shared());
    assert!(Arc::ptr_eq(&one, &two));

    let (first, second) = (one.fresh_database(), two.fresh_database());
    assert_ne!(first, second);
    let client = redis::Client::open(&*first).expect("a valid URL");
    let mut connection = client
        .get_multiplexed_async_connection()
        .await
        .expect("an answer");
    redis::cmd("SET")
        .arg(&["key", "value"])
        .exec_async(&mut connection)
        .await
        .expect("an answer");
    assert_eq!(command(&first, &["DBSIZE"]), Ok(1));
    assert_eq!(command(&second, &["DBSIZE"]), Ok(0));

    let port = one.port();
    drop(one);
    assert!(!is_closed(port), "the server has one user");
    drop(two);
    assert!(is_closed(port), "the server has no user");
}

#[test]
fn monitor_returns_the_commands_since_the_last_call() {
    let _alone = alone();
    let redis = TestRedis::start();
    redis.command::<()>(&["SET", "before", "1"]).expect("an answer");

    let mut monitor = redis.monitor();
    redis.command::<()>(&["SET", "outside", "1"]).expect("an answer");
    redis
        .command::<()>(&["EVAL", "return redis.call('GET', KEYS[1])", "1", "inside"])
        .expect("an answer");
    let lines = monitor.lines();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(lines[0].ends_with(r#"] "SET" "outside" "1""#), "{lines:#?}");
    assert!(lines[2].ends_with(r#" lua] "GET" "inside""#), "{lines:#?}");

    assert_eq!(monitor.lines(), [""; 0]);
}

#[test]
fn killed_process_leaves_no_server() {
    let _alone = alone();
    assert_killed_process_leaves_no_server("harness::killed_process_leaves_no_server", |_| ());
}

#[test]
fn killed_process_leaves_no_paused_server() {
    let _alone = alone();
    assert_killed_process_leaves_no_server(
        "harness::killed_process_leaves_no_paused_server",
        TestRedis::pause,
    );
}

/// Runs the calling test, named `test`, in a second process and kills it. That process also comes here, as the victim.
fn assert_killed_process_leaves_no_server(test: &str, prepare: impl FnOnce(&mut TestRedis)) {
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
    let open = port.is_some_and(|port| !is_closed(port));
    victim.kill().expect("a running victim");
    victim.wait().expect("a killed victim");

    assert!(open, "the victim started a server");
    assert!(
        becomes_true(|| port.is_none_or(is_closed)),
        "port {port:?} is still open"
    );
    let containers = format!("name=session-auth-tests-{}-", victim.id());
    assert!(
        becomes_true(|| {
            let list = Command::new("docker")
                .args(["ps", "--all", "--quiet", "--filter", &containers])
                .output();
            // Without a docker command there is no container.
            list.map_or(true, |list| list.stdout.is_empty())
        }),
        "{containers} is still there"
    );
}
