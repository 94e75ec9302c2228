//! The user of the store on a cluster.

use session_auth_tests::{
    fixtures::{NOW, agent, cached::wait_until, open, register, renewal},
    redis::Cluster,
};
use tower_session_auth::store::{AgentStore as _, CachedStore as _, PageRequest, SessionStore as _};

use super::{PATIENT, read, session_on};

/// The line of the documentation, as a command.
fn documented_user() -> Vec<&'static str> {
    let page = include_str!("../../../docs/redis-topologies.md");
    let rules = page.lines().find_map(|line| line.strip_prefix("user sessions "));
    let rules = rules.expect("a user");
    let other_page = include_str!("../../../docs/redis.md");
    assert!(other_page.contains(&format!("ACL SETUSER sessions {rules}\n")));
    ["ACL", "SETUSER", "sessions"]
        .into_iter()
        .chain(rules.split(' '))
        .collect()
}

fn url_of_the_user(cluster: &Cluster) -> String {
    cluster.url().replace("://", "://sessions:password@")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documented_user_may_call_what_the_store_calls() {
    let cluster = Cluster::builder().without_replicas().start();
    cluster.command_on_each(&documented_user());
    let store = open(url_of_the_user(&cluster), PATIENT);
    for master in 0..3 {
        let record = session_on(&cluster, &store, master).await;
        store.replace_token(&renewal(&record, "1", NOW)).await.unwrap();
        store.revoke(record.id, NOW).await.unwrap();
        assert_eq!(read(&store, record.id).await.0, Ok(Some(true)));
        store.revoke_agent(record.agent_id, NOW).await.unwrap();
    }
    let registered = agent();
    register(&store, registered, None).await;
    let page = PageRequest {
        after: None,
        limit: 10,
    };
    store.list(None, page).await.unwrap();
    store.delete_agent(registered, NOW).await.unwrap();
    store.health().await.unwrap();
    store.enable_cache().unwrap();
    wait_until("coherent", || {
        store.cache_stats().is_some_and(|stats| stats.coherent)
    })
    .await;
}

#[tokio::test]
async fn restricted_default_user_of_one_master_is_found() {
    let cluster = Cluster::builder().without_replicas().start();
    cluster.command_on_each(&["CONFIG", "SET", "appendonly", "yes"]);
    let store = open(cluster.url(), PATIENT);
    let is_restricted = async || {
        let found = store.server_info().await.unwrap();
        found.default_user_is_restricted
    };
    assert_eq!(is_restricted().await, Some(false));
    for master in 0..3 {
        let set = |rule| {
            cluster
                .command::<redis::Value>(master, &["ACL", "SETUSER", "default", rule])
                .unwrap();
        };
        set("-debug");
        assert_eq!(is_restricted().await, Some(true), "master {master}");
        set("+@all");
    }
}

#[tokio::test]
async fn forbidden_view_of_the_cluster_is_named() {
    let cluster = Cluster::builder().without_replicas().start();
    let user = documented_user();
    let without_view = user.iter().copied().filter(|word| *word != "+cluster|nodes");
    cluster.command_on_each(&without_view.collect::<Vec<_>>());
    let store = open(url_of_the_user(&cluster), PATIENT);
    let told = store.ping().await.unwrap_err().to_string();
    for part in [
        "no majority of the masters of the cluster answers",
        "NoPerm",
        "cluster|nodes",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}
