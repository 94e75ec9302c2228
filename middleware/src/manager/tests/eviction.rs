use super::*;
use crate::session::{OnSessionLimit, SessionPolicy};

/// Six sessions of one agent, opened within one second, in 200 trials.
#[tokio::test]
async fn the_first_opened_of_six_sessions_is_evicted() {
    // Other tests generate ids at other times in this process. This date is far from theirs.
    let clock = ManualClock::new(NOW.plus(20 * 365 * 86_400));
    let policy = SessionPolicy {
        on_session_limit: OnSessionLimit::EvictOldest,
        ..SessionPolicy::default()
    };
    for trial in 0..200 {
        let sessions = SessionManager::for_any_agent(MemoryStore::new(), signer())
            .policy(policy.clone())
            .clock(clock.clone());
        let mut opened = Vec::new();
        for _ in 0..6 {
            opened.push(sessions.create(request()).await.unwrap());
        }
        let first = opened[0].record.id;
        assert_eq!(opened[5].evicted, [first], "trial {trial}");
        let listed = sessions
            .list(Some(test_support::agent()), first_page(10))
            .await
            .unwrap();
        let listed: Vec<_> = listed.items.iter().map(|record| record.id).collect();
        let newest_first: Vec<_> = opened[1..].iter().rev().map(|issued| issued.record.id).collect();
        assert_eq!(listed, newest_first, "trial {trial}");
    }
}
