//! The figures of all rounds, as a table.

use std::{fmt, time::Duration};

use super::{
    round::{Outcome, Survival},
    topology::{Fault, Kind},
};

/// The longest time from the announcement of a new master to the end of the trust in the old one.
pub const BOUND: Duration = Duration::from_secs(1);

/// A figure of an outcome.
type OfProcess = fn(&Outcome) -> &Survival;
type Time = fn(&Outcome) -> Duration;

/// The figures of rounds.
pub struct Report(pub Vec<Outcome>);

/// The median of the times.
pub fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut sorted: Vec<_> = times.collect();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

impl Report {
    fn of(&self, kind: Kind, fault: Fault) -> Vec<&Outcome> {
        let these = |outcome: &&Outcome| outcome.round.kind == kind && outcome.round.fault == fault;
        self.0.iter().filter(these).collect()
    }
}

fn sum(outcomes: &[&Outcome], of: OfProcess) -> Survival {
    outcomes
        .iter()
        .map(|outcome| of(outcome))
        .fold(Survival::default(), |sum, one| Survival {
            durable: sum.durable + one.durable,
            durable_undone: sum.durable_undone + one.durable_undone,
            other: sum.other + one.other,
            other_undone: sum.other_undone + one.other_undone,
            renewals: sum.renewals + one.renewals,
            lost_renewals: sum.lost_renewals + one.lost_renewals,
        })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "undone/acknowledged: durable revocations, other revocations, renewals\n\
             stale: accepted after a revocation on the new master, and how late; old: revocations by the replaced master"
        )?;
        for kind in [Kind::Sentinel, Kind::Cluster] {
            for fault in [Fault::Kill, Fault::Stop, Fault::Partition] {
                let outcomes = self.of(kind, fault);
                if outcomes.is_empty() {
                    continue;
                }
                writeln!(f, "{kind:?} {fault:?}: {} rounds", outcomes.len())?;
                let processes: [(&str, OfProcess); 3] = [
                    ("min_replicas_ack = 1", |outcome| &outcome.waiting),
                    ("rewriting", |outcome| &outcome.rewriting),
                    ("ended at the fault", |outcome| &outcome.ended),
                ];
                for (name, of) in processes {
                    let sum = sum(&outcomes, of);
                    writeln!(
                        f,
                        "  {name:21} | {}/{} | {}/{} | {}/{}",
                        sum.durable_undone,
                        sum.durable,
                        sum.other_undone,
                        sum.other,
                        sum.lost_renewals,
                        sum.renewals
                    )?;
                }
                for (name, ages) in [
                    (
                        "stale, strict",
                        outcomes.iter().map(|one| &one.strict).collect::<Vec<_>>(),
                    ),
                    (
                        "stale, bounded",
                        outcomes.iter().map(|one| &one.bounded).collect(),
                    ),
                    ("old", outcomes.iter().map(|one| &one.old_revocations).collect()),
                ] {
                    let count: usize = ages.iter().map(|ages| ages.0.len()).sum();
                    let late: usize = ages.iter().map(|ages| ages.later_than(BOUND)).sum();
                    let latest = ages.iter().map(|ages| ages.latest()).max().unwrap_or_default();
                    writeln!(
                        f,
                        "  {name:21} | {count}, latest after {latest:.0?}, {late} after the bound"
                    )?;
                }
                let times: [(&str, Time); 5] = [
                    ("no master", |one| one.without_master),
                    ("announcing it", |one| one.announcing),
                    ("requests refused", |one| one.refused),
                    ("longer than no master", Outcome::excess),
                    ("than no announcement", Outcome::excess_after_announcement),
                ];
                for (name, of) in times {
                    let times = || outcomes.iter().map(|one| of(one));
                    let (median, longest) = (median(times()), times().max().unwrap_or_default());
                    writeln!(
                        f,
                        "  {name:21} | {} ms, at most {} ms",
                        median.as_millis(),
                        longest.as_millis()
                    )?;
                }
            }
        }
        Ok(())
    }
}
