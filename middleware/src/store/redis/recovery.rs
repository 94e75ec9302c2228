//! Recovery of a new connection: own revocations that its server lacks are written again before it is used.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{
    call_error::describe,
    endpoint::RedisConnection,
    history::{Continuity, History},
    keys::Keys,
    recent::RecentRevocations,
};
use crate::{sync::lock, telemetry::RecoveryMetrics};

/// The time for the other processes to write their revocations again.
pub(super) const OTHERS_WRITE_WITHIN: Duration = Duration::from_secs(5);

/// Recovers the connections to one server, and remembers its history.
pub(super) struct Recovery {
    shared: Arc<Shared>,
    /// The history of the server in use.
    seen: Mutex<Option<History>>,
    /// Why the server must not be used yet. It outlives a connection that breaks during the wait.
    distrust: Mutex<Option<String>>,
}

/// Shared by all servers of a store.
struct Shared {
    keys: Keys,
    recent: Arc<RecentRevocations>,
    /// True if a server that may have lost writes is not used at once.
    require_durable: bool,
    /// The last history of each server that was seen, for the replica that is promoted in its place.
    histories: Mutex<VecDeque<History>>,
    /// The histories of servers that may have lost writes and were not used since. A server that continues one of them lacks the same writes.
    distrusted: Mutex<VecDeque<History>>,
    metrics: RecoveryMetrics,
}

/// The number of histories that are remembered.
const MAX_HISTORIES: usize = 1_000;

/// A connection whose server has all recent revocations of this process.
pub(super) struct Recovered {
    /// `None` if the server does not report it.
    pub(super) history: Option<History>,
    /// Why the server must not be used before the other processes have written their revocations again.
    pub(super) distrust: Option<String>,
}

impl Recovery {
    pub(super) fn new(keys: Keys, recent: Arc<RecentRevocations>, require_durable: bool) -> Self {
        Self {
            shared: Arc::new(Shared {
                keys,
                recent,
                require_durable,
                histories: Mutex::default(),
                distrusted: Mutex::default(),
                metrics: RecoveryMetrics::new(),
            }),
            seen: Mutex::default(),
            distrust: Mutex::default(),
        }
    }

    /// For another server of the same store.
    pub(super) fn for_server(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            seen: Mutex::default(),
            distrust: Mutex::default(),
        }
    }

    /// Writes own revocations again that the server lacks, and compares its history with the last one that was seen.
    ///
    /// # Errors
    /// If the server does not answer, or refuses to write revocations that it lacks.
    pub(super) async fn recover(&self, connection: &mut RedisConnection) -> Result<Recovered, String> {
        let history = History::ask(connection).await.map_err(|error| describe(&error))?;
        let continuity = self.continuity(history.as_ref());
        let rewritten = self.write_again(connection).await?;
        let loss = match continuity {
            Some(Continuity::Behind { bytes }) => {
                self.shared.metrics.behind.increment(1);
                tracing::warn!(
                    bytes,
                    "the server lacks the last writes of its predecessor: revocations, renewals and creations were lost"
                );
                Some(format!("the server is behind its predecessor by {bytes} bytes"))
            }
            Some(Continuity::Unknown) => {
                tracing::warn!(
                    "the server has another replication history than its predecessor: writes may have been lost"
                );
                Some("the server has another history than its predecessor".to_owned())
            }
            Some(Continuity::Complete) | None if rewritten > 0 => {
                Some(format!("the server has lost {rewritten} revocations"))
            }
            Some(Continuity::Complete) | None => None,
        };
        let wait = OTHERS_WRITE_WITHIN.as_secs();
        let mut distrust = lock(&self.distrust);
        if let Some(loss) = loss.filter(|_| self.shared.require_durable) {
            *distrust = Some(format!(
                "{loss}: not used for {wait} s, in which all processes write their revocations again"
            ));
        }
        let distrust = distrust.clone();
        if distrust.is_some()
            && let Some(history) = &history
        {
            keep(&self.shared.distrusted, history);
        }
        Ok(Recovered { history, distrust })
    }

    /// Ends the distrust, after all processes had the time to write their revocations again.
    pub(super) fn trust(&self) {
        *lock(&self.distrust) = None;
    }

    /// Writes own revocations again that the server lacks. Returns their number.
    pub(super) async fn write_again(&self, connection: &mut RedisConnection) -> Result<usize, String> {
        let rewritten = self
            .shared
            .recent
            .write_again(connection, &self.shared.keys)
            .await?;
        if rewritten > 0 {
            self.shared.metrics.rewritten.increment(rewritten as u64);
            tracing::warn!(
                rewritten,
                "the server had lost revocations: they were written again"
            );
        }
        Ok(rewritten)
    }

    /// Remembers the history of the server in use.
    pub(super) fn remember(&self, history: History) {
        lock(&self.shared.distrusted).retain(|known| !known.has_same_id(&history));
        keep(&self.shared.histories, &history);
        *lock(&self.seen) = Some(history);
    }

    fn continuity(&self, history: Option<&History>) -> Option<Continuity> {
        let history = history?;
        if let Some(seen) = &*lock(&self.seen) {
            return Some(history.continues(seen));
        }
        // A promoted replica continues the history of another server.
        let continues = |known: &History| history.continues(known) != Continuity::Unknown;
        if lock(&self.shared.distrusted).iter().any(continues) {
            return Some(Continuity::Unknown);
        }
        let histories = lock(&self.shared.histories);
        let continued = histories.iter().map(|seen| history.continues(seen));
        continued
            .filter(|continuity| *continuity != Continuity::Unknown)
            .max()
    }
}

fn keep(histories: &Mutex<VecDeque<History>>, history: &History) {
    let mut histories = lock(histories);
    histories.retain(|known| !known.has_same_id(history));
    histories.push_back(history.clone());
    if histories.len() > MAX_HISTORIES {
        histories.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::{super::history::tests::history, *};

    /// The replica copied its master after the master had lost writes, and before it was trusted again.
    #[test]
    fn replica_of_a_master_that_was_not_trusted_is_not_trusted() {
        let master = Recovery::new(Keys::new(""), Arc::default(), true);
        master.remember(history("a", 1_000, None));
        // It restarted without its data.
        let restarted = history("b", 10, None);
        assert_eq!(master.continuity(Some(&restarted)), Some(Continuity::Unknown));
        keep(&master.shared.distrusted, &restarted);
        let replica = master.for_server();
        let promoted = history("c", 30, Some(("b", 20)));
        assert_eq!(replica.continuity(Some(&promoted)), Some(Continuity::Unknown));
        master.remember(history("b", 20, None));
        assert_eq!(replica.continuity(Some(&promoted)), Some(Continuity::Complete));
        let unrelated = history("d", 30, None);
        assert_eq!(replica.continuity(Some(&unrelated)), None);
    }
}
