//! The page `docs/redis-topologies.md`: servers start with its blocks, its commands create the cluster, and the store works with its
//! settings. Only addresses, ports and folders are replaced.

use std::{
    fs,
    process::{Command, Output},
    time::{Duration, Instant},
};

use session_auth_server::config::{Flags, Sources, Store};
use session_auth_tests::{
    fixtures::{NOW, agent, session},
    folder::Folder,
    redis::TestRedis,
    server::cheap_hash,
};
use tokio::time::sleep;
use tower_session_auth::{RedisStore, SigningKey, store::SessionStore as _};

use crate::readme::blocks_in;

const PAGE: &str = include_str!("../../docs/redis-topologies.md");
const ADMIN: &str = "admin:admin-password";
/// Replicas and sentinels connect at intervals of seconds.
const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(200);

/// The blocks of a section in this language.
fn blocks(section: &str, language: &str) -> Vec<String> {
    let heading = format!("\n## {section}\n");
    let (_, rest) = PAGE.split_once(heading.as_str()).expect("a section");
    blocks_in(rest.split("\n## ").next().unwrap(), language)
}

fn only<T>(blocks: Vec<T>) -> T {
    let [block] = <[T; 1]>::try_from(blocks).ok().expect("one block");
    block
}

/// Starts a server or a sentinel with this content of its configuration file.
fn start(folder: &Folder, content: &str, login: &str, options: &[&str]) -> TestRedis {
    let options = [options, &["--bind", "127.0.0.1"]].concat();
    TestRedis::start_configured(login, &options, |port| {
        let data = folder.join(port.to_string());
        fs::create_dir_all(&data).unwrap();
        let lines = content.lines().map(|line| match line.split_once(' ') {
            Some(("port", _)) => format!("port {port}\n"),
            Some(("dir", _)) => format!("dir {}\n", data.display()),
            _ => format!("{line}\n"),
        });
        folder.write(&format!("{port}.conf"), &lines.collect::<String>())
    })
}

/// Replaces `10.0.0.1`, `10.0.0.2` and so on, with the port, by the addresses of these servers.
fn at(servers: &[TestRedis], documented_port: u16, text: &str) -> String {
    let numbered = servers.iter().enumerate();
    numbered.fold(text.to_owned(), |text, (index, server)| {
        let documented = format!("10.0.0.{}", index + 1);
        let (host, port) = ("127.0.0.1", server.port());
        text.replace(
            &format!("{documented}:{documented_port}"),
            &format!("{host}:{port}"),
        )
        .replace(
            &format!("{documented} {documented_port}"),
            &format!("{host} {port}"),
        )
        .replace(&format!("-h {documented} "), &format!("-h {host} -p {port} "))
    })
}

fn shell(script: &str) -> Output {
    let output = Command::new("sh").args(["-ec", script]).output();
    output.expect("a shell")
}

/// Opens the store with these settings, and creates and revokes a session. Returns the durability of the revocation.
async fn use_store(folder: &Folder, settings: &str) -> Option<bool> {
    let key = folder.write("key", SigningKey::generate().unwrap().to_paserk().as_bytes());
    let settings = format!(
        "{settings}key_file = '{key}'\nmaster_password_hash = '{}'\n",
        cheap_hash()
    );
    let file = folder.write("config.toml", &settings);
    let variables = [("SESSION_AUTH_CONFIG".into(), file.into())];
    let loaded = Sources::new(Flags::default(), variables).load().unwrap();
    let Store::Redis(mut config) = loaded.config.store else {
        panic!("another store")
    };
    config.timeout = Duration::from_secs(2);
    let store = RedisStore::open(&config).unwrap();
    let new = session(agent(), NOW);
    let began = Instant::now();
    while let Err(error) = store.create(&new).await {
        assert!(began.elapsed() < LIMIT, "{error}");
        sleep(PAUSE).await;
    }
    store.health().await.unwrap();
    store.revoke(new.record.id, NOW).await.unwrap().unwrap().durable
}

#[tokio::test]
async fn documented_server_starts_and_store_works() {
    let folder = Folder::new("page-server");
    let server = start(&folder, &only(blocks("One server", "text")), ADMIN, &[]);
    let settings = only(blocks("One server", "toml"));
    let url = format!("127.0.0.1:{}", server.port());
    let durable = use_store(&folder, &settings.replace("127.0.0.1:6379", &url)).await;
    let has_waitaof = server.command::<Vec<redis::Value>>(&["COMMAND", "INFO", "WAITAOF"]);
    let has_waitaof = has_waitaof.unwrap() != [redis::Value::Nil];
    assert_eq!(durable, Some(has_waitaof));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documented_sentinels_start_and_store_works() {
    let folder = Folder::new("page-sentinel");
    let [own, sentinel] = <[String; 2]>::try_from(blocks("Sentinel", "text")).expect("two blocks");
    let common = only(blocks("One server", "text"));
    let replica = format!("{common}{own}");
    let of_master = replica.lines().filter(|line| !line.starts_with("replicaof "));
    let of_master: String = of_master.map(|line| format!("{line}\n")).collect();
    let mut servers = vec![start(&folder, &of_master, ADMIN, &[])];
    let replica = at(&servers, 6379, &replica);
    for _ in 0..2 {
        servers.push(start(&folder, &replica, ADMIN, &[]));
    }
    let sentinel = at(&servers, 6379, &sentinel);
    let sentinels = [(); 3].map(|()| start(&folder, &sentinel, "peers:peers-password", &["--sentinel"]));
    let settings = at(&sentinels, 26379, &only(blocks("Sentinel", "toml")));
    assert_eq!(use_store(&folder, &settings).await, Some(true));

    // The promotion needs the rights of the users `sentinel` and `replication`.
    let failover = async || {
        let answer = sentinels[0].command::<String>(&["SENTINEL", "FAILOVER", "main"]);
        answer.is_ok()
    };
    let began = Instant::now();
    while !failover().await {
        assert!(began.elapsed() < LIMIT, "no failover begins");
        sleep(PAUSE).await;
    }
    let master = || {
        let named = sentinels[0].command::<(String, u16)>(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"]);
        named.expect("an answer").1
    };
    while master() == servers[0].port() {
        assert!(began.elapsed() < LIMIT, "no failover ends");
        sleep(PAUSE).await;
    }
    assert_eq!(use_store(&folder, &settings).await, Some(true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documented_commands_create_the_cluster_and_store_works() {
    let folder = Folder::new("page-cluster");
    let content = format!(
        "{}{}",
        only(blocks("One server", "text")),
        only(blocks("Cluster", "text"))
    );
    let nodes: Vec<_> = (0..9).map(|_| start(&folder, &content, ADMIN, &[])).collect();
    let script = at(&nodes, 6379, &only(blocks("Cluster", "sh")));
    let created = shell(&script);
    assert!(created.status.success(), "{created:?}");

    let failures = include_str!("../../docs/redis-failures.md");
    let (_, fix) = failures.split_once("the operator ends the move: `").unwrap();
    let fix = at(&nodes, 6379, fix.split('`').next().unwrap());
    let fixed = shell(&format!("REDISCLI_AUTH=admin-password {fix}"));
    assert!(fixed.status.success(), "{fixed:?}");

    let settings = at(&nodes, 6379, &only(blocks("Cluster", "toml")));
    assert_eq!(use_store(&folder, &settings).await, Some(true));
}
