//! The answers of sentinels, and the master that a majority of them confirms.

use tokio::time::Instant;

use super::super::{lease::Confirmations, url::Server};

/// The master that a sentinel names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedMaster {
    /// The configuration epoch: the number of the failover that made it the master.
    pub(super) config_epoch: u64,
    pub(super) server: Server,
}

impl NamedMaster {
    /// True if a sentinel that gives this answer confirms that the other one is the master: it names it, and knows of its failover.
    pub(super) fn confirms(&self, other: &Self) -> bool {
        self.server == other.server && self.config_epoch >= other.config_epoch
    }

    /// True if it replaces the other one.
    pub(super) fn supersedes(&self, other: &Self) -> bool {
        self.server != other.server && self.config_epoch > other.config_epoch
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// The number of the sentinel.
    pub(super) sentinel: usize,
    /// The time at which it was asked.
    pub(super) sent: Instant,
    pub(super) named: NamedMaster,
}

/// The master of the latest failover.
pub(super) fn latest(answers: &[Answer]) -> Option<&NamedMaster> {
    let named = answers.iter().map(|answer| &answer.named);
    named.max_by_key(|named| named.config_epoch)
}

/// The master of the latest failover, if a majority of the sentinels confirms it, and the time since which they do.
pub(super) fn confirmed(answers: &[Answer], sentinels: usize) -> Option<(&NamedMaster, Instant)> {
    let config_epoch = latest(answers)?.config_epoch;
    let candidates = answers.iter().map(|answer| &answer.named);
    let mut candidates = candidates.filter(|named| named.config_epoch == config_epoch);
    candidates.find_map(|candidate| {
        let mut confirmations = Confirmations::new(sentinels);
        for answer in answers {
            if answer.named.confirms(candidate) {
                confirmations.confirm(answer.sentinel, answer.sent);
            }
        }
        Some((candidate, confirmations.majority()?))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::super::url::Host, *};

    fn named(name: &str, config_epoch: u64) -> NamedMaster {
        let server = Server::Tcp(Host {
            name: name.to_owned(),
            port: 6379,
        });
        NamedMaster { config_epoch, server }
    }

    #[test]
    fn master_is_confirmed_by_a_majority_that_knows_of_its_failover() {
        let origin = Instant::now();
        let at = |millis| origin + Duration::from_millis(millis);
        // Of each answer: the server, its epoch, and when the sentinel was asked. Expected: the server and the time.
        for (sentinels, answers, expected) in [
            (3, &[][..], None),
            (3, &[("a", 0, 1)], None),
            (3, &[("a", 0, 1), ("a", 0, 2)], Some(("a", 1))),
            (3, &[("a", 0, 1), ("a", 0, 2), ("a", 0, 3)], Some(("a", 2))),
            (1, &[("a", 7, 1)], Some(("a", 1))),
            (2, &[("a", 7, 1)], None),
            // A failover that only one sentinel knows of.
            (3, &[("a", 0, 1), ("b", 1, 2), ("a", 0, 3)], None),
            (3, &[("a", 0, 1), ("b", 1, 2), ("b", 1, 3)], Some(("b", 2))),
            // A sentinel that knows an earlier failover by which the same server was the master.
            (3, &[("b", 1, 1), ("b", 3, 2)], None),
            (3, &[("b", 1, 1), ("b", 3, 2), ("b", 3, 3)], Some(("b", 2))),
            // Without a failover, one names another server.
            (3, &[("a", 0, 1), ("b", 0, 2), ("a", 0, 3)], Some(("a", 1))),
            (3, &[("a", 0, 1), ("a", 0, 2), ("b", 0, 3)], Some(("a", 1))),
        ] {
            let answers = answers.iter().enumerate();
            let answers: Vec<_> = answers
                .map(|(sentinel, &(server, config_epoch, millis))| Answer {
                    sentinel,
                    sent: at(millis),
                    named: named(server, config_epoch),
                })
                .collect();
            let found = confirmed(&answers, sentinels).map(|(named, since)| (named.server.clone(), since));
            let expected = expected.map(|(server, millis)| (named(server, 0).server, at(millis)));
            assert_eq!(found, expected, "{answers:?}");
        }
    }

    #[test]
    fn only_another_server_of_a_later_failover_supersedes_a_master() {
        let master = named("a", 2);
        for (server, config_epoch, confirms, supersedes) in [
            ("a", 1, false, false),
            ("a", 2, true, false),
            ("a", 3, true, false),
            ("b", 1, false, false),
            ("b", 2, false, false),
            ("b", 3, false, true),
        ] {
            let other = named(server, config_epoch);
            assert_eq!(other.confirms(&master), confirms, "{other:?}");
            assert_eq!(other.supersedes(&master), supersedes, "{other:?}");
        }
    }
}
