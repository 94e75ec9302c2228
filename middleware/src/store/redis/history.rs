//! The replication history of a server: whether a promoted server has every write that this process has seen.

use redis::{InfoDict, RedisResult, aio::MultiplexedConnection, cmd};

use super::call_error::is_forbidden;

/// A history, and how far it goes: the replication id and offset of `INFO replication`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct History {
    id: String,
    offset: u64,
    /// The history that this one continues, and its last offset.
    earlier: Option<(String, u64)>,
}

/// What a server has of the history that was seen last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Continuity {
    /// All of it.
    Complete,
    /// It ends before the last offset: writes were lost.
    Behind { bytes: u64 },
    /// The server has another history, as after a restart.
    Unknown,
}

impl History {
    /// `None` if the user may not call `INFO`, or the server does not report its history.
    pub(super) async fn ask(connection: &mut MultiplexedConnection) -> RedisResult<Option<Self>> {
        let info: RedisResult<InfoDict> = cmd("INFO").arg("replication").query_async(connection).await;
        match info {
            Ok(info) => Ok(Self::of(&info)),
            Err(error) if is_forbidden(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn of(info: &InfoDict) -> Option<Self> {
        let earlier: Option<String> = info.get("master_replid2");
        // The first offset that the earlier history does not have. -1 without one.
        let after: Option<u64> = info.get("second_repl_offset");
        Some(Self {
            id: info.get("master_replid")?,
            offset: info.get("master_repl_offset")?,
            earlier: earlier.zip(after.map(|after| after.saturating_sub(1))),
        })
    }

    pub(super) fn has_same_id(&self, other: &Self) -> bool {
        self.id == other.id
    }

    /// Compares the history of a new connection with the last one that was seen.
    pub(super) fn continues(&self, seen: &Self) -> Continuity {
        let end = match &self.earlier {
            _ if self.id == seen.id => self.offset,
            Some((id, end)) if *id == seen.id => *end,
            _ => return Continuity::Unknown,
        };
        match seen.offset.saturating_sub(end) {
            0 => Continuity::Complete,
            bytes => Continuity::Behind { bytes },
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn history(id: &str, offset: u64, earlier: Option<(&str, u64)>) -> History {
        let after = earlier.map_or(-1, |(_, end)| i64::try_from(end).unwrap() + 1);
        let earlier = earlier.map_or("0000", |(id, _)| id);
        let info = format!(
            "role:master\r\nmaster_replid:{id}\r\nmaster_replid2:{earlier}\r\n\
             master_repl_offset:{offset}\r\nsecond_repl_offset:{after}\r\n"
        );
        History::of(&InfoDict::new(&info)).unwrap()
    }

    #[test]
    fn a_server_is_behind_if_its_history_ends_before_the_offset_that_was_seen() {
        let seen = history("a", 1_000, None);
        for (new, expected) in [
            (history("a", 1_000, None), Continuity::Complete),
            (history("a", 1_001, None), Continuity::Complete),
            (history("a", 999, None), Continuity::Behind { bytes: 1 }),
            (history("b", 5_000, Some(("a", 1_000))), Continuity::Complete),
            (history("b", 5_000, Some(("a", 1_001))), Continuity::Complete),
            (
                history("b", 5_000, Some(("a", 999))),
                Continuity::Behind { bytes: 1 },
            ),
            (
                history("b", 0, Some(("a", 0))),
                Continuity::Behind { bytes: 1_000 },
            ),
            (history("b", 5_000, None), Continuity::Unknown),
            (history("c", 5_000, Some(("b", 5_000))), Continuity::Unknown),
        ] {
            assert_eq!(new.continues(&seen), expected, "{new:?}");
        }
    }

    #[test]
    fn a_server_without_these_fields_has_no_history() {
        assert_eq!(History::of(&InfoDict::new("role:master\r\n")), None);
    }
}
