//! The epochs of agents: they revoke every session of an agent, also those that its index has lost.
//!
//! `gone:{bucket}` lists the agents of a bucket whose sessions were all revoked, each with its epoch. The clock of Redis and the list
//! itself give the epochs, so they only grow. A record carries the epoch of its agent at its creation. A record of an earlier epoch is
//! revoked. LAYOUT.md describes the list byte by byte.

use redis::Value;

use super::{
    keys::{self, Keys},
    record,
};
use crate::{
    clock::Timestamp,
    id::{AgentId, SessionId},
    session::SessionRecord,
    store::StoreError,
};

const ENTRY: usize = 16 + 4 + 4;

/// The list of a bucket. Empty if there is none.
#[derive(Default)]
pub(super) struct AgentEpochs(Vec<[u8; ENTRY]>);

impl AgentEpochs {
    /// Parses the value of the key.
    ///
    /// # Errors
    /// If it is damaged: then every session of the bucket may be revoked. The error names the key.
    pub(super) fn of(key: impl FnOnce() -> String, value: Option<&[u8]>) -> Result<Self, StoreError> {
        let Some(list) = value else {
            return Ok(Self::default());
        };
        let (entries, rest) = list.as_chunks::<ENTRY>();
        let is_sound = |entry: &[u8; ENTRY]| entry[16..20] < entry[20..];
        if entries.is_empty() || !rest.is_empty() || !entries.iter().all(is_sound) {
            return Err(keys::damaged(&key()));
        }
        Ok(Self(entries.to_vec()))
    }

    /// The epoch of an agent; 0 without an entry.
    fn of_agent(&self, agent: AgentId) -> u32 {
        let is_of_agent = |entry: &&[u8; ENTRY]| entry[..16] == *agent.as_uuid().as_bytes();
        match self.0.iter().find(is_of_agent) {
            Some(&[.., a, b, c, d, _, _, _, _]) => u32::from_be_bytes([a, b, c, d]),
            None => 0,
        }
    }

    /// Marks a record of an earlier epoch as revoked.
    pub(super) fn apply(&self, record: &mut SessionRecord) {
        let epoch = self.of_agent(record.agent_id);
        if epoch > record.agent_epoch.0 {
            record.revoked_at.get_or_insert(Timestamp(epoch.into()));
        }
    }
}

/// Parses the reply to [`Keys::read_session`].
pub(super) fn session(
    keys: &Keys,
    id: SessionId,
    reply: &Value,
) -> Result<Option<SessionRecord>, StoreError> {
    // Matched in place: the library's conversions would move the values on the path of each strict check.
    let [packed, epochs] = reply.as_sequence().ok_or_else(not_two_values)? else {
        return Err(not_two_values());
    };
    let (packed, epochs) = (bytes(packed)?, bytes(epochs)?);
    let Some(packed) = packed else {
        return Ok(None);
    };
    let mut record = record::unpack(keys, id, packed)?;
    AgentEpochs::of(|| keys.agent_epochs(id.bucket()), epochs)?.apply(&mut record);
    Ok(Some(record))
}

/// The value of a key. `None` if it is missing.
fn bytes(value: &Value) -> Result<Option<&[u8]>, StoreError> {
    match value {
        Value::BulkString(bytes) => Ok(Some(bytes)),
        Value::Nil => Ok(None),
        _ => Err(not_two_values()),
    }
}

fn not_two_values() -> StoreError {
    StoreError::Unexpected("the reply to MGET is not two values".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        session::{AgentEpoch, SessionLimits},
        test_support::{NOW, agent},
        token::TokenHash,
    };

    fn entry(agent: AgentId, epoch: u32) -> Vec<u8> {
        let kept_until = epoch + 1;
        [
            &agent.as_uuid().as_bytes()[..],
            &epoch.to_be_bytes(),
            &kept_until.to_be_bytes(),
        ]
        .concat()
    }

    fn parse(list: &[u8]) -> Result<AgentEpochs, StoreError> {
        AgentEpochs::of(|| "gone:{0000}".to_owned(), Some(list))
    }

    #[test]
    fn record_is_revoked_by_a_later_epoch_of_its_agent_only() {
        let other = AgentId::from_uuid(uuid::Uuid::from_u128(7));
        let list = [entry(other, 90), entry(agent(), 50)].concat();
        let epochs = parse(&list).unwrap();
        for (created_in, revoked_at) in [(0, Some(50)), (49, Some(50)), (50, None), (51, None)] {
            let id = SessionId::generate(agent(), NOW.0 * 1000).unwrap();
            let limits = SessionLimits::new(300, 30, NOW.plus(1_000));
            let mut record = SessionRecord::new(id, agent(), TokenHash::of("current"), &limits);
            record.agent_epoch = AgentEpoch(created_in);
            AgentEpochs::default().apply(&mut record);
            assert_eq!(record.revoked_at, None);
            epochs.apply(&mut record);
            assert_eq!(record.revoked_at, revoked_at.map(Timestamp), "{created_in}");
            record.revoked_at = Some(Timestamp(3));
            epochs.apply(&mut record);
            assert_eq!(record.revoked_at, Some(Timestamp(3)), "its own time is kept");
        }
    }

    #[test]
    fn reply_of_another_shape_is_an_error() {
        let keys = Keys::new("");
        let id = SessionId::generate(agent(), NOW.0 * 1000).unwrap();
        let array = |values: &[Value]| Value::Array(values.to_vec());
        for reply in [
            Value::Nil,
            Value::Okay,
            array(&[]),
            array(&[Value::Nil]),
            array(&[Value::Nil, Value::Int(1)]),
            array(&[Value::Nil, Value::Nil, Value::Nil]),
        ] {
            assert!(session(&keys, id, &reply).is_err(), "{reply:?}");
        }
        assert_eq!(
            session(&keys, id, &array(&[Value::Nil, Value::Nil])).unwrap(),
            None
        );
    }

    #[test]
    fn damaged_list_is_an_error_that_names_its_key() {
        let list = [entry(agent(), 50), entry(agent(), 51)].concat();
        for len in (0..list.len()).filter(|len| *len != ENTRY) {
            let error = parse(&list[..len]).err().unwrap().to_string();
            assert!(error.contains("gone:{0000}"), "{len}: {error}");
        }
        let longer = [&list[..], b"x"].concat();
        assert!(parse(&longer).is_err());
        assert!(parse(&[b'x'; ENTRY]).is_err(), "kept until its epoch");
        assert!(parse(&list).is_ok());
    }
}
