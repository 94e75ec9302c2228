//! What the processes of the stress test and the test itself agree on.

use std::{fmt, str::FromStr, time::SystemTime};

use tower_session_auth::{AgentId, SessionId};

use super::fixtures::NOW;

pub const WRITERS: usize = 2;
pub const READERS: usize = 2;
/// Changes that go on at once, each after the other of its lane.
pub const LANES: usize = 16;
pub const CHANGES: usize = 100_000;
pub const PER_LANE: usize = CHANGES / LANES;
/// Sessions of a lane that stand at a time.
pub const STANDING: usize = 100;

pub const BOUND_MICROS: u64 = 250_000;

/// A lane's session: lane and number.
pub type Name = (usize, usize);

/// When what happened to a session, in microseconds since the epoch: its change was acknowledged, or it was last found good.
#[derive(Default)]
pub struct Report {
    pub times: Vec<(Name, u64)>,
    pub counts: Counts,
}

#[derive(Debug, Default)]
pub struct Counts {
    pub hits: u64,
    pub losses: u64,
}

/// All processes of a machine share this clock.
pub fn now_micros() -> u64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().expect("a clock");
    u64::try_from(since.as_micros()).expect("a time")
}

pub fn agent(lane: usize) -> AgentId {
    format!("6f1c7a52-2f39-4b0e-9000-{lane:012x}")
        .parse()
        .expect("an id")
}

/// The same in all processes, spread over the shards of a cache as random ids are.
pub fn session_id((lane, number): Name) -> SessionId {
    let time = format!("{:012x}", NOW.0 * 1000);
    let (high, low) = time.split_at(8);
    let spread = u32::try_from(number).expect("a small number").reverse_bits();
    let bucket = agent(lane).bucket();
    format!("{high}-{low}-7{lane:03x}-8000-{spread:08x}{bucket:04x}")
        .parse()
        .expect("an id")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.counts.hits, self.counts.losses)?;
        for ((lane, number), time) in &self.times {
            writeln!(f, "{lane} {number} {time}")?;
        }
        Ok(())
    }
}

impl FromStr for Report {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut report = Self::default();
        for (line, text) in text.lines().enumerate() {
            let numbers = text.split(' ').map(str::parse).collect::<Result<Vec<u64>, _>>()?;
            match numbers[..] {
                [hits, losses] if line == 0 => report.counts = Counts { hits, losses },
                [lane, number, time] => {
                    report.times.push(((lane as usize, number as usize), time));
                }
                _ => panic!("not a report: {text}"),
            }
        }
        Ok(report)
    }
}
