//! The memory of a session in Redis.

use redis::{InfoDict, Value};
use session_auth_tests::fixtures::{CREATED, NOW, agent, layout::LayoutStore, session};
use tokio::task::JoinSet;
use tower_session_auth::store::SessionStore as _;

use crate::alone;

#[tokio::test]
async fn session_takes_at_most_300_bytes_of_redis_memory() {
    let _alone = alone();
    const AGENTS: u64 = 20_000;
    const EACH: u64 = 5;
    let layout = LayoutStore::start();
    let used = || {
        let info: InfoDict = layout.query(&["INFO", "memory"]);
        info.get::<u64>("used_memory").unwrap()
    };
    layout.run_every_operation().await;
    let before = used();
    let mut tasks = JoinSet::new();
    for task in 0..32 {
        let store = layout.store.clone();
        tasks.spawn(async move {
            for _ in (task..AGENTS).step_by(32) {
                let agent = agent();
                for _ in 0..EACH {
                    let created = store.create(&session(agent, NOW)).await.unwrap();
                    assert_eq!(created, CREATED);
                }
            }
        });
    }
    tasks.join_all().await;
    let each = (used() - before) / (AGENTS * EACH);
    println!(
        "{} sessions of {AGENTS} agents: {each} bytes of used_memory each",
        AGENTS * EACH
    );
    let explain = || {
        let stats: Value = layout.query(&["MEMORY", "STATS"]);
        let clients: String = layout.query(&["CLIENT", "LIST"]);
        format!("{before} bytes before; {stats:?}; {clients}")
    };
    assert!(each <= 300, "{each}: {}", explain());
}
