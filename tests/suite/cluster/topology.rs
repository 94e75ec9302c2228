//! Which nodes a store finds and uses, and how it uses all of them.

use std::time::Duration;

use session_auth_tests::{
    fixtures::{NOW, open, register, renewal, session},
    redis::{Cluster, TestRedis},
};
use tower_session_auth::{
    RedisStore,
    store::{AgentStore as _, PageRequest, RedisStoreConfig, SessionStore as _, StoreHealth},
};

use super::{PATIENT, agent_on, impatient, read, session_on, session_on_each, time_until};

#[tokio::test]
async fn longest_possible_times_are_accepted() {
    let mut config = RedisStoreConfig::new(Cluster::shared().url());
    config.timeout = Duration::MAX;
    config.master_lease = Duration::MAX;
    let store = RedisStore::open(&config).unwrap();
    let health = tokio::time::timeout(PATIENT, store.health()).await;
    assert_eq!(health.unwrap().unwrap(), StoreHealth::Ready);
}

#[tokio::test]
async fn url_with_one_node_finds_the_others() {
    let cluster = Cluster::shared();
    for node in cluster.numbers() {
        let mut config = RedisStoreConfig::new(cluster.url_of(&[node]));
        config.timeout = PATIENT;
        config.key_prefix = format!("one{node}:");
        let store = RedisStore::open(&config).unwrap();
        for agent in (0..3).map(|master| agent_on(&cluster, master)) {
            let new = session(agent, NOW);
            store.create(&new).await.unwrap();
            assert_eq!(read(&store, new.record.id).await.0, Ok(Some(false)));
        }
    }
}

#[tokio::test]
async fn dead_node_in_the_url_is_skipped() {
    let mut cluster = Cluster::builder().node_timeout_ms(1_000).start();
    cluster.kill(3);
    let store = open(cluster.url_of(&[3, 1]), PATIENT);
    session_on_each(&cluster, &store).await;
}

#[tokio::test]
async fn single_server_at_the_url_of_a_cluster_is_refused_with_this_reason() {
    let redis = TestRedis::start();
    let url = redis.url().replace("redis://", "redis+cluster://");
    let url = url.trim_end_matches("/0");
    let store = RedisStore::open(&RedisStoreConfig::new(url)).unwrap();
    let error = store.ping().await.unwrap_err().to_string();
    assert!(error.contains("write redis://host:6379"), "{error}");
}

#[tokio::test]
async fn scripts_that_every_node_has_lost_are_sent_again() {
    let cluster = Cluster::builder().without_replicas().start();
    let store = open(cluster.url(), PATIENT);
    for _ in 0..3 {
        for master in 0..3 {
            cluster.command_on_each(&["SCRIPT", "FLUSH"]);
            let record = session_on(&cluster, &store, master).await;
            cluster.command_on_each(&["SCRIPT", "FLUSH"]);
            let swap = renewal(&record, "1", NOW);
            store.replace_token(&swap).await.unwrap();
            assert_eq!(store.read(record.id).await.unwrap().as_ref(), Some(&swap.next));
            cluster.command_on_each(&["SCRIPT", "FLUSH"]);
            assert!(store.revoke(record.id, NOW).await.unwrap().is_some());
        }
    }
}

#[tokio::test]
async fn lists_have_the_sessions_of_all_masters_in_order() {
    let cluster = Cluster::shared();
    let mut config = RedisStoreConfig::new(cluster.url());
    config.timeout = PATIENT;
    config.key_prefix = "lists:".to_owned();
    let store = RedisStore::open(&config).unwrap();
    let mut records = Vec::new();
    let mut agents = Vec::new();
    for number in 0..30 {
        let agent = agent_on(&cluster, number % 3);
        agents.push(register(&store, agent, None).await.id);
        for _ in 0..2 {
            let new = session(agent, NOW);
            store.create(&new).await.unwrap();
            records.push(new.record);
        }
    }
    records.sort_by_key(|record| (record.agent_id, std::cmp::Reverse(record.id)));
    agents.sort();
    for limit in [1, 7, 60, 100] {
        let mut listed = Vec::new();
        let mut after = None;
        loop {
            let page = store.list(None, PageRequest { after, limit }).await.unwrap();
            listed.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(listed, records, "pages of {limit}");
    }
    let page = PageRequest {
        after: None,
        limit: 100,
    };
    let listed = store.agents(page).await.unwrap().items;
    assert_eq!(listed.iter().map(|agent| agent.id).collect::<Vec<_>>(), agents);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn added_node_is_used_without_a_restart() {
    let mut cluster = Cluster::builder().without_replicas().start();
    let store = impatient(&cluster);
    let record = session_on(&cluster, &store, 0).await;
    let added = cluster.add_node();
    let slot = cluster.slot(&format!("{{{:04x}}}", record.agent_id.bucket()));
    cluster.reshard(&[slot], 0, added);
    time_until(&store, record.id, false).await;
    // The old owner ends. The session's new owner is the added node.
    cluster.kill(0);
    let swap = renewal(&record, "1", NOW);
    store.replace_token(&swap).await.unwrap();
    store.revoke(record.id, NOW).await.unwrap();
    assert_eq!(read(&store, record.id).await.0, Ok(Some(true)));
}
