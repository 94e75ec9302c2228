//! The harness' cluster does what the tests of the store rely on.

use std::time::{Duration, Instant};

use session_auth_tests::redis::Cluster;

fn set(cluster: &Cluster, node: usize, key: &str) {
    cluster
        .command::<redis::Value>(node, &["SET", key, "value"])
        .unwrap();
}

#[test]
fn cluster_starts_with_a_replica_of_each_master() {
    let began = Instant::now();
    let cluster = Cluster::start();
    println!("formed in {:?}", began.elapsed());
    let slots: Vec<_> = (0..3).map(|master| cluster.slots_of(master).len()).collect();
    assert_eq!(slots.iter().sum::<usize>(), 16_384);
    for master in 0..3 {
        let key = format!("{{{}}}", key_on(&cluster, master));
        set(&cluster, master, &key);
        let copied: u32 = cluster.command(master, &["WAIT", "1", "5000"]).unwrap();
        assert_eq!(copied, 1);
        let role: Vec<redis::Value> = cluster.command(master + 3, &["ROLE"]).unwrap();
        assert_eq!(role[0], redis::Value::BulkString(b"slave".to_vec()));
    }
}

/// A key that this master serves.
fn key_on(cluster: &Cluster, master: usize) -> String {
    (0..)
        .map(|number| format!("key{number}"))
        .find(|key| cluster.owner(key) == master)
        .unwrap()
}

#[test]
fn replica_of_a_killed_master_takes_over() {
    let mut cluster = Cluster::builder().node_timeout_ms(500).start();
    let key = key_on(&cluster, 0);
    let began = Instant::now();
    cluster.kill(0);
    assert_eq!(cluster.wait_for_failover(&key, 0), 3);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    println!("failover in {:?}", began.elapsed());
    cluster.wait_until_all_slots_are_served();
    set(&cluster, 3, &key);
    cluster.restart(0);
    cluster.wait_for_sync(0);
}

#[test]
fn slots_move_with_their_keys() {
    let mut cluster = Cluster::builder().without_replicas().start();
    let key = key_on(&cluster, 0);
    set(&cluster, 0, &key);
    let used = cluster.slot(&key);
    let others = cluster.slots_of(0).into_iter().filter(|&slot| slot != used);
    let slots: Vec<u16> = [used].into_iter().chain(others.take(299)).collect();
    let began = Instant::now();
    assert_eq!(cluster.reshard(&slots, 0, 1), 1);
    println!("{} slots in {:?}", slots.len(), began.elapsed());
    assert_eq!(cluster.owner(&key), 1);
    let value: String = cluster.command(1, &["GET", &key]).unwrap();
    assert_eq!(value, "value");

    let added = cluster.add_node();
    assert_eq!(added, 3);
    let slot = cluster.slot(&key);
    assert_eq!(cluster.reshard(&[slot], 1, added), 1);
    assert_eq!(cluster.owner(&key), added);
}
