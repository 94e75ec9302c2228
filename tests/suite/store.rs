//! One suite for every store, and what each promises beyond it.

#[path = "support/fixtures.rs"]
mod fixtures;
#[path = "support/store/mod.rs"]
mod rules;

use std::time::Duration;

use fixtures::{NOW, RETENTION, TTL, agent, constraints, key, open, renewal, session};
use rules::agents::register;
use session_auth_tests::redis::{TestRedis, command};
use tower_session_auth::{
    MemoryStore, RedisStore,
    store::{AgentStore as _, CreateOutcome, SessionStore as _},
};

/// Far more than a call takes on a machine under load: these tests are not about deadlines.
const DEADLINE: Duration = Duration::from_secs(10);

macro_rules! tests {
    ($open:expr; $($module:ident { $($(#[$attribute:meta])* $rule:ident)+ })+) => {
        $(mod $module {
            use crate::*;

            $($(#[$attribute])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $rule() {
                // What comes with the store ends after it.
                let (_server, store) = $open;
                rules::$module::$rule(store).await;
            })+
        })+
    };
}

/// Every rule for one store. One that is left out here is dead code, of which the compiler tells.
macro_rules! store_suite {
    ($store:ident, $open:expr) => {
        mod $store {
            tests! { $open;
                creating {
                    a_session_is_read_as_it_was_created
                    a_session_that_was_not_created_is_none
                    an_id_is_taken_once
                    a_refused_creation_leaves_nothing
                    the_limit_is_the_one_of_the_creation
                    the_limit_is_each_agents_own
                    a_session_counts_until_the_second_of_its_expiry
                    a_renewed_session_counts_until_its_new_expiry
                    a_revoked_session_does_not_count
                }
                evicting {
                    the_session_renewed_or_created_the_longest_ago_gives_way
                    as_many_give_way_as_the_limit_says
                    what_is_no_longer_active_does_not_give_way
                    nothing_gives_way_to_a_limit_of_0_or_a_deleted_agent
                }
                replacing {
                    what_repeats_a_renewal_is_kept_until_the_next_replacement
                    a_replaced_token_changes_what_it_says_and_nothing_else
                    a_rotation_that_is_no_renewal_counts_in_the_generation_alone
                    only_the_current_token_is_replaced
                    a_revoked_session_keeps_its_token
                    a_session_that_is_not_there_has_no_token_to_replace
                    a_token_never_outlives_what_it_says
                }
                revoking {
                    the_first_revocation_counts
                    an_unknown_session_is_not_revoked
                    an_expired_session_is_revoked_all_the_same
                    revoking_an_agents_sessions_counts_the_active_ones
                    revoking_an_agents_sessions_touches_no_others
                    a_session_created_after_a_revocation_of_all_lives
                }
                listing {
                    an_empty_store_lists_nothing
                    pages_of_any_size_hold_each_session_once_by_agent_newest_first
                    pages_of_an_agent_hold_its_sessions_newest_first
                    the_last_page_says_that_it_is_the_last
                    revoked_sessions_are_left_out_and_expired_ones_are_not
                    a_cursor_outlives_its_session
                    a_cursor_outlives_its_agent
                    a_session_created_between_pages_moves_no_other
                }
                agents {
                    an_agent_is_found_as_it_was_registered
                    registering_again_changes_nothing
                    pages_of_any_size_hold_each_agent_once_by_id
                    deleting_an_agent_revokes_its_sessions
                    an_agent_is_deleted_once
                    a_deleted_agent_gets_no_session
                    an_agent_that_is_registered_anew_starts_anew
                }
                racing {
                    of_many_creations_as_many_succeed_as_the_limit_says
                    of_many_replacements_of_a_token_one_succeeds
                    a_deleted_agent_has_no_live_session
                    a_session_is_either_revoked_with_all_or_lives
                }
            }
        }
    };
}

store_suite!(memory, ((), MemoryStore::new()));
store_suite!(redis, {
    let redis = TestRedis::shared();
    let store = open(redis.fresh_database(), DEADLINE);
    (redis, store)
});

#[tokio::test]
async fn memory_forgets_a_session_when_its_retention_is_over() {
    let store = MemoryStore::new();
    let agent = agent();
    let first = session(agent, NOW);
    assert_eq!(store.create(&first).await.unwrap(), CreateOutcome::Done);
    let renewed = session(agent, NOW);
    assert_eq!(store.create(&renewed).await.unwrap(), CreateOutcome::Done);
    let half = NOW.plus(TTL / 2);
    store
        .replace_token(&renewal(&renewed.record, "1", half))
        .await
        .unwrap();

    // Creations by others are what makes it look.
    for (now, first_is_there, renewed_is_there) in [
        (NOW.plus(TTL + RETENTION - 1), true, true),
        (NOW.plus(TTL + RETENTION), false, true),
        (half.plus(TTL + RETENTION - 1), false, true),
        (half.plus(TTL + RETENTION), false, false),
    ] {
        store.create(&session(fixtures::agent(), now)).await.unwrap();
        for (session, there) in [(&first, first_is_there), (&renewed, renewed_is_there)] {
            let read = store.read(session.record.id).await.unwrap();
            assert_eq!(read.is_some(), there, "at {now}");
        }
    }
}

#[tokio::test]
async fn memory_forgets_a_deleted_agent_after_an_hour() {
    let store = MemoryStore::new();
    let agent = register(&store, agent(), None).await.id;
    store.delete_agent(agent, NOW).await.unwrap();
    for (now, outcome) in [
        (NOW.plus(3_599), CreateOutcome::AgentDeleted),
        (NOW.plus(3_600), CreateOutcome::Done),
    ] {
        let created = store.create(&session(agent, now)).await.unwrap();
        assert_eq!(created, outcome, "at {now}");
    }
}

/// Seconds that each key has left, give or take those that this takes.
#[track_caller]
fn assert_ends(url: &str, keys: &[&str], seconds: u64) {
    for key in keys {
        let left: u64 = command(url, &["TTL", key]).unwrap_or_else(|error| panic!("{key}: {error}"));
        assert!(
            (seconds - 20..=seconds).contains(&left),
            "{key} has {left} of {seconds} s"
        );
    }
}

#[tokio::test]
async fn redis_keeps_a_session_until_its_retention_is_over() {
    let redis = TestRedis::shared();
    let url = redis.fresh_database();
    let store: RedisStore = open(&*url, DEADLINE);
    let agent = register(&store, agent(), None).await.id;
    let mut long = session(agent, NOW);
    long.record.constraints = constraints(65);
    let id = long.record.id;
    let bucket = format!("{{{:04x}}}:{}", agent.bucket(), agent.as_uuid().simple());
    let index = format!("idx:{bucket}");
    let record = key(id);
    assert_eq!(store.create(&long).await.unwrap(), CreateOutcome::Done);
    assert_ends(&url, &[&record, &index], TTL + RETENTION);

    // A session that ends earlier does not shorten the index's life.
    let mut short = session(agent, NOW);
    short.record.expires_at = NOW.plus(300);
    assert_eq!(store.create(&short).await.unwrap(), CreateOutcome::Done);
    assert_ends(&url, &[&key(short.record.id)], 300 + RETENTION);
    assert_ends(&url, &[&index], TTL + RETENTION);

    // A renewal that says so ends everything later, a refused one nothing.
    let mut swap = renewal(&long.record, "1", NOW);
    swap.next.expires_at = NOW.plus(2 * TTL);
    store.replace_token(&swap).await.unwrap();
    assert_ends(&url, &[&record, &index], 2 * TTL + RETENTION);
    swap.next.expires_at = NOW.plus(3 * TTL);
    store.replace_token(&swap).await.unwrap();
    assert_ends(&url, &[&record, &index], 2 * TTL + RETENTION);

    store.revoke(id, NOW).await.unwrap();
    assert_ends(&url, &[&record, &index], 2 * TTL + RETENTION);
    store.delete_agent(agent, NOW).await.unwrap();
    assert_ends(&url, &[&record], 2 * TTL + RETENTION);
    assert_ends(&url, &[&format!("agent:{bucket}")], 3_600);
    assert_eq!(command(&url, &["EXISTS", &index]), Ok(0));
}
