//! Listing sessions.

use tower_session_auth::{
    AgentId,
    session::SessionRecord,
    store::{PageRequest, SessionCursor},
};

use super::steps::{Store, add, add_some, list, list_from};
use crate::fixtures::{NOW, RETENTION, TTL, agent, register, session};

/// Adds three agents with sessions and one without. Returns the sessions in list order.
async fn filled(store: &impl Store) -> Vec<SessionRecord> {
    let mut records = Vec::new();
    for count in [3, 1, 0, 4] {
        let agent = agent();
        register(store, agent, None).await;
        records.extend(add_some(store, agent, count).await);
    }
    records.sort_by_key(|record| (record.agent_id, std::cmp::Reverse(record.id)));
    records
}

async fn first_page(store: &impl Store, limit: usize) -> (Vec<SessionRecord>, SessionCursor) {
    let page = store
        .list(None, PageRequest { after: None, limit })
        .await
        .unwrap();
    (page.items, page.next.expect("a second page"))
}

pub async fn empty_store_lists_nothing(store: impl Store) {
    for agent in [None, Some(agent())] {
        let page = store
            .list(
                agent,
                PageRequest {
                    after: None,
                    limit: 10,
                },
            )
            .await
            .unwrap();
        assert_eq!(page.items, []);
        assert_eq!(page.next, None);
    }
}

pub async fn pages_list_every_session_once_by_agent_newest_first(store: impl Store) {
    let records = filled(&store).await;
    for limit in 1..=records.len() + 1 {
        assert_eq!(list(&store, None, limit).await, records, "pages of {limit}");
    }
}

pub async fn pages_of_one_agent_list_its_sessions_newest_first(store: impl Store) {
    let records = filled(&store).await;
    let agents: std::collections::BTreeSet<AgentId> = records.iter().map(|r| r.agent_id).collect();
    for agent in agents {
        let own: Vec<_> = records.iter().filter(|r| r.agent_id == agent).cloned().collect();
        assert!(
            own.is_sorted_by(|a, b| a.created_at() > b.created_at()),
            "newest first"
        );
        for limit in 1..=own.len() + 1 {
            assert_eq!(list(&store, Some(agent), limit).await, own, "pages of {limit}");
        }
    }
}

pub async fn last_page_has_no_cursor(store: impl Store) {
    let agent = agent();
    let records = add_some(&store, agent, 4).await;
    for (limit, last) in [(3, false), (4, true), (5, true)] {
        let request = PageRequest { after: None, limit };
        let page = store.list(Some(agent), request).await.unwrap();
        assert_eq!(page.items.len(), limit.min(records.len()));
        assert_eq!(page.next.is_none(), last, "{limit} of 4");
    }
}

pub async fn list_omits_revoked_sessions_and_keeps_expired_ones(store: impl Store) {
    let mut records = filled(&store).await;
    let revoked = records.remove(1);
    assert!(store.revoke(revoked.id, NOW).await.unwrap().is_some());
    // A creation removes old sessions, but an expired one is kept for its retention.
    let late = session(records[0].agent_id, NOW.plus(TTL + RETENTION - 1));
    records.insert(0, add(&store, late).await);
    for limit in 1..=records.len() {
        assert_eq!(list(&store, None, limit).await, records, "pages of {limit}");
    }
}

pub async fn cursor_survives_the_revocation_of_its_session(store: impl Store) {
    for limit in 1..=7 {
        let all = filled(&store).await;
        // Starts after the sessions of earlier rounds.
        let start = SessionCursor {
            agent: all[0].agent_id,
            session: None,
        };
        let after = Some(start);
        let page = store.list(None, PageRequest { after, limit }).await.unwrap();
        let seen = page.items.last().expect("every session is after the start").id;
        assert!(store.revoke(seen, NOW).await.unwrap().is_some());

        let position = all.iter().position(|record| record.id == seen).unwrap();
        let rest = list_from(&store, None, page.next, limit).await;
        assert_eq!(rest, all[position + 1..], "pages of {limit}");
    }
}

pub async fn cursor_survives_the_deletion_of_its_agent(store: impl Store) {
    let records = filled(&store).await;
    let (items, cursor) = first_page(&store, 2).await;
    assert_eq!(items, records[..2]);
    assert_eq!(
        cursor.agent, records[0].agent_id,
        "the page ends within the first agent"
    );
    assert_eq!(
        store
            .delete_agent(cursor.agent, NOW)
            .await
            .unwrap()
            .map(|revoked| revoked.active),
        Some(3)
    );
    assert_eq!(list_from(&store, None, Some(cursor), 2).await, records[3..]);
}

pub async fn session_created_between_pages_does_not_shift_them(store: impl Store) {
    let records = filled(&store).await;
    let (items, cursor) = first_page(&store, 2).await;
    assert_eq!(items, records[..2]);
    // It is newer than the page, so its place in the list was already passed.
    let newer = session(cursor.agent, NOW.plus(1_000));
    add(&store, newer).await;
    assert_eq!(list_from(&store, None, Some(cursor), 2).await, records[2..]);
}
