//! The records of a page of sessions.

use redis::pipe;

use super::super::{RedisStore, agent_epochs::AgentEpochs, keys, record};
use crate::{
    id::{AgentId, SessionId},
    session::SessionRecord,
    store::StoreError,
};

impl RedisStore {
    /// Reads the records that exist and are not revoked. A record that cannot be parsed is logged and omitted, so that it does
    /// not hide the others. This is safe: a list never authorizes a request.
    pub(super) async fn records(
        &self,
        ids: &[(AgentId, SessionId)],
    ) -> Result<Vec<SessionRecord>, StoreError> {
        let mut reads = pipe();
        // The keys of an agent are in one hash slot, so one MGET reads them.
        for of_agent in ids.chunk_by(|a, b| a.0 == b.0) {
            let keys = of_agent.iter().map(|(_, id)| self.keys().session(*id));
            let epochs = of_agent.iter().take(1);
            let epochs = epochs.map(|(agent, _)| self.keys().agent_epochs(agent.bucket()));
            reads.cmd("MGET").arg(keys.chain(epochs).collect::<Vec<_>>());
        }
        let mut records = Vec::with_capacity(ids.len());
        let replies = self.send_all(&reads).await?;
        for (of_agent, reply) in ids.chunk_by(|a, b| a.0 == b.0).zip(replies) {
            let mut values: Vec<Option<Vec<u8>>> =
                redis::from_redis_value(reply).map_err(keys::unexpected)?;
            let epochs = values.pop().flatten();
            let bucket = of_agent.first().map_or(0, |(agent, _)| agent.bucket());
            let epochs = AgentEpochs::of(|| self.keys().agent_epochs(bucket), epochs.as_deref())?;
            for ((_, id), packed) in of_agent.iter().zip(values) {
                match packed
                    .map(|packed| record::unpack(self.keys(), *id, &packed))
                    .transpose()
                {
                    Ok(record) => records.extend(record.into_iter().map(|mut record| {
                        epochs.apply(&mut record);
                        record
                    })),
                    Err(error) => {
                        tracing::error!(session = %id, %error, "record cannot be parsed: omitted from the list");
                    }
                }
            }
        }
        records.retain(|record| record.revoked_at.is_none());
        // By agent, newest first.
        records.sort_unstable_by(|a, b| a.agent_id.cmp(&b.agent_id).then(b.id.cmp(&a.id)));
        Ok(records)
    }
}
