//! The revocation of a session whose creation failed.
//!
//! The creation may still run: its command may be on the way. Its token was never delivered, but the session counts against the agent's
//! limit.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::{
    RedisStore,
    script::{REVOKE, REVOKE_UNDELIVERED},
    sessions::revocation,
};
use crate::{store::NewSession, telemetry::StoreOperation};

/// How long the revocation is attempted after the last time at which the creation can run.
const ATTEMPTED_FOR: Duration = Duration::from_secs(30);
/// The longest time of one attempt.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(10);
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(500);
/// A longer deadline of a store call counts as this one.
const LONGEST_DEADLINE: Duration = Duration::from_secs(3600);

/// The times of a revocation. All of them follow from the deadline of a store call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RevocationTimes {
    /// From the start of a creation to its failure, at most.
    deadline: Duration,
    /// From the failure of the creation to the last time at which it can run.
    creation_may_run: Duration,
    /// From the failure of the creation to the start of the last attempt.
    attempts: Duration,
    /// The time limit of one attempt.
    attempt: Duration,
}

impl RevocationTimes {
    /// `deadline` is that of a store call. A creation that runs longer than `timely` after it was sent has no effect.
    pub(super) fn new(deadline: Duration, timely: Duration) -> Self {
        let creation_may_run = timely.min(LONGEST_DEADLINE);
        Self {
            deadline: deadline.min(LONGEST_DEADLINE),
            creation_may_run,
            attempts: creation_may_run + ATTEMPTED_FOR,
            attempt: deadline.min(LONGEST_ATTEMPT),
        }
    }

    /// The longest time from the creation to the end of the last attempt, in whole seconds.
    pub(super) fn longest_seconds(&self) -> u64 {
        let longest = self.deadline + self.attempts + self.attempt;
        longest.as_secs() + 1
    }
}

impl RedisStore {
    pub(super) fn revocation_times(&self) -> RevocationTimes {
        let servers = &self.shared.servers;
        RevocationTimes::new(servers.deadline(), servers.timely())
    }

    /// Revokes a session in the background.
    ///
    /// With an idempotency key, a repetition may have delivered the token meanwhile. The script then leaves the session active.
    fn revoke_in_background(&self, session: &NewSession) {
        let id = session.record.id;
        let mut call = revocation(self.keys(), id, session.record.agent_id, session.now);
        let mut script = &REVOKE;
        if let Some(retry) = &session.retry {
            call = call.key(self.keys().session_retry(session.record.agent_id, retry.id));
            call.first_key_suffices = false;
            script = &REVOKE_UNDELIVERED;
        }
        let store = self.clone();
        // Without a runtime, no command can be sent.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (times, failed) = (self.revocation_times(), Instant::now());
        runtime.spawn(async move {
            let _invalidate = store.shared.invalidate_on_drop(vec![id]);
            let servers = &store.shared.servers;
            while failed.elapsed() <= times.attempts {
                let revoked = servers.script::<i64>(script, &call);
                let revoked = servers.within(StoreOperation::Revoke, revoked);
                match timeout(times.attempt, revoked).await {
                    // Over another connection, the creation can arrive after its revocation.
                    Ok(Ok(0)) if failed.elapsed() <= times.creation_may_run => {}
                    Ok(Ok(_)) => return,
                    Ok(Err(_)) | Err(_) => {}
                }
                sleep(PAUSE).await;
            }
        });
    }
}

/// Revokes the session of a failed or cancelled creation when it is dropped, unless it is disarmed.
pub(super) struct RevokeOnDrop<'a>(Option<(&'a RedisStore, &'a NewSession)>);

impl<'a> RevokeOnDrop<'a> {
    pub(super) const fn new(store: &'a RedisStore, session: &'a NewSession) -> Self {
        Self(Some((store, session)))
    }

    pub(super) fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for RevokeOnDrop<'_> {
    fn drop(&mut self) {
        if let Some((store, session)) = self.0 {
            store.revoke_in_background(session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The time after its deadline in which a creation may still run.
    const DRIFT: Duration = Duration::from_secs(1);

    fn times(deadline: Duration) -> RevocationTimes {
        RevocationTimes::new(deadline, deadline.saturating_add(DRIFT))
    }

    /// The entry begins with the creation, which fails at its deadline. The revocation begins then.
    #[test]
    fn retry_entry_outlives_the_last_attempt_to_revoke_a_failed_creation() {
        // The deadline, in milliseconds: until the creation cannot run, all attempts, one attempt. The entry, in seconds.
        for (deadline, creation_may_run, attempts, attempt, entry) in [
            (1, 1_001, 31_001, 1, 32),
            (250, 1_250, 31_250, 250, 32),
            (499, 1_499, 31_499, 499, 33),
            (500, 1_500, 31_500, 500, 33),
            (2_000, 3_000, 33_000, 2_000, 38),
            (29_000, 30_000, 60_000, 10_000, 100),
            (60_000, 61_000, 91_000, 10_000, 162),
            (3_600_000, 3_600_000, 3_630_000, 10_000, 7_241),
        ] {
            let expected = RevocationTimes {
                deadline: Duration::from_millis(deadline),
                creation_may_run: Duration::from_millis(creation_may_run),
                attempts: Duration::from_millis(attempts),
                attempt: Duration::from_millis(attempt),
            };
            let times = times(Duration::from_millis(deadline));
            assert_eq!(times, expected);
            assert_eq!(times.longest_seconds(), entry, "{deadline} ms");
            assert!(entry * 1_000 > deadline + attempts + attempt);
            let after_creation = attempts - creation_may_run;
            assert!(
                after_creation >= 2 * (attempt + 500),
                "at least two attempts with their pauses"
            );
        }
    }

    #[test]
    fn deadline_of_more_than_an_hour_counts_as_an_hour() {
        assert_eq!(times(Duration::MAX), times(Duration::from_secs(3_600)));
        assert_eq!(
            times(Duration::from_secs(7_200)),
            times(Duration::from_secs(3_600))
        );
    }
}
