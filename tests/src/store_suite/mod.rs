//! The tests that every session store must pass.
//!
//! [`store_suite!`](crate::store_suite!) makes one test of each rule. It takes the name of an async function that returns a
//! store without any content, and a guard. The guard is dropped after the store: a container's handle, for example, or `()`.
//! A function that returns `None` skips the test. Every test calls the function once.
//!
//! ```
//! use tower_session_auth::MemoryStore;
//!
//! async fn open_empty() -> (MemoryStore, ()) {
//!     (MemoryStore::new(), ())
//! }
//!
//! session_auth_tests::store_suite!(open_empty);
//! # fn main() {}
//! ```
//!
//! A store must not read a clock: each call carries its time, and the times of the tests are in 2025. Only a store that ends
//! keys by itself, as Redis does, may use its own clock for that.

mod agents;
mod creating;
mod evicting;
mod listing;
mod racing;
mod repeating;
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

/// The one list of the rules. The compiler reports a rule that is missing here as dead code, since only this list exports
/// rules.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_rules {
    ($action:ident $($open:ident)?) => {
        $crate::__each_store_rule! { $action ($($open)?)
            creating {
                created_session_is_read_back_unchanged
                unknown_session_reads_as_none
                session_id_cannot_be_created_twice
                rejected_creation_stores_nothing
                each_creation_applies_its_own_limit
                limit_counts_the_sessions_of_one_agent
                session_counts_until_the_second_it_expires
                renewed_session_counts_until_its_new_expiry
                revoked_session_does_not_count
            }
            evicting {
                least_recently_created_or_renewed_session_is_evicted
                eviction_brings_the_agent_down_to_the_limit
                expired_and_revoked_sessions_are_not_evicted
                failed_creation_evicts_nothing
            }
            replacing {
                retry_hash_is_kept_until_the_next_replacement
                replacement_stores_exactly_the_next_record
                rotation_increments_the_generation_but_not_the_renewal_count
                only_the_current_token_can_be_replaced
                revoked_session_rejects_a_replacement
                replacement_for_an_unknown_session_is_not_found
                replacement_can_shorten_the_expiry
            }
            repeating {
                repeated_creation_returns_the_first_session_and_creates_nothing
                retry_window_ends_at_its_second
                key_with_another_request_creates_nothing
                creation_is_repeated_at_the_limit
                rejected_creation_leaves_its_key_free
                repetition_evicts_nothing_and_names_the_sessions_evicted_before
                creation_is_repeated_after_its_session_was_revoked
                creation_is_not_repeated_for_a_deleted_agent
                first_reservation_of_an_agent_holds_until_its_window_ends
                agent_deleted_after_its_registration_is_not_registered_again
            }
            revoking {
                repeated_revocation_keeps_the_first_time
                revoking_an_unknown_session_returns_false
                expired_session_can_be_revoked
                revoking_an_agent_counts_its_active_sessions
                revoking_an_agent_keeps_the_sessions_of_others
                session_created_after_revoking_its_agent_is_active
            }
            listing {
                empty_store_lists_nothing
                pages_list_every_session_once_by_agent_newest_first
                pages_of_one_agent_list_its_sessions_newest_first
                last_page_has_no_cursor
                list_omits_revoked_sessions_and_keeps_expired_ones
                cursor_survives_the_revocation_of_its_session
                cursor_survives_the_deletion_of_its_agent
                session_created_between_pages_does_not_shift_them
            }
            agents {
                registered_agent_is_read_back_unchanged
                second_registration_changes_nothing
                pages_list_every_agent_once_by_id
                deleting_an_agent_revokes_its_sessions
                deleting_an_agent_again_returns_none
                deleted_agent_cannot_get_a_session
                agent_registered_again_has_no_old_state
            }
            racing {
                concurrent_creations_respect_the_limit
                one_of_many_concurrent_creations_with_one_key_succeeds
                one_of_many_concurrent_replacements_succeeds
                deletion_leaves_no_active_session_despite_concurrent_creations
                concurrent_creation_is_either_revoked_with_its_agent_or_active
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

/// A store and its guard, or nothing.
#[doc(hidden)]
pub trait Opened {
    type Store;
    type Guard;

    fn opened(self) -> Option<(Self::Store, Self::Guard)>;
}

impl<S, G> Opened for (S, G) {
    type Store = S;
    type Guard = G;

    fn opened(self) -> Option<(S, G)> {
        Some(self)
    }
}

impl<S, G> Opened for Option<(S, G)> {
    type Store = S;
    type Guard = G;

    fn opened(self) -> Option<(S, G)> {
        self
    }
}

/// Runs a rule on a new store, with several threads for the rules about races.
#[doc(hidden)]
pub fn check<O, Opening, Checking>(open: impl FnOnce() -> Opening, rule: impl FnOnce(O::Store) -> Checking)
where
    O: Opened,
    Opening: Future<Output = O>,
    Checking: Future<Output = ()>,
{
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        if let Some((store, _guard)) = open().await.opened() {
            rule(store).await;
        }
    });
}
