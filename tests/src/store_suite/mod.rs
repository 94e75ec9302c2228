//! The tests that every session store must pass.
//!
//! [`store_suite!`](crate::store_suite!) makes one test of each rule. It takes the name of an async function that returns a store
//! without any content, and a guard. The guard is dropped after the store: a container's handle, for example, or `()`. Every test
//! calls the function once.
//!
//! ```
//! use tower_session_auth::MemoryStore;
//!
//! async fn open_empty() -> (MemoryStore, ()) {
//!     (MemoryStore::new(), ())
//! }
//!
//! session_auth_tests::store_suite!(open_empty);
//! ```
//!
//! A store must not read a clock: each call carries its time, and the times of the tests are in 2025. Only a store that ends keys by
//! itself, as Redis does, may use its own clock for that.

mod agents;
mod creating;
mod evicting;
mod listing;
mod racing;
mod replacing;
mod revoking;
mod steps;

use tokio::runtime;

/// Makes a test of each rule. The module's documentation has an example.
#[macro_export]
macro_rules! store_suite {
    ($open:ident) => {
        $crate::__store_rules! { test $open }
    };
}

/// The one list of the rules. The compiler reports a rule that is missing here as dead code, since only this list exports rules.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_rules {
    ($action:ident $($open:ident)?) => {
        $crate::__each_store_rule! { $action ($($open)?)
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
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __each_store_rule {
    (test ($open:ident) $($module:ident { $($rule:ident)+ })+) => {
        $(mod $module {
            use super::$open;

            $(#[test]
            fn $rule() {
                $crate::store_suite::check($open, $crate::store_suite::rules::$module::$rule);
            })+
        })+
    };
    (export () $($module:ident { $($rule:ident)+ })+) => {
        #[doc(hidden)]
        pub mod rules {
            $(pub mod $module {
                pub use super::super::$module::{$($rule),+};
            })+
        }
    };
}

__store_rules! { export }

/// Runs a rule on a new store, with several threads for the rules about races.
#[doc(hidden)]
pub fn check<S, Guard, Opening, Checking>(open: impl FnOnce() -> Opening, rule: impl FnOnce(S) -> Checking)
where
    Opening: Future<Output = (S, Guard)>,
    Checking: Future<Output = ()>,
{
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (store, _guard) = open().await;
        rule(store).await;
    });
}
