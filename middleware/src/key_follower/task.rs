//! The task that fetches the keys.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::{
    KeyFetchError,
    fetch::{Fetched, KeysUrl},
    follower::Shared,
    lifetime,
};
use crate::token::VerifyingKey;

/// Fetches the keys at `next`, and again and again. Drops them when they are too old.
pub(super) async fn run(shared: Arc<Shared>, url: KeysUrl, mut next: Instant) {
    loop {
        tokio::select! {
            () = sleep_until(next) => {}
            // A fetch that was due may have begun before the task took this notification.
            () = shared.early.notified() => if !shared.state().fetching { continue },
            () = shared.too_old() => { shared.drop_keys(); continue }
        }
        shared.begin();
        let fetch = url.fetch(shared.limits.timeout);
        tokio::pin!(fetch);
        let fetched = loop {
            tokio::select! {
                fetched = &mut fetch => break fetched,
                () = shared.too_old() => shared.drop_keys(),
            }
        };
        next = Instant::now() + shared.finish(fetched);
    }
}

impl Shared {
    fn begin(&self) {
        let mut state = self.state();
        if !state.fetching {
            state.fetching = true;
            state.started = Instant::now();
        }
        state.unknown.fetch_begins();
    }

    /// Resolves when the keys are too old. Never resolves if they were dropped.
    async fn too_old(&self) {
        let (confirmed, stale) = {
            let state = self.state();
            (state.confirmed, state.stale)
        };
        match confirmed.checked_add(self.limits.max_staleness) {
            Some(end) if !stale => sleep_until(end).await,
            _ => std::future::pending().await,
        }
    }

    fn drop_keys(&self) {
        tracing::error!("the server has not confirmed the keys for too long: every token is rejected");
        self.state().stale = true;
        self.metrics.set_stale(true);
        self.verifier.set_keys([]);
    }

    /// Uses the result of a fetch. Returns the pause before the next one.
    fn finish(&self, fetched: Result<Fetched, KeyFetchError>) -> Duration {
        let part = lifetime::random_part();
        // The keys are set before the state says so: a request that reads the state must find them.
        let fetched = fetched.map(|fetched| {
            self.use_keys(fetched.keys);
            fetched.freshness
        });
        let mut state = self.state();
        state.fetching = false;
        self.metrics.fetched(fetched.is_ok());
        let pause = match fetched {
            Ok(freshness) => {
                let keys = self.verifier.verifying_keys();
                state.unknown.fetched(keys.iter().map(VerifyingKey::id));
                self.metrics.set_stale(false);
                state.confirmed = state.started;
                state.failures = 0;
                state.stale = false;
                lifetime::refresh_after(freshness, self.limits.refresh, part)
            }
            Err(error) => {
                state.failures = state.failures.saturating_add(1);
                tracing::warn!(%error, failures = state.failures, "cannot refresh the keys");
                lifetime::retry_after(state.failures, part)
            }
        };
        drop(state);
        self.finished.send_modify(|count| *count = count.wrapping_add(1));
        pause
    }

    /// Replaces the keys if they have changed.
    fn use_keys(&self, mut keys: Vec<VerifyingKey>) {
        keys.sort_by(|one, other| one.id().cmp(other.id()));
        keys.dedup_by(|one, other| one.id() == other.id());
        let ids = |keys: &[VerifyingKey]| keys.iter().map(|key| key.id().to_owned()).collect::<Vec<_>>();
        let (before, now) = (ids(&self.verifier.verifying_keys()), ids(&keys));
        if before != now {
            tracing::info!(?before, ?now, "the keys have changed");
            self.verifier.set_keys(keys);
        }
    }
}
